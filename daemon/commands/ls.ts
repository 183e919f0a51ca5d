/** openduck-fuse ls [DB] */
import type { CommandModule } from 'yargs';
import type { DatabaseSummary, EngineCommands, SnapshotSummary } from '../../fs/engineCommands.js';
import {
  type CommandContext,
  type Flags,
  optionalTextFlag,
  printJson,
  readSettings,
} from '../commandContext.js';
import { databaseName, findDatabase } from '../databaseName.js';
import { databaseTable, snapshotTable } from '../databaseTable.js';
import { formatSize } from '../quantities.js';
import { withSession } from '../session.js';
import { formatTable } from '../table.js';

/** `snapshot list` shows all of them. */
const RECENT_SNAPSHOTS = 10;

async function listAll(
  context: CommandContext,
  json: boolean,
  commands: EngineCommands,
): Promise<void> {
  const { databases } = await commands.status();
  if (json) printJson(context, { databases });
  else if (databases.length === 0) context.print('No databases yet.\n');
  else context.print(databaseTable(databases, context.clock.now()));
}

function printDatabase(
  context: CommandContext,
  database: DatabaseSummary,
  snapshots: readonly SnapshotSummary[],
): void {
  const now = context.clock.now();
  const files = database.files.map((file) => [file.name, formatSize(file.size)]);
  context.print(databaseTable([database], now));
  context.print(`\n${formatTable([{ title: 'FILE' }, { title: 'SIZE', align: 'right' }], files)}`);
  if (snapshots.length === 0) context.print('\nNo snapshots yet.\n');
  else context.print(`\n${snapshotTable(snapshots, now)}`);
}

async function listOne(
  context: CommandContext,
  json: boolean,
  commands: EngineCommands,
  name: string,
): Promise<void> {
  const database = findDatabase((await commands.status()).databases, name);
  const snapshots = (await commands.listSnapshots(name)).slice(0, RECENT_SNAPSHOTS);
  if (json) printJson(context, { database, snapshots });
  else printDatabase(context, database, snapshots);
}

async function ls(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readSettings(context, flags);
  const name = optionalTextFlag(flags, 'db');
  const json = flags['json'] === true;
  await withSession(context, settings, 'ls', ({ commands }) =>
    name === undefined
      ? listAll(context, json, commands)
      : listOne(context, json, commands, databaseName(name)),
  );
}

export function lsCommand(context: CommandContext): CommandModule {
  return {
    command: 'ls [db]',
    describe: 'List the databases, or the files and newest snapshots of one',
    builder: (yargs) =>
      yargs
        .positional('db', { type: 'string', describe: 'Name of a database' })
        .option('json', { type: 'boolean', describe: 'For programs; the keys are stable' })
        .example('$0 ls', 'All databases')
        .example('$0 ls mydb', 'One database with its files and snapshots'),
    handler: (flags) => ls(context, flags),
  };
}
