/** A program of its own: the worker. See childProgram.ts for how it is started and ended. */
import { fileURLToPath } from 'node:url';
import { credentials } from '@grpc/grpc-js';
import { endpointText } from '../../exec/protocol/endpoint.js';
import type { WorkerRegistration } from '../../exec/protocol/execution.js';
import { channelCredentials } from '../../exec/security/tls.js';
import { Admission } from '../../exec/server/admission.js';
import { countExecutions } from '../../exec/server/executionCounts.js';
import { ExecutionServer } from '../../exec/server/executionServer.js';
import { type DatabaseSource, NO_DATABASES } from '../../exec/worker/databaseSource.js';
import { type InstanceSettings, openInstance } from '../../exec/worker/instance.js';
import { InstancePool } from '../../exec/worker/instancePool.js';
import { Registration } from '../../exec/worker/registration.js';
import { Worker } from '../../exec/worker/worker.js';
import { OPEN_DATABASES } from '../../exec/worker/writer.js';
import { type StartWriter, WriterLink } from '../../exec/worker/writerLink.js';
import { type Logger, systemClock, systemRandom, uuidV7 } from '../../proto/ports.js';
import { createLogger, type DaemonLogger } from '../logging.js';
import type { LogLevel } from '../settings.js';
import { authorizeOf } from './accessConfig.js';
import { runChild, type StartedProgram } from './childMain.js';
import { type RunningChild, startChild } from './childProgram.js';
import { mountedDatabases } from './mountedDatabases.js';
import type { WorkerConfig, WorkerFigures, WorkerReady } from './workerConfig.js';
import type { WriterConfig } from './writerMain.js';

const WRITER_PROGRAM = fileURLToPath(new URL('./writerMain.js', import.meta.url));

/** The newest version, the one before that is still read, and one for a snapshot. */
const INSTANCES = 3;
/** For the writing half. */
const SHARES = INSTANCES + 1;
const WRITER_THREADS = 16;
const DRAIN_MS = 10_000;

function instanceSettings(config: WorkerConfig): InstanceSettings {
  const { memoryBytes, threads, workDirectory, externalAccess, initSql } = config;
  return {
    memoryBytes: Math.floor(memoryBytes / SHARES),
    threads,
    spillDirectory: workDirectory,
    externalAccess,
    initSql,
  };
}

interface Writer {
  readonly link: WriterLink;
  /** Of the running one; a later one begins with the level of the worker. */
  setLogLevel(level: LogLevel): void;
}

/** undefined without a mount: there is nothing that takes a writer. */
function writerOf(config: WorkerConfig, logger: DaemonLogger): Writer | undefined {
  const { mountpoint, workDirectory } = config;
  if (mountpoint === undefined) return undefined;
  let running: RunningChild<unknown> | undefined;
  const start: StartWriter = async () => {
    const token = systemRandom.bytes(16).toString('hex');
    // A name of its own: what a killed one listened on stays.
    const socketPath = `${workDirectory}/writer-${token.slice(0, 8)}.sock`;
    const share = instanceSettings(config);
    const memoryBytes = Math.floor(share.memoryBytes / OPEN_DATABASES);
    const instance = { ...share, memoryBytes };
    const logLevel = logger.level;
    const child = await startChild({
      program: WRITER_PROGRAM,
      config: { mountpoint, socketPath, token, instance, logLevel } satisfies WriterConfig,
      threads: WRITER_THREADS,
      clock: systemClock,
    });
    logger.info({ writer: child.pid }, 'the writing half of the worker has started');
    running = child;
    if (logger.level !== logLevel) child.setLogLevel(logger.level); // changed meanwhile
    void child.ended.then((how) => logger.info({ how }, 'the writing half has ended'));
    const { ended, stop } = child;
    return { target: `unix:${socketPath}`, token, ended, stop };
  };
  return { link: new WriterLink(start), setLogLevel: (level) => running?.setLogLevel(level) };
}

function registrationOf(
  config: WorkerConfig,
  id: string,
  source: DatabaseSource,
  ready: WorkerReady,
  logger: Logger,
): Registration | undefined {
  const { gateway, databases, tables, computeContext, maxConcurrency } = config;
  if (gateway === undefined) return undefined;
  const { protocol, host } = new URL(gateway.endpoint);
  const channel =
    protocol === 'https:' ? channelCredentials({ ca: gateway.ca }) : credentials.createInsecure();
  const endpoint = gateway.advertise.replace(/:0$/, `:${ready.listen.port}`);
  const describe = async (): Promise<WorkerRegistration> => ({
    worker_id: id,
    endpoint,
    databases: databases ?? (await source.names()),
    compute_context: computeContext,
    max_concurrency: maxConcurrency,
    tables,
    access_token: gateway.token,
  });
  return new Registration({
    target: host,
    credentials: channel,
    describe,
    clock: systemClock,
    logger,
  });
}

/** A wrong file of SQL is told when the worker starts, not to whoever asks first. */
async function tryInitSql(settings: InstanceSettings): Promise<void> {
  if (settings.initSql === undefined) return;
  const instance = await openInstance(':memory:', 'READ_ONLY', 0, settings);
  instance.closeSync();
}

async function start(config: WorkerConfig): Promise<StartedProgram> {
  const logger = createLogger(config.logLevel, 'json');
  const { mountpoint, maxConcurrency, maxQueue } = config;
  const { tls } = config.access;
  const source = mountpoint === undefined ? NO_DATABASES : mountedDatabases(mountpoint);
  const settings = instanceSettings(config);
  await tryInitSql(settings);
  const id = uuidV7(systemClock, systemRandom);
  const pool = new InstancePool({
    limit: INSTANCES,
    clock: systemClock,
    open: ({ database, snapshot }, number) =>
      openInstance(source.path(database, snapshot), 'READ_ONLY', number, settings),
  });
  const writer = writerOf(config, logger);
  const admission = new Admission({ running: maxConcurrency, waiting: maxQueue });
  const worker = new Worker({
    id,
    source,
    pool,
    admission,
    writer: writer?.link,
    externalAccess: settings.externalAccess,
    clock: systemClock,
  });
  const { handlers, counts } = countExecutions(worker);
  const report = (): WorkerFigures => {
    return { ...counts, running: admission.running, waiting: admission.waiting };
  };
  const server = await ExecutionServer.start({
    listen: config.listen,
    handlers,
    authorize: authorizeOf(config.access),
    tls,
    logger,
    clock: systemClock,
  });
  const listen = server.address as WorkerReady['listen'];
  const ready = { endpoint: endpointText({ ...listen, secure: tls !== undefined }), listen };
  logger.info({ endpoint: ready.endpoint, worker: id }, 'the worker serves');
  const registration = registrationOf(config, id, source, ready, logger);
  void registration?.run();
  const stop = async (): Promise<void> => {
    registration?.stop();
    await server.drain(DRAIN_MS);
    await server.close();
    pool.close();
    await writer?.link.close();
  };
  const logLevelChanged = (level: LogLevel) => writer?.setLogLevel(level);
  return { ready, logger, report, logLevelChanged, stop };
}

await runChild(start);
