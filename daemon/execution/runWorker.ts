/** The life of the process of a worker without a mount of its own: start, wait, stop. */
import { join, resolve } from 'node:path';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import type { Clock, Logger } from '../../proto/ports.js';
import { forgetSecrets } from '../hideSecrets.js';
import type { DaemonSettings } from '../settings.js';
import { createStopRequest, limitShutdown, stopOnSignals } from '../stopRequest.js';
import { supervisedWorker } from './supervisedWorker.js';
import { workerConfig } from './workerConfig.js';

export interface WorkerRun {
  readonly settings: DaemonSettings;
  /** Whose databases it serves; undefined: only what a file of SQL attaches. */
  readonly mountpoint: string | undefined;
  /** For what DuckDB spills; undefined: one in the data directory. */
  readonly workDirectory: string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called once, when clients can connect. */
  onReady(endpoint: string): void;
}

/** Until a signal ends it. Throws what made the start fail: USAGE, BUSY, UNAVAILABLE. */
export async function runWorker(run: WorkerRun): Promise<void> {
  const { settings, mountpoint, clock, logger } = run;
  const { logLevel, dataDir } = settings;
  const base = run.workDirectory ?? join(dataDir, 'workers');
  const workDirectory = resolve(base, String(process.pid));
  const config = await workerConfig(settings, { mountpoint, workDirectory, logLevel });
  forgetSecrets();
  await nodeDisk.makeDirectory(workDirectory);
  const stop = createStopRequest(logger);
  stopOnSignals(stop, () => process.exit(1));
  limitShutdown(stop, clock, () => process.exit(1));
  const supervised = supervisedWorker(config, { clock, logger });
  try {
    const { endpoint } = await supervised.start();
    run.onReady(endpoint);
    await stop.requested;
  } finally {
    await supervised.stop();
    await nodeDisk.removeTree(workDirectory);
  }
}
