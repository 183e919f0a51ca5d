/** openduck-fuse ls [DB] */
import type { CommandModule } from 'yargs';
import type { EngineCommands } from '../../fs/engineCommands.js';
import {
  type CommandContext,
  type Flags,
  JSON_OPTION,
  optionalTextFlag,
  printJson,
  readSettings,
} from '../commandContext.js';
import { databaseName, findDatabase } from '../databaseName.js';
import { databaseTable, droppedTable, snapshotTable } from '../databaseTable.js';
import { formatSize } from '../quantities.js';
import { withSession } from '../session.js';
import {
  type ListedDatabase,
  type ListedSnapshot,
  withDatabaseStorage,
  withSnapshotStorage,
} from '../storage.js';
import { formatTable } from '../table.js';

/** `snapshot list` shows all of them. */
const RECENT_SNAPSHOTS = 10;

async function listAll(
  context: CommandContext,
  json: boolean,
  commands: EngineCommands,
): Promise<void> {
  const { databases: all } = await commands.status();
  const databases = await withDatabaseStorage(commands, all);
  if (json) printJson(context, { databases });
  else if (databases.length === 0) context.print('No databases yet.\n');
  else context.print(databaseTable(databases, context.clock.now()));
}

function printDatabase(
  context: CommandContext,
  database: ListedDatabase,
  snapshots: readonly ListedSnapshot[],
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
  const found = findDatabase((await commands.status()).databases, name);
  const [database] = await withDatabaseStorage(commands, [found]);
  const recent = (await commands.listSnapshots(name)).slice(0, RECENT_SNAPSHOTS);
  const snapshots = await withSnapshotStorage(commands, name, recent);
  if (json) printJson(context, { database, snapshots });
  else printDatabase(context, database!, snapshots);
}

async function listDropped(
  context: CommandContext,
  json: boolean,
  commands: EngineCommands,
  name: string | undefined,
): Promise<void> {
  const all = await commands.listDropped();
  const dropped = name === undefined ? all : all.filter((database) => database.name === name);
  if (json) printJson(context, { dropped });
  else if (dropped.length === 0) context.print('None was dropped.\n');
  else context.print(droppedTable(dropped, context.clock.now()));
}

async function ls(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readSettings(context, flags);
  const given = optionalTextFlag(flags, 'db');
  const name = given === undefined ? undefined : databaseName(given);
  const json = flags['json'] === true;
  await withSession(context, settings, 'ls', ({ commands }) => {
    if (flags['dropped'] === true) return listDropped(context, json, commands, name);
    if (name === undefined) return listAll(context, json, commands);
    return listOne(context, json, commands, name);
  });
}

export function lsCommand(context: CommandContext): CommandModule {
  return {
    command: 'ls [db]',
    describe: 'List the databases, or the files and newest snapshots of one',
    builder: (yargs) =>
      yargs
        .positional('db', { type: 'string', describe: 'Name of a database' })
        .option('dropped', {
          type: 'boolean',
          describe: 'Removed databases, which openduck-fuse undrop brings back',
        })
        .option('json', JSON_OPTION)
        .example('$0 ls', 'All databases')
        .example('$0 ls mydb', 'One database with its files and snapshots'),
    handler: (flags) => ls(context, flags),
  };
}
