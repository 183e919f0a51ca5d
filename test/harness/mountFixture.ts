/**
 * One openduck-fuse daemon on a mountpoint and a data directory of its own, run in the foreground
 * as a child of the test, so that the test has its pid, its exit code and its log.
 */
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { chown, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DatabaseSummary, EngineStatus } from '../../fs/engineCommands.js';
import { forceUnmountUnder, isFuseMounted } from './mountTable.js';
import {
  type CommandResult,
  killGroup,
  must,
  type RunOptions,
  run,
  startProcess,
  succeeded,
  whereItHangs,
} from './proc.js';
import { cleanEnvironment, isRoot, makeTempDir, sleep, within } from './testRun.js';

/** OPENDUCK_TEST_MAIN: another build of the command to test. */
export const MAIN =
  process.env['OPENDUCK_TEST_MAIN'] ??
  fileURLToPath(new URL('../../daemon/main.js', import.meta.url));

/** include/uapi/linux/magic.h */
const FUSE_SUPER_MAGIC = '65735546';
const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 20_000;

export interface MountOptions {
  readonly flags?: readonly string[];
  /** OPENDUCK_… variables for the daemon. */
  readonly env?: Readonly<Record<string, string>>;
  /** Puts the data directory on a tmpfs of this size, e.g. `48m`. Root only. */
  readonly dataDirSize?: string;
  /** Runs the daemon as this user. Root only. */
  readonly uid?: number;
}

export interface MountStatus extends EngineStatus {
  readonly pid: number;
  readonly mountpoint: string;
}

export class MountFixture {
  readonly dir: string;
  readonly dataDir: string;
  readonly mountpoint: string;
  readonly #logFile: string;
  readonly #options: MountOptions;
  #daemon: ChildProcess | undefined;
  #exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }> | undefined;

  private constructor(dir: string, options: MountOptions) {
    this.dir = dir;
    this.dataDir = join(dir, 'data');
    this.mountpoint = join(dir, 'mnt');
    this.#logFile = join(dir, 'daemon.log');
    this.#options = options;
  }

