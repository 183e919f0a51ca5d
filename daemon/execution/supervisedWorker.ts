/** The worker as a child process that is kept running, whoever has it: a daemon or a command. */
import { fileURLToPath } from 'node:url';
import type { Clock, Logger } from '../../proto/ports.js';
import { startChild } from './childProgram.js';
import { Supervisor } from './supervisor.js';
import {
  threadsOf,
  type WorkerConfig,
  type WorkerFigures,
  type WorkerReady,
} from './workerConfig.js';

const PROGRAM = fileURLToPath(new URL('./workerMain.js', import.meta.url));

export type SupervisedWorker = Supervisor<WorkerReady, WorkerFigures>;

/** Not started yet. Started again, it listens on the same port. */
export function supervisedWorker(
  config: WorkerConfig,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): SupervisedWorker {
  return new Supervisor<WorkerReady, WorkerFigures>({
    what: 'the worker',
    start: (previous) =>
      startChild<WorkerReady, WorkerFigures>({
        program: PROGRAM,
        config: { ...config, listen: previous?.listen ?? config.listen },
        threads: threadsOf(config),
        clock,
      }),
    clock,
    logger,
  });
}
