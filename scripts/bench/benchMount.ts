/** One daemon with a mount and a data directory of its own, and what it costs. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ControlClient } from '../../daemon/control/client.js';
import { connectDaemon } from '../../daemon/control/connect.js';
import { systemClock } from '../../proto/ports.js';
import { removeTempDir } from '../../test/harness/leakCheck.js';
import { MountFixture } from '../../test/harness/mountFixture.js';
import { processField } from '../../test/harness/proc.js';
import { sleep, tempParent, tempPrefix } from '../../test/harness/testRun.js';
import type { GcPauses } from './gcWatcher.js';

const PROFILER = new URL('./profiler.js', import.meta.url).href;
const GC_WATCHER = new URL('./gcWatcher.js', import.meta.url).href;

/** Of /proc/PID/stat: the kernel reports in hundredths whatever its own HZ is. */
const TICKS_PER_SECOND = 100;
const CONNECT_LIMIT_MS = 10_000;
const SETTLE_LIMIT_MS = 180_000;
const QUIET_MS = 200;
const QUIET_SECONDS = 0.02;

let gcFiles = 0;

export class BenchMount {
  readonly fixture: MountFixture;
  #control: ControlClient | undefined;
  readonly #gcFile: string;
  #peakBytes = 0;

  private constructor(fixture: MountFixture, gcFile: string) {
    this.fixture = fixture;
    this.#gcFile = gcFile;
  }

  /** With `profileDir`, the daemon writes a CPU profile there when it ends in order. */
  static async create(
    profileDir: string | undefined,
    flags: readonly string[] = [],
  ): Promise<BenchMount> {
    const gcFile = join(tempParent, `${tempPrefix}gc-${gcFiles++}.json`);
    const modules = profileDir === undefined ? [GC_WATCHER] : [GC_WATCHER, PROFILER];
    const env = {
      NODE_OPTIONS: modules.map((module) => `--import ${module}`).join(' '),
      BENCH_GC_FILE: gcFile,
      ...(profileDir !== undefined && { BENCH_PROFILE_DIR: profileDir }),
    };
    const mount = new BenchMount(await MountFixture.prepare({ env, flags }), gcFile);
    await mount.#start();
    return mount;
  }

  /** Pauses of its present daemon's garbage collector. */
  async gcPauses(): Promise<GcPauses> {
    try {
      return JSON.parse(await readFile(this.#gcFile, 'utf8')) as GcPauses;
    } catch {
      return { count: 0, totalMs: 0, longestMs: 0 }; // there was none yet
    }
  }

  get control(): ControlClient {
    if (this.#control === undefined) throw new Error('no connection to the daemon');
    return this.#control;
  }

  async #start(): Promise<void> {
    await this.fixture.start();
    // The mount answers a moment before the control socket listens.
    const deadline = Date.now() + CONNECT_LIMIT_MS;
    while (this.#control === undefined && Date.now() < deadline) {
      this.#control = await connectDaemon(this.fixture.dataDir, systemClock);
      if (this.#control === undefined) await sleep(20);
    }
  }

  async #stop(): Promise<void> {
    await this.peakBytes();
    await this.#control?.close();
    this.#control = undefined;
    await this.fixture.stop();
  }

  /** A new daemon on the same data. */
  async remount(): Promise<void> {
    await this.settle();
    await this.#stop();
    await this.#start();
  }

  /** Starts the daemon again if it has died, and makes sure that it answers. */
  async revive(): Promise<void> {
    try {
      await this.control.status();
    } catch {
      await this.#control?.close();
      this.#control = undefined;
      this.fixture.abandon();
      await this.#start();
    }
  }

  /** Waits until every commit is published and the daemon does nothing any more. */
  async settle(): Promise<void> {
    const deadline = Date.now() + SETTLE_LIMIT_MS;
    while (Date.now() < deadline) {
      const before = await this.cpuSeconds();
      await sleep(QUIET_MS);
      const { databases } = await this.control.status();
      const published = databases.every((each) => each.publishedVersion >= each.version);
      if (published && (await this.cpuSeconds()) - before <= QUIET_SECONDS) return;
    }
    throw new Error(`the daemon did not come to rest in ${SETTLE_LIMIT_MS} ms`);
  }

  /** Of all its threads since it started, in user and kernel mode. */
  async cpuSeconds(): Promise<number> {
    const stat = await readFile(`/proc/${this.fixture.pid}/stat`, 'utf8');
    // The second field, the name in parentheses, may have spaces in it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  /** Highest resident memory of its daemons so far. */
  async peakBytes(): Promise<number> {
    const peak = await this.#memory('VmHWM');
    this.#peakBytes = Math.max(this.#peakBytes, peak);
    return this.#peakBytes;
  }

  residentBytes(): Promise<number> {
    return this.#memory('VmRSS');
  }

  async #memory(field: string): Promise<number> {
    if (!this.fixture.isRunning) return 0;
    const text = await processField(this.fixture.pid, field);
    return text === undefined ? 0 : Number.parseInt(text, 10) * 1024;
  }

  /** In order, so that a profile gets written; by force when that fails. */
  async dispose(): Promise<void> {
    try {
      if (this.fixture.isRunning) await this.#stop();
    } finally {
      this.fixture.abandon();
      removeTempDir(this.fixture.dir);
      await rm(this.#gcFile, { force: true });
    }
  }
}
