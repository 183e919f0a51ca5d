/** openduck-fuse unmount MOUNTPOINT */
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { unmount as takeDown } from '../../fs/session/mountCommands.js';
import { errorCode, OpenduckError } from '../../proto/errors.js';
import { type CommandContext, type Flags, readSettings, textFlag } from '../commandContext.js';
import type { ControlClient } from '../control/client.js';
import { connectDaemon } from '../control/connect.js';
import { waitForEnd } from '../handOver.js';
import { busyError } from '../holders.js';
import { type MountState, mountState } from '../mountpoint.js';
import { probePath } from '../pathProbe.js';
import { findMountRecord, registryDirectory, removeMountRecord } from '../registry.js';
import type { Settings } from '../settings.js';

function registryOf({ userId, environment }: CommandContext): string {
  return registryDirectory({ userId, environment, home: homedir() });
}

/** The named data directory only, or else those that are likely to serve the mountpoint. */
async function candidateDataDirs(
  context: CommandContext,
  settings: Settings,
  mountpoint: string,
): Promise<string[]> {
  if (settings.dataDirGiven) return [settings.dataDir];
  const registry = registryOf(context);
  const record = await findMountRecord(registry, mountpoint);
  return record === undefined ? [settings.dataDir] : [record.dataDir, settings.dataDir];
}

/** A connection to the daemon that serves `mountpoint` and answers; the caller closes it. */
async function findDaemon(
  context: CommandContext,
  dataDirs: readonly string[],
  mountpoint: string,
  state: MountState,
): Promise<ControlClient | undefined> {
  for (const dataDir of dataDirs) {
    const client = await connectDaemon(dataDir, context.clock);
    if (client === undefined) continue;
    try {
      if ((await client.status()).mountpoint === mountpoint) return client;
    } catch (error) {
      // A hung daemon answers neither on the mount nor on the socket.
      if (errorCode(error) !== 'UNAVAILABLE' || state.kind !== 'silent') {
        await client.close();
        throw error;
      }
    }
    await client.close();
  }
  return undefined;
}

function notMounted(mountpoint: string, dataDirs: readonly string[]): OpenduckError {
  return new OpenduckError('NOT_FOUND', `openduck-fuse has not mounted anything at ${mountpoint}`, {
    hint: `Asked: ${dataDirs.join(', ')}. See 'openduck-fuse status --data-dir DIR'.`,
  });
}

/** For a mount whose daemon could not be asked. Returns what was done, for the user. */
async function unmountWithoutDaemon(
  context: CommandContext,
  mountpoint: string,
  state: MountState,
  lazy: boolean,
): Promise<string> {
  if (state.kind === 'stale') {
    await takeDown(mountpoint, true);
    await removeMountRecord(registryOf(context), mountpoint); // the dead daemon could not
    return `Detached the stale mount at ${mountpoint}: its daemon was gone.`;
  }
  if (lazy) {
    await takeDown(mountpoint, true);
    return state.kind === 'silent'
      ? `Detached ${mountpoint}; its daemon did not answer, and may have to be killed.`
      : `Detached ${mountpoint}; its daemon ends when the last file there is closed.`;
  }
  if (state.kind === 'silent') {
    throw new OpenduckError('BUSY', `the daemon of ${mountpoint} does not answer`, {
      hint: `Detach the mount with 'openduck-fuse unmount --lazy ${mountpoint}'.`,
    });
  }
  try {
    await takeDown(mountpoint, false);
  } catch (error) {
    throw errorCode(error) === 'BUSY' ? await busyError(mountpoint) : error;
  }
  return `Unmounted ${mountpoint}; its daemon is ending.`;
}

/** False when there is no daemon to ask. */
async function shutDown(
  context: CommandContext,
  dataDirs: readonly string[],
  mountpoint: string,
  state: MountState,
  lazy: boolean,
): Promise<boolean> {
  const daemon = await findDaemon(context, dataDirs, mountpoint, state);
  if (daemon === undefined) return false;
  try {
    const { pid } = await daemon.shutdown(lazy);
    await waitForEnd(context.clock, pid);
    return true;
  } finally {
    await daemon.close();
  }
}

async function unmount(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readSettings(context, flags);
  const lazy = flags['lazy'] === true;
  const given = resolve(textFlag(flags, 'mountpoint'));
  const mountpoint = (await probePath(given)).real ?? given;
  const dataDirs = await candidateDataDirs(context, settings, mountpoint);
  const state = await mountState(mountpoint);
  if (await shutDown(context, dataDirs, mountpoint, state, lazy)) {
    context.print(`Unmounted ${mountpoint}\n`);
    return;
  }
  if (state.kind === 'none' || state.kind === 'foreign') throw notMounted(mountpoint, dataDirs);
  context.print(`${await unmountWithoutDaemon(context, mountpoint, state, lazy)}\n`);
}

export function unmountCommand(context: CommandContext): CommandModule {
  return {
    command: 'unmount <mountpoint>',
    aliases: ['umount'],
    describe: 'Unmount, and end the daemon',
    builder: (yargs) =>
      yargs
        .positional('mountpoint', { type: 'string', demandOption: true, describe: 'Where' })
        .option('lazy', {
          type: 'boolean',
          describe: 'Also while files are open there: they fail from then on',
        })
        .example('$0 unmount /mnt/duck', 'Returns when the daemon has ended'),
    handler: (flags) => unmount(context, flags),
  };
}
