/** A program of its own: the writing half of a worker, on a Unix socket (exec/worker/writer.ts). */
import { authorizeToken } from '../../exec/security/access.js';
import { ExecutionServer } from '../../exec/server/executionServer.js';
import type { InstanceSettings } from '../../exec/worker/instance.js';
import { WriterService } from '../../exec/worker/writer.js';
import { systemClock } from '../../proto/ports.js';
import { createLogger } from '../logging.js';
import type { LogLevel } from '../settings.js';
import { runChild } from './childMain.js';
import { mountedDatabases } from './mountedDatabases.js';

export interface WriterConfig {
  readonly mountpoint: string;
  readonly socketPath: string;
  readonly token: string;
  readonly instance: InstanceSettings;
  readonly logLevel: LogLevel;
}

/** The worker ends its calls when its clients are gone. */
const DRAIN_MS = 10_000;

await runChild<WriterConfig>(async (config) => {
  const { mountpoint, socketPath, token, instance, logLevel } = config;
  const logger = createLogger(logLevel, 'json');
  const service = new WriterService({
    source: mountedDatabases(mountpoint),
    instance,
    clock: systemClock,
    logger,
  });
  const server = await ExecutionServer.start({
    listen: { path: socketPath },
    handlers: service,
    authorize: authorizeToken(token),
    logger,
    clock: systemClock,
  });
  return {
    ready: {},
    logger,
    stop: async () => {
      await server.drain(DRAIN_MS);
      await service.close();
      await server.close();
    },
  };
});
