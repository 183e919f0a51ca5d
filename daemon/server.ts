/**
 * The daemon's life: data directory and lock, mountpoint, storage, mount, control service, wait,
 * and all of that undone in reverse. Nothing here may touch the mounted file system: the answer
 * would have to come from this process.
 */
import { homedir } from 'node:os';
import type { Engine } from '../fs/engine.js';
import { type MountedFileSystem, mountFileSystem } from '../fs/mount.js';
import { MOUNT_SOURCE } from '../fs/session/mountCommands.js';
import { type DirectoryAttributes, realPath } from '../layers/os/directories.js';
import { nodeDisk } from '../layers/os/nodeDisk.js';
import { describeError } from '../proto/errors.js';
import { type Cleanup, createCleanup } from './cleanup.js';
import type { CommandContext } from './commandContext.js';
import { startControlServer } from './control/server.js';
import { dataPaths, lockDataDirectory, unlockDataDirectory } from './dataDirectory.js';
import { MountedWorker } from './execution/mountedWorker.js';
import { EXIT_FAILURE, EXIT_OK } from './exitCodes.js';
import {
  comeToRest,
  type HandOverRequest,
  type IsCalledOff,
  type TakenOver,
  takeOver,
} from './handOver.js';
import { forgetSecrets } from './hideSecrets.js';
import { mountHealth } from './http/health.js';
import { HttpSide } from './http/httpSide.js';
import { endNow, endOnUncaughtErrors } from './lastResort.js';
import { changeLogLevel, type DaemonLogger } from './logging.js';
import { checkApart, type PreparedMountpoint, prepareMountpoint } from './mountpoint.js';
import { openStorage } from './openStorage.js';
import { RecentProblems } from './recentProblems.js';
import { addMountRecord, registryDirectory, removeMountRecord } from './registry.js';
import type { DaemonSettings, Settings } from './settings.js';
import {
  createStopRequest,
  limitShutdown,
  type StopRequest,
  stopOnSignals,
} from './stopRequest.js';
import {
  describeMetadata,
  describeObjects,
  type StoreLocations,
  storeLocations,
  storeNotes,
} from './stores.js';
import { type Presence, unmountAtEnd, unmountOnRequest } from './unmounting.js';
import { VERSION } from './version.js';

export interface DaemonOptions {
  readonly context: CommandContext;
  readonly settings: DaemonSettings;
  /** As the user gave it, absolute. */
  readonly mountpoint: string;
  readonly logger: DaemonLogger;
  /** Take the mount over from the daemon that runs, if one does. */
  readonly replace: HandOverRequest | undefined;
  /** Called once, when the mount can be used. */
  onReady(ready: { readonly mountpoint: string; readonly notes: readonly string[] }): Promise<void>;
  /** Called once, when the end begins. */
  onStopping(reason: string): void;
}

interface Running {
  readonly mountpoint: string;
  readonly notes: readonly string[];
}

/** A file system whose daemon keeps its own files there would wait for itself. */
async function locateStores(settings: Settings, mountpoint: string): Promise<StoreLocations> {
  const locations = await storeLocations(settings);
  const { metadata, objects } = locations;
  if (metadata.kind === 'sqlite') checkApart(mountpoint, metadata.path, 'the metadata');
  if (objects.kind === 'directory') checkApart(mountpoint, objects.path, 'the objects');
  return locations;
}

/** The daemon's life as a set of steps that share what they need. */
interface Start extends DaemonOptions {
  readonly cleanup: Cleanup;
  readonly stop: StopRequest;
  readonly presence: Presence;
  readonly problems: RecentProblems;
}

/** Creates the data directory; its name without symbolic links is who we are to the metadata. */
async function settle(settings: DaemonSettings): Promise<DaemonSettings> {
  await nodeDisk.makeDirectory(settings.dataDir);
  return { ...settings, dataDir: await realPath(settings.dataDir) };
}

interface Claimed extends PreparedMountpoint {
  /** A dead mount is there, over a directory with these attributes. */
  readonly replaces: DirectoryAttributes | undefined;
}

