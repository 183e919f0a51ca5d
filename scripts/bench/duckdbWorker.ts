/** The bench's side of worker.ts: one process of stock DuckDB, every request with a time limit. */
import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { killGroup, startProcess, whereItHangs } from '../../test/harness/proc.js';
import { cleanEnvironment } from '../../test/harness/testRun.js';
import type { Config, Done, Work, WorkReply, WorkRequest } from './worker.js';

const CHILD = fileURLToPath(new URL('./worker.js', import.meta.url));
const LIMIT_MS = 180_000;

export const READ_ONLY: Config = { access_mode: 'READ_ONLY' };

interface Pending {
  readonly resolve: (done: Done) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export interface Visits {
  readonly config?: Config;
  /** At most so many, and none begun after `forMs`. */
  readonly times?: number;
  readonly forMs?: number;
}

export class DuckdbWorker {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #gone = false;

  constructor() {
    this.#child = startProcess(process.execPath, [CHILD], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: cleanEnvironment(),
    });
    this.#child.on('message', (reply: WorkReply) => this.#receive(reply));
    this.#child.once('error', (error) => this.#end(error));
    this.#child.once('exit', (code, signal) => {
      this.#end(new Error(`the DuckDB process ended: ${signal ?? code}`));
    });
  }

  get isGone(): boolean {
    return this.#gone;
  }

  open(path: string, config: Config = {}): Promise<Done> {
    return this.#ask({ op: 'open', path, config });
  }

  close(): Promise<Done> {
    return this.#ask({ op: 'close' });
  }

  run(...statements: readonly string[]): Promise<Done> {
    return this.#ask({ op: 'run', statements });
  }

  /** Opens, runs `sql` and closes, again and again. Read-only unless the config says other. */
  visit(path: string, sql: string, visits: Visits = {}): Promise<Done> {
    const { config = READ_ONLY, times = 1_000_000, forMs = 60_000 } = visits;
    return this.#ask({ op: 'visit', path, config, sql, times, forMs });
  }

  /** Fetches the whole result, in this process's DuckDB. */
  fetch(sql: string): Promise<Done> {
    return this.#ask({ op: 'fetch', sql });
  }

  startWriting(statement: string, pauseMs: number, checkpointEvery: number): Promise<Done> {
    return this.#ask({ op: 'startWriting', statement, pauseMs, checkpointEvery });
  }

  /** How many commits there were. */
  async stopWriting(): Promise<number> {
    return Number((await this.#ask({ op: 'stopWriting' })).rows);
  }

  /** Bytes that went through its read and write calls so far, cached or not. */
  async transferred(): Promise<{ readonly read: number; readonly written: number }> {
    const io = await readFile(`/proc/${this.#child.pid}/io`, 'utf8');
    const field = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1]);
    return { read: field('rchar'), written: field('wchar') };
  }

  kill(): void {
    killGroup(this.#child);
  }

  #ask(work: Work): Promise<Done> {
    if (this.#gone) return Promise.reject(new Error('the DuckDB process is gone'));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => void this.#giveUp(id, work), LIMIT_MS);
      this.#pending.set(id, { resolve, reject, timer });
      const request: WorkRequest = { id, work };
      this.#child.send(request);
    });
  }

  async #giveUp(id: number, work: Work): Promise<void> {
    const where = this.#child.pid === undefined ? '' : await whereItHangs(this.#child.pid);
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    const what = JSON.stringify(work).slice(0, 200);
    pending?.reject(new Error(`no answer within ${LIMIT_MS} ms to ${what}; ${where}`));
    this.kill();
  }

  #receive(reply: WorkReply): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return;
    this.#pending.delete(reply.id);
    clearTimeout(pending.timer);
    if (reply.done !== undefined) pending.resolve(reply.done);
    else pending.reject(new Error(reply.error));
  }

  #end(error: Error): void {
    this.#gone = true;
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(error);
    }
    this.#pending.clear();
  }
}
