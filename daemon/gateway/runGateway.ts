/** The life of a gateway's process: files, server, wait, drain. */
import { Gateway } from '../../exec/gateway/gateway.js';
import { type ClientTls, channelCredentials } from '../../exec/security/tls.js';
import { describeAddress } from '../../exec/server/connections.js';
import { ExecutionServer } from '../../exec/server/executionServer.js';
import type { Clock, Logger } from '../../proto/ports.js';
import { accessConfig, authorizeOf, fileOf } from '../execution/accessConfig.js';
import { EXIT_FAILURE } from '../exitCodes.js';
import { forgetSecrets } from '../hideSecrets.js';
import type { DaemonSettings } from '../settings.js';
import { createStopRequest, stopOnSignals } from '../stopRequest.js';
import { VERSION } from '../version.js';
import type { GatewaySettings } from './gatewaySettings.js';

export interface GatewayRun {
  readonly settings: DaemonSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called once, when clients and workers can connect. */
  onReady(endpoint: string): void;
}

/** Beyond the time for draining, for the rest. */
const SHUTDOWN_SLACK_MS = 15_000;

async function workerTlsOf(settings: GatewaySettings): Promise<ClientTls> {
  const tls = {
    ca: await fileOf(settings.workerCa, '--worker-ca'),
    certificate: await fileOf(settings.workerCertificate, '--worker-cert'),
    key: await fileOf(settings.workerKey, '--worker-key'),
  };
  channelCredentials(tls); // throws what is wrong with them
  return tls;
}

async function start({ settings, clock, logger }: GatewayRun) {
  const { listen, maxQueue, workerToken } = settings.gateway;
  const access = await accessConfig(settings.access, listen.host);
  const gateway = new Gateway({
    workerToken: workerToken?.reveal(),
    workerTls: await workerTlsOf(settings.gateway),
    limits: { waiting: maxQueue },
    clock,
    logger,
  });
  forgetSecrets();
  const server = await ExecutionServer.start({
    listen,
    handlers: gateway,
    authorize: authorizeOf(access),
    tls: access.tls,
    logger,
    clock,
  });
  const scheme = access.tls === undefined ? 'http' : 'https';
  return { gateway, server, endpoint: `${scheme}://${describeAddress(server.address)}` };
}

/**
 * Until a signal comes and what runs has ended. Throws what made the start fail: USAGE, BUSY (the
 * address is in use), NOT_PERMITTED.
 */
export async function runGateway(run: GatewayRun): Promise<void> {
  const { settings, clock, logger } = run;
  const { drainMs } = settings.gateway;
  const { gateway, server, endpoint } = await start(run);
  const stop = createStopRequest(logger);
  const giveUp = (reason: string): void => {
    logger.error({ reason }, 'the gateway ends at once');
    process.exit(EXIT_FAILURE);
  };
  stopOnSignals(stop, giveUp);
  logger.info({ endpoint, version: VERSION }, 'the gateway serves');
  run.onReady(endpoint);
  await stop.requested;
  clock.after(drainMs + SHUTDOWN_SLACK_MS, () => giveUp('the shutdown takes too long'));
  await server.drain(drainMs);
  await server.close();
  gateway.close();
  logger.info({}, 'the gateway has ended');
}
