/**
 * Where a command's questions go: to the running daemon, or else to the data directory itself,
 * opened under the daemon's lock.
 */
import type { EngineCommands } from '../fs/engineCommands.js';
import { realPath } from '../layers/os/directories.js';
import { OpenduckError } from '../proto/errors.js';
import { auditedCommands } from './auditedCommands.js';
import type { CommandContext } from './commandContext.js';
import type { ControlClient } from './control/client.js';
import { connectDaemon } from './control/connect.js';
import {
  dataPaths,
  isDataDirectory,
  lockDataDirectory,
  unlockDataDirectory,
} from './dataDirectory.js';
import type { Settings } from './settings.js';
import { storeLocations } from './stores.js';

export interface CommandSession {
  readonly commands: EngineCommands;
  /** Where the databases are mounted, or undefined when no daemon runs. */
  readonly mountpoint: string | undefined;
  close(): Promise<void>;
}

async function throughDaemon(daemon: ControlClient): Promise<CommandSession> {
  try {
    const { mountpoint } = await daemon.status();
    return { commands: daemon, mountpoint, close: () => daemon.close() };
  } catch (error) {
    await daemon.close();
    throw error;
  }
}

async function withoutDaemon(
  context: CommandContext,
  given: Settings,
  command: string,
): Promise<CommandSession> {
  if (!(await isDataDirectory(given.dataDir))) {
    throw new OpenduckError(
      'NOT_FOUND',
      `${given.dataDir} is not a data directory of openduck-fuse`,
      {
        hint: `Name it with --data-dir, or create it with 'openduck-fuse mount MOUNTPOINT'.`,
      },
    );
  }
  // As the daemon does: the name without symbolic links is who we are to the metadata.
  const dataDir = await realPath(given.dataDir);
  const settings = { ...given, dataDir };
  const holder = { pid: process.pid, command, mountpoint: undefined };
  const lock = await lockDataDirectory(dataDir, holder, context.clock);
  try {
    const { createLogger } = await import('./logging.js');
    const { openStorage } = await import('./openStorage.js');
    const logger = createLogger('warn', 'pretty', dataPaths(dataDir).log);
    const { clock, random } = context;
    const locations = await storeLocations(settings);
    const storage = await openStorage(settings, locations, { clock, random, logger });
    return {
      commands: auditedCommands(storage.engine.commands, logger, {
        by: 'command',
        pid: process.pid,
        uid: context.userId,
      }),
      mountpoint: undefined,
      close: async () => {
        await storage.close();
        await unlockDataDirectory(lock);
      },
    };
  } catch (error) {
    await unlockDataDirectory(lock);
    throw error;
  }
}

/**
 * Throws NOT_FOUND (never used data directory), BUSY (a daemon is starting or ending), and what
 * opening or `work` throws. `command` is the name that others see while the lock is held.
 */
export async function withSession<T>(
  context: CommandContext,
  settings: Settings,
  command: string,
  work: (session: CommandSession) => Promise<T>,
): Promise<T> {
  const daemon = await connectDaemon(settings.dataDir, context.clock);
  const session = await (daemon === undefined
    ? withoutDaemon(context, settings, command)
    : throughDaemon(daemon));
  let result: T;
  try {
    result = await work(session);
  } catch (error) {
    // The first error is the one to tell; closing may fail for the same reason.
    await session.close().catch(() => {});
    throw error;
  }
  await session.close();
  return result;
}
