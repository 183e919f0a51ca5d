/** openduck-fuse snapshot DB | list | show | rename | rm | diff */
import type { Argv, CommandModule } from 'yargs';
import type { SnapshotSummary } from '../../fs/engineCommands.js';
import { OpenduckError } from '../../proto/errors.js';
import {
  type CommandContext,
  type Flags,
  JSON_OPTION,
  optionalTextFlag,
  printJson,
  readSettings,
  textFlag,
} from '../commandContext.js';
import { databaseName, snapshotPath } from '../databaseName.js';
import { snapshotTable } from '../databaseTable.js';
import { formatAge, formatSize } from '../quantities.js';
import { type CommandSession, withSession } from '../session.js';
import { withSnapshotStorage } from '../storage.js';
import { formatPairs } from '../table.js';
import { snapshotDiffCommand } from './snapshotDiff.js';

type Work = (session: CommandSession, database: string, json: boolean) => Promise<void>;

async function inSession(context: CommandContext, flags: Flags, work: Work): Promise<void> {
  const settings = await readSettings(context, flags);
  const database = databaseName(textFlag(flags, 'db'));
  const json = flags['json'] === true;
  await withSession(context, settings, 'snapshot', (session) => work(session, database, json));
}

async function pathOf(session: CommandSession, snapshot: SnapshotSummary): Promise<string> {
  const all = await session.commands.listSnapshots(snapshot.database);
  return snapshotPath(session.mountpoint, snapshot, all);
}

/** Only the id, for `id=$(openduck-fuse snapshot mydb)`. */
async function take(context: CommandContext, flags: Flags): Promise<void> {
  const name = optionalTextFlag(flags, 'name');
  await inSession(context, flags, async (session, database, json) => {
    const snapshot = await session.commands.takeSnapshot(database, name);
    if (json) printJson(context, { snapshot, path: await pathOf(session, snapshot) });
    else context.print(`${snapshot.id}\n`);
  });
}

async function resolve(context: CommandContext, flags: Flags): Promise<void> {
  const when = textFlag(flags, 'at');
  await inSession(context, flags, async (session, database, json) => {
    const snapshot = await session.commands.resolveSnapshot(database, when);
    const path = await pathOf(session, snapshot);
    if (json) return printJson(context, { snapshot, path });
    const { id, committedAt } = snapshot;
    context.print(
      formatPairs([
        ['id', id],
        ['time', committedAt],
        ['path', path],
      ]),
    );
  });
}

async function takeOrResolve(context: CommandContext, flags: Flags): Promise<void> {
  if (flags['at'] === undefined) return take(context, flags);
  if (flags['name'] === undefined) return resolve(context, flags);
  throw new OpenduckError('USAGE', '--name names a new snapshot, and --at looks one up', {
    hint: "Use one of them. 'openduck-fuse snapshot rename DB REF NEWNAME' names an old one.",
  });
}

async function list(context: CommandContext, flags: Flags): Promise<void> {
  await inSession(context, flags, async ({ commands }, database, json) => {
    const all = await commands.listSnapshots(database);
    const snapshots = await withSnapshotStorage(commands, database, all);
    if (json) printJson(context, { snapshots });
    else if (snapshots.length === 0) context.print('No snapshots yet.\n');
    else context.print(snapshotTable(snapshots, context.clock.now()));
  });
}

async function show(context: CommandContext, flags: Flags): Promise<void> {
  await inSession(context, flags, async (session, database, json) => {
    const snapshot = await session.commands.resolveSnapshot(database, textFlag(flags, 'ref'));
    const path = await pathOf(session, snapshot);
    if (json) return printJson(context, { snapshot, path });
    const age = formatAge(snapshot.committedAt, context.clock.now());
    context.print(
      formatPairs([
        ['id', snapshot.id],
        ['name', snapshot.name ?? '-'],
        ['database', snapshot.database],
        ['time', `${snapshot.committedAt} (${age} ago)`],
        ['published', snapshot.publishedAt],
        ['reason', snapshot.reason],
        ['sequence', String(snapshot.sequence)],
        ['version', String(snapshot.version)],
        ['size', formatSize(snapshot.size)],
        ['path', path],
      ]),
    );
  });
}

async function rename(context: CommandContext, flags: Flags): Promise<void> {
  const ref = textFlag(flags, 'ref');
  const name = textFlag(flags, 'newname');
  await inSession(context, flags, async ({ commands }, database, json) => {
    const snapshot = await commands.nameSnapshot(database, ref, name === '' ? undefined : name);
    if (json) printJson(context, { snapshot });
    else context.print(`${snapshot.id}  ${snapshot.name ?? '(no name)'}\n`);
  });
}

async function remove(context: CommandContext, flags: Flags): Promise<void> {
  const ref = textFlag(flags, 'ref');
  await inSession(context, flags, async ({ commands }, database, json) => {
    const snapshot = await commands.removeSnapshot(database, ref, flags['force'] === true);
    if (json) printJson(context, { snapshot });
    else context.print(`Removed ${snapshot.id} of ${snapshot.committedAt}\n`);
  });
}

const WHEN_HELP = "An id or unique prefix, a name, an ISO time, '5 minutes ago', or ~3";

function withDatabase(yargs: Argv): Argv {
  return yargs
    .positional('db', { type: 'string', demandOption: true, describe: 'Name of the database' })
    .option('json', JSON_OPTION);
}

function withReference(yargs: Argv): Argv {
  return withDatabase(yargs).positional('ref', {
    type: 'string',
    demandOption: true,
    describe: WHEN_HELP,
  });
}

function subcommands(context: CommandContext): CommandModule[] {
  return [
    {
      command: 'list <db>',
      describe: 'All snapshots of a database, newest first',
      builder: withDatabase,
      handler: (flags) => list(context, flags),
    },
    {
      command: 'show <db> <ref>',
      describe: 'One snapshot',
      builder: withReference,
      handler: (flags) => show(context, flags),
    },
    {
      command: 'rename <db> <ref> <newname>',
      describe: 'Give a snapshot another name',
      builder: (yargs) =>
        withReference(yargs).positional('newname', {
          type: 'string',
          demandOption: true,
          describe: "Unique within the database; '' takes the name away",
        }),
      handler: (flags) => rename(context, flags),
    },
    {
      command: 'rm <db> <ref>',
      describe: 'Remove a snapshot, but not the newest',
      builder: (yargs) =>
        withReference(yargs).option('force', {
          type: 'boolean',
          describe: 'Also one that has a name',
        }),
      handler: (flags) => remove(context, flags),
    },
    snapshotDiffCommand(context, withDatabase, WHEN_HELP),
    {
      command: '$0 <db>',
      describe: 'Take a snapshot now, or look one up with --at',
      builder: (yargs) =>
        withDatabase(yargs)
          .option('name', { type: 'string', requiresArg: true, describe: 'Name of the new one' })
          .option('at', { type: 'string', requiresArg: true, describe: WHEN_HELP }),
      handler: (flags) => takeOrResolve(context, flags),
    },
  ];
}

export function snapshotCommand(context: CommandContext): CommandModule {
  return {
    command: 'snapshot',
    describe: 'Take, find, list, name, compare and remove snapshots',
    builder: (yargs) => {
      for (const command of subcommands(context)) yargs.command(command);
      return yargs
        .example('$0 snapshot mydb --name before', 'Take one now; prints its id')
        .example("$0 snapshot mydb --at '5 minutes ago'", 'Its id, time and the path to open')
        .example('$0 snapshot list mydb', 'All of them');
    },
    handler: () => {},
  };
}