/** Who is to end while the old daemon waits for its users, leaves it alone. */
async function takeOverUnlessStopped(
  { context, settings, mountpoint, stop }: Start,
  request: HandOverRequest,
): Promise<TakenOver | undefined> {
  const calledOff = stop.requested.then(() => stop.check()).then(() => undefined);
  return Promise.race([takeOver(context, settings.dataDir, mountpoint, request), calledOff]);
}

/** Ends the running daemon if that is wanted, locks the data directory, readies the mountpoint. */
async function claim(start: Start): Promise<Claimed> {
  const { context, settings, mountpoint, cleanup, logger, replace } = start;
  const { dataDir } = settings;
  const taken = replace && (await takeOverUnlessStopped(start, replace));
  const holder = { pid: process.pid, command: 'mount', mountpoint };
  const lock = await lockDataDirectory(dataDir, holder, context.clock);
  cleanup.add('release the lock', () => unlockDataDirectory(lock));
  const prepared =
    taken === undefined
      ? { ...(await prepareMountpoint(mountpoint, dataDir, logger)), replaces: undefined }
      : takenPlace(taken);
  await lock.write(`${JSON.stringify({ ...holder, mountpoint: prepared.path })}\n`);
  return prepared;
}

function takenPlace({ mountpoint, version, root }: TakenOver): Claimed {
  const notes = [`Took ${mountpoint} over from a daemon of version ${version}.`];
  return { path: mountpoint, notes, replaces: root };
}

async function mount(
  start: Start,
  { path: mountpoint, replaces }: Claimed,
  engine: Engine,
): Promise<MountedFileSystem> {
  const { context, settings, cleanup, logger, presence, stop } = start;
  const { clock } = context;
  const { allowOther, readOnly } = settings;
  const mounted = await mountFileSystem({
    engine,
    mountpoint,
    allowOther,
    readOnly,
    replaces,
    logger,
    clock,
  });
  presence.mountpoint = mountpoint;
  void mounted.ended.then(() => {
    presence.mountpoint = undefined;
    stop.request('the file system was unmounted');
  });
  cleanup.add('unmount', async () => {
    if (presence.mountpoint === undefined) return;
    await unmountAtEnd(mounted, engine, clock, logger);
    presence.mountpoint = undefined;
  });
  return mounted;
}

/** What the mount serves beside files. */
interface Servers {
  readonly worker: MountedWorker | undefined;
  readonly http: HttpSide | undefined;
}

async function startServers(start: Start, mountpoint: string, engine: Engine): Promise<Servers> {
  const { context, settings, cleanup, logger, presence, problems } = start;
  const { clock } = context;
  const worker = await MountedWorker.start(settings, mountpoint, { clock, logger });
  cleanup.add('stop the worker', async () => worker?.stop());
  const isMounted = () => presence.mountpoint !== undefined;
  const health = () => mountHealth(engine, isMounted, clock);
  const http = await HttpSide.start(settings, {
    engine,
    clock,
    logger,
    health,
    worker: () => worker?.state,
    problems,
    mountpoint,
    undropWithinMs: settings.undropWithinMs,
  });
  cleanup.add('stop the HTTP side', async () => http?.stop());
  return { worker, http };
}

/** Throws BUSY, CANCELLED, and everything goes on then. */
async function handOver(
  { context, presence, logger, stop }: Start,
  engine: Engine,
  worker: MountedWorker | undefined,
  request: HandOverRequest,
  isCalledOff: IsCalledOff,
): Promise<void> {
  await worker?.stop(); // it reads and writes there as others do
  try {
    await comeToRest(engine, context.clock, logger, request, isCalledOff);
  } catch (error) {
    await worker?.resumeIfPossible();
    throw error;
  }
  presence.mountpoint = undefined; // the mount stays, for the next daemon to take its place
  stop.request('a new daemon takes the mount over');
}

