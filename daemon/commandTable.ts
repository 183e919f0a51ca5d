/**
 * Every command, loaded when it is wanted: a command line names one of them, and loading all of
 * them takes longer than most commands do.
 */
import type { CommandModule } from 'yargs';
import type { CommandContext } from './commandContext.js';
import type { CommandLineModel } from './describe/commandModel.js';

/** The whole command line, for a command that tells of it. */
export type Describe = () => Promise<CommandLineModel>;

type Load = (context: CommandContext, describe: Describe) => Promise<CommandModule>;

/** In the order of the help. */
const COMMANDS: Readonly<Record<string, Load>> = {
  mount: async (context) => (await import('./commands/mount.js')).mountCommand(context),
  unmount: async (context) => (await import('./commands/unmount.js')).unmountCommand(context),
  status: async (context) => (await import('./commands/status.js')).statusCommand(context),
  stats: async (context) => (await import('./commands/stats.js')).statsCommand(context),
  ls: async (context) => (await import('./commands/ls.js')).lsCommand(context),
  snapshot: async (context) => (await import('./commands/snapshot.js')).snapshotCommand(context),
  recover: async (context) => (await import('./commands/recover.js')).recoverCommand(context),
  warm: async (context) => (await import('./commands/warm.js')).warmCommand(context),
  doctor: async (context) => (await import('./commands/doctor.js')).doctorCommand(context),
  'rebuild-metadata': async (context) =>
    (await import('./commands/rebuildMetadata.js')).rebuildMetadataCommand(context),
  bench: async () => (await import('./commands/bench.js')).benchCommand(),
  clone: async (context) => (await import('./commands/clone.js')).cloneCommand(context),
  restore: async (context) => (await import('./commands/restore.js')).restoreCommand(context),
  undrop: async (context) => (await import('./commands/undrop.js')).undropCommand(context),
  reset: async (context) => (await import('./commands/restore.js')).resetCommand(context),
  export: async (context) => (await import('./commands/export.js')).exportCommand(context),
  import: async (context) => (await import('./commands/import.js')).importCommand(context),
  fsck: async (context) => (await import('./commands/fsck.js')).fsckCommand(context),
  query: async (context) => (await import('./commands/query.js')).queryCommand(context),
  cancel: async (context) => (await import('./commands/cancel.js')).cancelCommand(context),
  retention: async (context) => (await import('./commands/retention.js')).retentionCommand(context),
  gc: async (context) => (await import('./commands/gc.js')).gcCommand(context),
  worker: async (context) => (await import('./commands/worker.js')).workerCommand(context),
  gateway: async (context) => (await import('./commands/gateway.js')).gatewayCommand(context),
  'log-level': async (context) => (await import('./commands/logLevel.js')).logLevelCommand(context),
  'debug-bundle': async (context) =>
    (await import('./commands/debugBundle.js')).debugBundleCommand(context),
  completion: async (context, describe) =>
    (await import('./commands/completion.js')).completionCommand(context, describe),
};

/** All of them, in the order of the help. */
export function loadCommands(
  context: CommandContext,
  describe: Describe,
): Promise<CommandModule[]> {
  return Promise.all(Object.values(COMMANDS).map((load) => load(context, describe)));
}

/**
 * The commands that a command line beginning with `first` may mean: one when that is its name, else
 * all (options come first, it is another name or a wrong one, or help is wanted).
 */
export async function loadCommandsFor(
  first: string | undefined,
  context: CommandContext,
  describe: Describe,
): Promise<CommandModule[]> {
  const load = Object.hasOwn(COMMANDS, first ?? '') ? COMMANDS[first!] : undefined;
  return load === undefined ? loadCommands(context, describe) : [await load(context, describe)];
}
