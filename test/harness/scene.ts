/**
 * The frame of an acceptance test: a seed, mounts, DuckDB processes and directories that are all
 * gone afterwards, whether the test passed, failed, ran out of time or the run was interrupted.
 */
import test, { type TestContext } from 'node:test';
import { type DuckdbOptions, DuckdbProcess } from './duckdbProcess.js';
import { findLeaks, removeLeaks, removeTempDir } from './leakCheck.js';
import { MountFixture, type MountOptions } from './mountFixture.js';
import { killAllProcesses } from './proc.js';
import { type SeededRandom, seededRandom, testSeed } from './seeds.js';
import { makeTempDir } from './testRun.js';

export interface SceneOptions {
  /** Hang limit of the whole test. */
  readonly seconds: number;
  /** Why the test cannot run here. */
  readonly skip?: string | false;
}

export class Scene {
  readonly random: SeededRandom;
  readonly #t: TestContext;
  readonly #mounts: MountFixture[] = [];
  readonly #processes: DuckdbProcess[] = [];
  readonly #dirs: string[] = [];
  readonly #services: (() => Promise<void>)[] = [];
  #over = false;

  constructor(t: TestContext) {
    this.#t = t;
    this.random = seededRandom(testSeed());
    this.note(`OPENDUCK_TEST_SEED=${this.random.seed}`);
  }

  /** A line in the report. */
  note(text: string): void {
    this.#t.diagnostic(text);
  }

  skip(reason: string): void {
    this.#t.skip(reason);
  }

  /** A local directory outside any mount. */
  async tempDir(): Promise<string> {
    const dir = await makeTempDir();
    this.#dirs.push(dir);
    return dir;
  }

  /** A running mount; stopped at the end of the test, and that has to succeed. */
  async mount(options: MountOptions = {}): Promise<MountFixture> {
    const fixture = await this.prepareMount(options);
    await fixture.start();
    return fixture;
  }

  async prepareMount(options: MountOptions = {}): Promise<MountFixture> {
    const fixture = await MountFixture.prepare(options);
    this.#mounts.push(fixture);
    return fixture;
  }

  /** Ends something that the mounts need; called when they have ended. */
  afterMounts(end: () => Promise<void>): void {
    this.#services.unshift(end);
  }

  duckdb(options: DuckdbOptions = {}): DuckdbProcess {
    // A loop of a failed test may still be running.
    if (this.#over) throw new Error('the test is over');
    const started = new DuckdbProcess(options);
    this.#processes.push(started);
    return started;
  }

  duckdbs(count: number): DuckdbProcess[] {
    return Array.from({ length: count }, () => this.duckdb());
  }

  /** Ends everything in order; throws when something does not end as it should. */
  async finish(passed: boolean): Promise<void> {
    this.#over = true;
    const problems: string[] = [];
    const attempt = async (work: () => unknown) => {
      try {
        await work();
      } catch (error) {
        problems.push((error as Error).message);
      }
    };
    if (!passed) for (const mount of this.#mounts) console.error(await mount.logTail());
    for (const child of this.#processes) {
      if (!child.isGone) await attempt(() => (passed ? child.end() : child.kill('SIGKILL', 2000)));
    }
    for (const mount of this.#mounts) {
      if (passed && mount.isRunning) await attempt(() => mount.stop());
      await attempt(() => mount.abandon());
    }
    for (const end of this.#services) await attempt(end);
    killAllProcesses();
    for (const dir of [...this.#mounts.map((mount) => mount.dir), ...this.#dirs]) {
      await attempt(() => removeTempDir(dir));
    }
    problems.push(...findLeaks());
    if (problems.length === 0) return;
    removeLeaks();
    if (passed) throw new Error(`after the test:\n${problems.join('\n')}`);
    console.error(`after the failed test:\n${problems.join('\n')}`);
  }
}

export function acceptance(
  name: string,
  options: SceneOptions,
  body: (scene: Scene) => Promise<void>,
): void {
  const { skip = false } = options;
  test(name, { timeout: options.seconds * 1000, skip }, async (t) => {
    const scene = new Scene(t);
    let passed = false;
    t.after(() => scene.finish(passed), { timeout: 60_000 });
    await body(scene);
    passed = true;
  });
}

/** Last resort: also when the process is interrupted or exits with a test unfinished. */
function cleanUpAtExit(): void {
  killAllProcesses();
  if (findLeaks().length > 0) removeLeaks();
}

process.once('exit', cleanUpAtExit);
// `on`, not `once`: the test runner passes the signal on a second time, in the middle of the
// cleanup.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(1));
}
