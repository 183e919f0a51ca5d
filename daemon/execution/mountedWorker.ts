/** The worker of a mount: a child process of the daemon, which sees the databases as any user. */
import { join } from 'node:path';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { describeError } from '../../proto/errors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import type { DaemonSettings, LogLevel } from '../settings.js';
import { type SupervisedWorker, supervisedWorker } from './supervisedWorker.js';
import { type WorkerFigures, workerConfig } from './workerConfig.js';

/** In the data directory: what the worker's DuckDB spills, and the socket of its writing half. */
const WORK_DIRECTORY = 'worker';

/** What `status` tells. */
export interface WorkerState {
  readonly endpoint: string;
  /** 0: it ended, and is about to be started again. */
  readonly pid: number;
  readonly restarts: number;
  /** Of the running process; undefined: it has told nothing yet. */
  readonly figures: WorkerFigures | undefined;
}

export class MountedWorker {
  readonly #supervisor: SupervisedWorker;
  readonly #logger: Logger;
  #endpoint = '';

  private constructor(supervisor: SupervisedWorker, logger: Logger) {
    this.#supervisor = supervisor;
    this.#logger = logger;
  }

  /** undefined when the settings ask for none. Throws what its start throws, and USAGE. */
  static async start(
    settings: DaemonSettings,
    mountpoint: string,
    ports: { readonly clock: Clock; readonly logger: Logger },
  ): Promise<MountedWorker | undefined> {
    if (settings.worker.listen === undefined) return undefined;
    const workDirectory = join(settings.dataDir, WORK_DIRECTORY);
    const { logLevel } = settings;
    const config = await workerConfig(settings, { mountpoint, workDirectory, logLevel });
    await nodeDisk.removeTree(workDirectory); // what a killed one left
    await nodeDisk.makeDirectory(workDirectory);
    const worker = new MountedWorker(supervisedWorker(config, ports), ports.logger);
    await worker.resume();
    return worker;
  }

  get state(): WorkerState {
    const { child, restarts } = this.#supervisor;
    return { endpoint: this.#endpoint, pid: child?.pid ?? 0, restarts, figures: child?.figures };
  }

  /** Nothing of it holds the mount afterwards. */
  stop(): Promise<void> {
    return this.#supervisor.stop();
  }

  async resume(): Promise<void> {
    const { endpoint } = await this.#supervisor.start();
    this.#endpoint = endpoint;
  }

  /** Also of its writing half. */
  setLogLevel(level: LogLevel): void {
    this.#supervisor.setLogLevel(level);
  }

  /** For a mount that was to end and goes on. */
  async resumeIfPossible(): Promise<void> {
    await this.resume().catch((error: unknown) =>
      this.#logger.error({ error: describeError(error) }, 'the worker could not be started again'),
    );
  }
}