async function serveControl(
  start: Start,
  mounted: MountedFileSystem,
  engine: Engine,
  { worker, http }: Servers,
): Promise<void> {
  const { context, settings, cleanup, logger, stop } = start;
  const { clock } = context;
  const startedAt = clock.monotonic();
  const control = await startControlServer({
    socketPath: dataPaths(settings.dataDir).socket,
    commands: engine.commands,
    daemon: {
      mountpoint: mounted.mountpoint,
      dataDir: settings.dataDir,
      version: VERSION,
      uptimeSeconds: () => (clock.monotonic() - startedAt) / 1000,
      memoryBytes: () => process.memoryUsage.rss(),
      worker: () => worker?.state,
      http: () => http?.endpoint,
      logLevel: (level) => {
        const now = changeLogLevel(logger, level);
        if (level !== undefined) worker?.setLogLevel(now);
        return now;
      },
      shutdown: async (lazy) => {
        await unmountOnRequest(mounted, start.presence, worker, lazy, clock);
        stop.request('the unmount command');
      },
      handOver: (request, isCalledOff) => handOver(start, engine, worker, request, isCalledOff),
    },
    clock,
    logger,
  });
  cleanup.add('stop the control service', () => control.stop());
}

async function register(start: Start, mountpoint: string): Promise<void> {
  const { userId, environment } = start.context;
  const { dataDir } = start.settings;
  const registry = registryDirectory({ userId, environment, home: homedir() });
  start.cleanup.add('remove the mount record', () => removeMountRecord(registry, mountpoint));
  try {
    await addMountRecord(registry, { mountpoint, dataDir, pid: process.pid });
  } catch (error) {
    const fields = { error: describeError(error) };
    start.logger.warn(fields, 'no mount record could be written: unmount will need --data-dir');
  }
}

async function startAll(start: Start): Promise<Running> {
  const { context, settings, cleanup, logger, stop } = start;
  const { clock, random } = context;
  const claimed = await claim(start);
  const { path: mountpoint, notes: claimNotes } = claimed;
  stop.check();
  const locations = await locateStores(settings, mountpoint);
  const notes = [...claimNotes, ...storeNotes(locations)];
  for (const note of storeNotes(locations)) logger.warn({}, note);
  const storage = await openStorage(settings, locations, { clock, random, logger });
  cleanup.add('close the storage', () => storage.close());
  stop.check();
  const mounted = await mount(start, claimed, storage.engine);
  const servers = await startServers(start, mountpoint, storage.engine);
  stop.check();
  await serveControl(start, mounted, storage.engine, servers);
  await register(start, mountpoint);
  const fields = {
    mountpoint,
    dataDir: settings.dataDir,
    metadata: describeMetadata(locations.metadata),
    objects: describeObjects(locations.objects),
    holder: storage.holder,
    version: VERSION,
  };
  logger.info(fields, 'the file system is mounted');
  return { mountpoint, notes };
}

/** Signals, errors that nobody caught, and the limit of a shutdown. */
function watchForTheEnd(stop: StopRequest, options: DaemonOptions): void {
  const { context, logger } = options;
  const giveUp = (reason: string) => {
    logger.error({ reason }, 'the daemon ends without a clean shutdown; the next mount recovers');
    endNow();
  };
  endOnUncaughtErrors(logger);
  stopOnSignals(stop, giveUp);
  limitShutdown(stop, context.clock, giveUp);
  void stop.requested.then((reason) => options.onStopping(reason));
}

/**
 * Runs until somebody unmounts or a signal comes. Resolves to the exit code.
 * Throws what made the start fail, after undoing it: BUSY, INVALID_ARGUMENT, NOT_PERMITTED, …
 */
export async function runDaemon(given: DaemonOptions): Promise<number> {
  const problems = new RecentProblems(given.context.clock);
  const logger = problems.watch(given.logger);
  const options = { ...given, logger };
  process.title = MOUNT_SOURCE;
  forgetSecrets();
  const stop = createStopRequest(logger);
  const presence: Presence = { mountpoint: undefined };
  const cleanup = createCleanup(logger);
  watchForTheEnd(stop, options);
  let running: Running;
  try {
    const settings = await settle(options.settings);
    running = await startAll({ ...options, settings, cleanup, stop, presence, problems });
  } catch (error) {
    await cleanup.run();
    throw error;
  }
  const { mountpoint, notes } = running;
  await options.onReady({ mountpoint, notes });
  await stop.requested;
  const { failures } = await cleanup.run();
  logger.info({ failures }, 'the daemon has ended');
  return failures === 0 ? EXIT_OK : EXIT_FAILURE;
}