  /** Makes the directories; nothing is mounted yet. */
  static async prepare(options: MountOptions = {}): Promise<MountFixture> {
    const fixture = new MountFixture(await makeTempDir(), options);
    await mkdir(fixture.dataDir);
    await mkdir(fixture.mountpoint);
    if (options.dataDirSize !== undefined) {
      const size = `size=${options.dataDirSize}`;
      await must('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', fixture.dataDir]);
    }
    if (options.uid !== undefined) {
      for (const path of [fixture.dir, fixture.dataDir, fixture.mountpoint]) {
        await chown(path, options.uid, options.uid);
      }
    }
    return fixture;
  }

  get pid(): number {
    if (this.#daemon?.pid === undefined) throw new Error('the daemon is not running');
    return this.#daemon.pid;
  }

  get isRunning(): boolean {
    return this.#daemon !== undefined;
  }

  /** The path of a database or of another name under the mountpoint. */
  path(name: string): string {
    return join(this.mountpoint, name);
  }

  /** Starts the daemon and waits until the mount answers. */
  async start(flags: readonly string[] = this.#options.flags ?? []): Promise<void> {
    if (this.#daemon !== undefined) throw new Error('the daemon runs already');
    const log = openSync(this.#logFile, 'a');
    const args = [MAIN, 'mount', this.mountpoint, '--data-dir', this.dataDir, '--foreground'];
    const { uid, env } = this.#options;
    const daemon = startProcess(process.execPath, [...args, ...flags], {
      stdio: ['ignore', log, log],
      env: cleanEnvironment({ HOME: this.dir, ...env }),
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    closeSync(log);
    this.#daemon = daemon;
    let ended = false;
    this.#exit = new Promise((resolve, reject) => {
      daemon.once('error', reject);
      daemon.once('exit', (code, signal) => {
        ended = true;
        resolve({ code, signal });
      });
    });
    await this.#untilMounted(() => ended);
  }

  async #untilMounted(ended: () => boolean): Promise<void> {
    const deadline = Date.now() + START_LIMIT_MS;
    while (Date.now() < deadline) {
      if (ended()) {
        this.#daemon = undefined;
        throw new Error(`the daemon ended instead of mounting:\n${await this.logTail()}`);
      }
      // A killed daemon's mount is in the table too and does not answer; and while it is being
      // replaced, the bare directory answers. Only a live mount answers as a FUSE file system.
      if (isFuseMounted(this.mountpoint)) {
        const as = this.#options.uid === undefined ? {} : { uid: this.#options.uid };
        const args = ['-f', '-c', '%t', this.mountpoint];
        const probe = await run('stat', args, { timeoutMs: 5000, ...as });
        if (probe.stdout.trim() === FUSE_SUPER_MAGIC && !ended()) return;
      }
      await sleep(20);
    }
    const where = await whereItHangs(this.pid);
    throw new Error(`not mounted after ${START_LIMIT_MS} ms; ${where}\n${await this.logTail()}`);
  }

  /** SIGTERM; the daemon has to unmount and to end with 0. */
  async stop(limitMs = STOP_LIMIT_MS): Promise<void> {
    await this.stopUnderUse(limitMs);
    if (isFuseMounted(this.mountpoint)) throw new Error('still mounted after the daemon ended');
  }

  /** As `stop`, but a mount in use may stay in the tree, dead. */
  async stopUnderUse(limitMs = STOP_LIMIT_MS): Promise<void> {
    const exit = await this.#signal('SIGTERM', limitMs);
    if (exit.code === 0) return;
    const how = exit.signal ?? exit.code;
    throw new Error(`the daemon ended with ${how} on SIGTERM:\n${await this.logTail()}`);
  }

  /**
   * Names in the directory under the mount; empty while a dead mount covers it. A writer that
   * outlives its mount must not go on there: what it commits there is lost.
   */
  async besideTheMount(): Promise<string[]> {
    return isFuseMounted(this.mountpoint) ? [] : readdir(this.mountpoint);
  }

  async kill9(): Promise<void> {
    await this.#signal('SIGKILL', 10_000);
  }

  /** Waits until the daemon ended by itself (after `unmount`). */
  async ended(limitMs = STOP_LIMIT_MS): Promise<number | null> {
    return (await this.#signal(undefined, limitMs)).code;
  }

  async #signal(signal: NodeJS.Signals | undefined, limitMs: number) {
    const { pid } = this;
    const exit = this.#exit!;
    if (signal !== undefined) process.kill(pid, signal);
    try {
      const result = await within(limitMs, `end of the daemon (${signal ?? 'by itself'})`, exit);
      this.#daemon = undefined;
      return result;
    } catch (error) {
      throw new Error(`${(error as Error).message}; ${await whereItHangs(pid)}`);
    }
  }

  /** Runs the command line against this data directory. */
  cli(args: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    const as = this.#options.uid === undefined ? {} : { uid: this.#options.uid };
    const env = { HOME: this.dir, ...options.env };
    const all = [MAIN, ...args, '--data-dir', this.dataDir];
    return run(process.execPath, all, { ...as, ...options, env });
  }

  async status(): Promise<MountStatus> {
    return JSON.parse(succeeded(await this.cli(['status', '--json']))) as MountStatus;
  }

  /** `name` without `.duckdb`. */
  async database(name: string): Promise<DatabaseSummary> {
    const { databases } = await this.status();
    const found = databases.find((database) => database.name === name);
    if (found === undefined) throw new Error(`status does not list ${name}`);
    return found;
  }

  /** Everything that the daemons of this fixture have logged so far. */
  async log(): Promise<string> {
    const own = await readFile(this.#logFile, 'utf8').catch(() => '');
    const names = await readdir(this.dataDir).catch(() => [] as string[]);
    const logs = names.filter((name) => name.endsWith('.log'));
    const others = logs.map((name) => readFile(join(this.dataDir, name), 'utf8'));
    return [own, ...(await Promise.all(others))].join('');
  }

  async logTail(lines = 40): Promise<string> {
    const tail = (await this.log()).trimEnd().split('\n').slice(-lines);
    return `--- log of the daemon (${this.dir}) ---\n${tail.join('\n')}\n---`;
  }

  /** Whatever state it is in: no daemon and no mount afterwards. */
  abandon(): void {
    if (this.#daemon !== undefined) killGroup(this.#daemon);
    this.#daemon = undefined;
    forceUnmountUnder(this.dir);
  }
}

/** Why the test cannot run here, or false. */
export const needsRoot: string | false = isRoot ? false : 'needs root';
