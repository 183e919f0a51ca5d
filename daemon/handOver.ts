/**
 * Handing a mount over to a newly started daemon (`mount --replace`). Only one process at a time
 * may own a data directory, so the old daemon ends before the new one opens it. What that costs its
 * users is kept small:
 *
 * 1. The new daemon is a running process with everything loaded before it asks the old one.
 * 2. The old one goes on as ever until nobody writes and all is published, and, within the limit,
 *    nobody reads. Then it lets nobody write any more: who opens a database for writing waits.
 * 3. It ends and leaves its mount in place, dead. So nobody finds the bare directory under it, and
 *    takes it for an empty one; a writer's DuckDB would even make a new database there.
 * 4. The new one opens the data directory and takes the place of the dead mount.
 *
 * Who has something open from before gets ENOTCONN for what the kernel has not cached, until he
 * opens it again: an open file belongs to the session with the old daemon, and the kernel gives it
 * to no other.
 */
import type { Engine } from '../fs/engine.js';
import { type DirectoryAttributes, directoryAttributes } from '../layers/os/directories.js';
import { readMountTable } from '../layers/os/mountTable.js';
import { isRunning } from '../layers/os/processes.js';
import { errorCode, OpenduckError } from '../proto/errors.js';
import type { Clock, Logger } from '../proto/ports.js';
import type { CommandContext } from './commandContext.js';
import { connectDaemon } from './control/connect.js';
import { probePath } from './pathProbe.js';
import { SHUTDOWN_LIMIT_MS } from './stopRequest.js';

export interface HandOverRequest {
  /** How long the old daemon waits for its users. */
  readonly drainMs: number;
  /** Also while somebody writes: the writer gets errors from then on. */
  readonly cutWriters: boolean;
}

/** Whether the new daemon has gone away while the old one waited. */
export type IsCalledOff = () => boolean;

const ASK_AGAIN_MS = 100;
const END_POLL_MS = 20;

/** Processes that have a database open for writing, as `mydb (pid 17)`. */
function writersOf(engine: Engine): string[] {
  return [...engine.databases()].flatMap(({ database }) =>
    engine.usage.writersOf(database).map((pid) => `${database.name} (pid ${pid})`),
  );
}

/** Keeps everybody from writing any database; undefined, and nobody, while one is written. */
function excludeAll(engine: Engine): (() => void) | undefined {
  const ends: (() => void)[] = [];
  const release = (): void => {
    for (const end of ends) end();
  };
  for (const { database } of engine.databases()) {
    const end = engine.usage.exclude(database);
    if (end === undefined) {
      release();
      return undefined;
    }
    ends.push(end);
  }
  return release;
}

/** Commits that are not published yet, and open readers, hold the end up for a while only. */
async function isIdle(engine: Engine): Promise<boolean> {
  const { databases } = await engine.commands.status();
  return databases.every(
    ({ readers, version, publishedVersion }) => readers === 0 && version === publishedVersion,
  );
}

/**
 * The old daemon's side: when it resolves, nobody writes and nobody can begin to, until this
 * process ends. Throws BUSY, naming the writers, or CANCELLED, and nothing has changed then.
 */
export async function comeToRest(
  engine: Engine,
  clock: Clock,
  logger: Logger,
  { drainMs, cutWriters }: HandOverRequest,
  isCalledOff: IsCalledOff,
): Promise<void> {
  const deadline = clock.monotonic() + drainMs;
  logger.info({ drainMs }, 'a new daemon asks for the mount');
  for (;;) {
    const isLate = clock.monotonic() >= deadline;
    const isTime = isLate || (await isIdle(engine));
    if (isCalledOff()) {
      logger.info({}, 'the hand-over was called off: this daemon goes on');
      throw new OpenduckError('CANCELLED', 'the hand-over was called off');
    }
    if (isTime) {
      if (excludeAll(engine) !== undefined) return;
      if (isLate) break;
    }
    await clock.sleep(ASK_AGAIN_MS);
  }
  const writers = writersOf(engine);
  const who = writers.length > 0 ? writers.join(', ') : 'somebody is just opening a database';
  if (!cutWriters) {
    throw new OpenduckError('BUSY', `the mount cannot be handed over while it is written: ${who}`, {
      hint: 'End the writers, wait longer with --drain, or cut them off with --cut-writers.',
    });
  }
  logger.warn({ writers: who }, 'writers are cut off: the mount is handed over');
}

/** After this, the data directory's lock is free. Throws UNAVAILABLE. */
export async function waitForEnd(clock: Clock, pid: number): Promise<void> {
  // The daemon limits its own shutdown; a little more, for the end of the process itself.
  const deadline = clock.monotonic() + SHUTDOWN_LIMIT_MS + 10_000;
  while (await isRunning(pid)) {
    if (clock.monotonic() > deadline) {
      throw new OpenduckError('UNAVAILABLE', `unmounted, but the daemon (pid ${pid}) still runs`, {
        hint: `See its daemon.log. 'kill -9 ${pid}' is safe: the next mount recovers.`,
      });
    }
    await clock.sleep(END_POLL_MS);
  }
}

/** What the new daemon knows of the mount whose place it takes. */
export interface TakenOver {
  /** Without symbolic links. */
  readonly mountpoint: string;
  /** Version of the daemon that has ended. */
  readonly version: string;
  /**
   * Of the directory under it; undefined: nothing covers it any more, since the old daemon was of a
   * version that only knows how to unmount.
   */
  readonly root: DirectoryAttributes | undefined;
}

/**
 * The new daemon's side: the daemon of this data directory has ended, and its mount is dead.
 * undefined: none runs, and nothing was done. Throws BUSY (writers are at work, or it is mounted
 * elsewhere), UNAVAILABLE; the old daemon goes on then.
 */
export async function takeOver(
  context: CommandContext,
  dataDir: string,
  given: string,
  request: HandOverRequest,
): Promise<TakenOver | undefined> {
  const daemon = await connectDaemon(dataDir, context.clock);
  if (daemon === undefined) return undefined;
  try {
    const { pid, mountpoint, version } = await daemon.status();
    const real = (await probePath(given)).real ?? given;
    if (real !== mountpoint) {
      throw new OpenduckError('BUSY', `the daemon of ${dataDir} is mounted at ${mountpoint}`, {
        hint: `Give that mountpoint, or unmount it first: 'openduck-fuse unmount ${mountpoint}'.`,
      });
    }
    const root = await directoryAttributes(mountpoint); // the old daemon answers
    try {
      await daemon.handOver(request);
    } catch (error) {
      // It may have died before it could answer; what it had acknowledged is recovered.
      if (errorCode(error) !== 'UNAVAILABLE' || (await isRunning(pid))) throw error;
    }
    await waitForEnd(context.clock, pid);
    const isCovered = (await readMountTable()).some((entry) => entry.mountpoint === mountpoint);
    return { mountpoint, version, root: isCovered ? root : undefined };
  } finally {
    await daemon.close();
  }
}
