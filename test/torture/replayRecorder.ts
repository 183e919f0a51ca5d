/**
 * Drives the recording daemon from the outside: starts it on directories of its own, notes what the
 * workloads commit, stops it, reads the recordings.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { forceUnmountUnder } from '../harness/mountTable.js';
import { killGroup, startProcess } from '../harness/proc.js';
import { cleanEnvironment, within } from '../harness/testRun.js';
import type { DaemonReply, DaemonRequest } from './recordingDaemon.js';
import { type Recording, readRecording } from './replayRecording.js';

const DAEMON = fileURLToPath(new URL('./recordingDaemon.js', import.meta.url));
const LIMIT_MS = 20_000;

type Body =
  | { readonly kind: 'begin' | 'mark'; readonly database: string; readonly seq: number }
  | { readonly kind: 'stop' };

export class Recorder {
  readonly #directory: string;
  readonly #daemon: ChildProcess;
  readonly #waiting = new Map<number, (error: string | undefined) => void>();
  readonly #mounted: Promise<void>;
  #stderr = '';
  #nextId = 1;

  private constructor(directory: string) {
    this.#directory = directory;
    this.#daemon = startProcess(process.execPath, [DAEMON, directory], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: cleanEnvironment(),
    });
    this.#daemon.stderr!.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-4000);
    });
    this.#mounted = new Promise((resolve, reject) => {
      this.#daemon.on('message', (reply: DaemonReply) => {
        if (reply.kind === 'mounted') return resolve();
        this.#waiting.get(reply.id)?.(reply.error);
        this.#waiting.delete(reply.id);
      });
      this.#daemon.once('close', (code, signal) => {
        const text = `the recording daemon ended: ${signal ?? code}. ${this.#stderr}`;
        for (const answer of this.#waiting.values()) answer(text);
        reject(new Error(text));
      });
      this.#daemon.once('error', reject);
    });
    this.#mounted.catch(() => {}); // `start` reports it
  }

  static async start(directory: string): Promise<Recorder> {
    for (const name of ['data', 'mnt', 'recordings']) await mkdir(join(directory, name));
    const recorder = new Recorder(directory);
    await within(LIMIT_MS, 'mount of the recording daemon', recorder.#mounted);
    return recorder;
  }

  path(database: string): string {
    return join(this.#directory, 'mnt', `${database}.duckdb`);
  }

  note(kind: 'begin' | 'mark', database: string, seq: number): Promise<void> {
    return this.#request({ kind, database, seq });
  }

  async #request(body: Body): Promise<void> {
    const id = this.#nextId++;
    const answer = new Promise<string | undefined>((resolve) => this.#waiting.set(id, resolve));
    this.#daemon.send({ ...body, id } satisfies DaemonRequest);
    const error = await within(LIMIT_MS, `recording daemon: ${body.kind}`, answer);
    if (error !== undefined) throw new Error(error);
  }

  /** Unmounts; the recordings are complete then. */
  async stop(): Promise<void> {
    await this.#request({ kind: 'stop' });
    const ended = once(this.#daemon, 'exit');
    this.#daemon.disconnect();
    await within(LIMIT_MS, 'end of the recording daemon', ended);
  }

  /** Whatever state it is in: no daemon and no mount afterwards. */
  abandon(): void {
    killGroup(this.#daemon);
    forceUnmountUnder(this.#directory);
  }

  read(database: string): Recording {
    return readRecording(join(this.#directory, 'recordings', database), database);
  }
}
