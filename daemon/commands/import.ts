/** openduck-fuse import FILE DB */
import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { createByteProgress } from '../byteProgress.js';
import {
  type CommandContext,
  type Flags,
  JSON_OPTION,
  printJson,
  readSettings,
  textFlag,
} from '../commandContext.js';
import { databaseName } from '../databaseName.js';
import { formatSize } from '../quantities.js';
import { withSession } from '../session.js';
import { importFile } from '../transfer/importFile.js';

async function run(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readSettings(context, flags);
  const database = databaseName(textFlag(flags, 'db'));
  const file = resolve(textFlag(flags, 'file'));
  await withSession(context, settings, 'import', async ({ commands }) => {
    const progress = createByteProgress(context.clock, database);
    const replace = flags['replace'] === true;
    const report = await importFile({ commands, file, database, replace, progress }).finally(() =>
      progress.end(),
    );
    if (flags['json'] === true) return printJson(context, { database, ...report });
    const again = report.resumedFrom > 0 ? `, went on at ${formatSize(report.resumedFrom)}` : '';
    context.print(
      `Imported ${report.files.join(' and ')} as ${database} ` +
        `(${formatSize(report.bytes)}${again}), snapshot ${report.snapshot.id}\n`,
    );
  });
}

export function importCommand(context: CommandContext): CommandModule {
  return {
    command: 'import <file> <db>',
    describe: 'Bring a DuckDB file in, with its WAL, verified, all at once',
    builder: (yargs) =>
      yargs
        .positional('file', {
          type: 'string',
          demandOption: true,
          describe: 'A DuckDB file that nobody writes; FILE.wal comes along when it is there',
        })
        .positional('db', {
          type: 'string',
          demandOption: true,
          describe: 'Name of the database that it becomes',
        })
        .option('replace', {
          type: 'boolean',
          describe: 'Write over a database of that name; its content stays as a snapshot',
        })
        .option('json', JSON_OPTION)
        .example('$0 import big.duckdb sales', ''),
    handler: (flags) => run(context, flags),
  };
}
