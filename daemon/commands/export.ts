/** openduck-fuse export DB[@WHEN] FILE */
import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import type { SnapshotSummary } from '../../fs/engineCommands.js';
import { OpenduckError } from '../../proto/errors.js';
import { createByteProgress } from '../byteProgress.js';
import {
  type CommandContext,
  type Flags,
  JSON_OPTION,
  printJson,
  readSettings,
  textFlag,
} from '../commandContext.js';
import { splitReference } from '../databaseName.js';
import { formatSize } from '../quantities.js';
import { type CommandSession, withSession } from '../session.js';
import { exportSnapshot } from '../transfer/exportSnapshot.js';

/** Without WHEN: the newest commit, which becomes a snapshot for it. */
async function chooseSnapshot(
  { commands }: CommandSession,
  database: string,
  when: string | undefined,
): Promise<SnapshotSummary> {
  const which = when ?? (await commands.takeSnapshot(database, undefined)).id;
  // Retention leaves what was asked for alone for a while.
  return commands.resolveSnapshot(database, which);
}

function requireOutside(file: string, mountpoint: string | undefined): void {
  if (mountpoint === undefined || !file.startsWith(`${mountpoint}/`)) return;
  throw new OpenduckError('USAGE', `${file} is inside of the mount`, {
    hint: 'Name a file elsewhere; within the mount, cp copies.',
  });
}

async function run(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readSettings(context, flags);
  const { database, when } = splitReference(textFlag(flags, 'db'));
  const file = resolve(textFlag(flags, 'file'));
  await withSession(context, settings, 'export', async (session) => {
    requireOutside(file, session.mountpoint);
    const snapshot = await chooseSnapshot(session, database, when);
    const progress = createByteProgress(context.clock, database);
    const report = await exportSnapshot({
      commands: session.commands,
      database,
      snapshot: snapshot.id,
      file,
      force: flags['force'] === true,
      checkpoint: flags['checkpoint'] !== false,
      progress,
    }).finally(() => progress.end());
    if (flags['json'] === true) return printJson(context, { database, snapshot, file, ...report });
    const again = report.resumedFrom > 0 ? `, went on at ${formatSize(report.resumedFrom)}` : '';
    context.print(
      `Exported ${database} of ${snapshot.committedAt} to ${report.files.join(' and ')} ` +
        `(${formatSize(report.bytes)}${again})\n`,
    );
  });
}

export function exportCommand(context: CommandContext): CommandModule {
  return {
    command: 'export <db> <file>',
    describe: 'Write a database, or a snapshot of it, to a plain file for stock DuckDB',
    builder: (yargs) =>
      yargs
        .positional('db', {
          type: 'string',
          demandOption: true,
          describe: 'Database, or DB@WHEN for a snapshot of it',
        })
        .positional('file', {
          type: 'string',
          demandOption: true,
          describe: 'Where to; FILE.part while it is not whole, and a second run goes on there',
        })
        .option('force', { type: 'boolean', describe: 'Write over FILE' })
        .option('checkpoint', {
          type: 'boolean',
          default: true,
          describe: 'Put the WAL into the file; --no-checkpoint leaves it beside, as FILE.wal',
        })
        .option('json', JSON_OPTION)
        .example('$0 export mydb backup.duckdb', 'The newest commit')
        .example("$0 export 'mydb@1 hour ago' backup.duckdb", ''),
    handler: (flags) => run(context, flags),
  };
}
