/** A mount with a worker, and clients of it. */
import type { WorkerState } from '../../daemon/execution/mountedWorker.js';
import { ExecutionClient } from './executionClient.js';
import type { MountFixture, MountOptions } from './mountFixture.js';
import { succeeded } from './proc.js';
import type { Scene } from './scene.js';
import { sleep } from './testRun.js';

const START_LIMIT_MS = 30_000;

export async function workerState(mount: MountFixture): Promise<WorkerState | undefined> {
  const status = await mount.cli(['status', '--json']);
  const { worker } = JSON.parse(succeeded(status)) as { worker: WorkerState | null };
  return worker ?? undefined;
}

/** Waits for a worker that runs; other than the one with the pid `not`. */
export async function runningWorker(mount: MountFixture, not = 0): Promise<WorkerState> {
  for (const end = Date.now() + START_LIMIT_MS; Date.now() < end; await sleep(50)) {
    const state = await workerState(mount);
    if (state !== undefined && state.pid > 0 && state.pid !== not) return state;
  }
  throw new Error(`no worker runs: ${await mount.logTail()}`);
}

export class WorkerMount {
  readonly mount: MountFixture;
  readonly #scene: Scene;
  readonly #clients: ExecutionClient[] = [];
  #endpoint = '';

  private constructor(scene: Scene, mount: MountFixture) {
    this.mount = mount;
    this.#scene = scene;
    scene.afterMounts(async () => {
      for (const client of this.#clients) client.close();
    });
  }

  static async start(
    scene: Scene,
    flags: readonly string[] = [],
    options: MountOptions = {},
  ): Promise<WorkerMount> {
    const all = ['--worker=127.0.0.1:0', ...flags];
    const started = new WorkerMount(scene, await scene.mount({ ...options, flags: all }));
    await started.awaitWorker();
    return started;
  }

  get endpoint(): string {
    return this.#endpoint;
  }

  async awaitWorker(not = 0): Promise<WorkerState> {
    const state = await runningWorker(this.mount, not);
    this.#endpoint = state.endpoint;
    return state;
  }

  client(token = ''): ExecutionClient {
    const client = new ExecutionClient(this.#endpoint, token);
    this.#clients.push(client);
    return client;
  }

  /** Makes a database with stock DuckDB and closes it. */
  async create(name: string, sql: string): Promise<void> {
    const duckdb = this.#scene.duckdb();
    await duckdb.open(this.mount.path(`${name}.duckdb`));
    await duckdb.sql(sql);
    await duckdb.end();
  }
}
