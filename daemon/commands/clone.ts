/** openduck-fuse clone DB[@WHEN] NEW */
import type { CommandModule } from 'yargs';
import {
  type CommandContext,
  type Flags,
  JSON_OPTION,
  printJson,
  readSettings,
  textFlag,
} from '../commandContext.js';
import { databaseName, splitReference } from '../databaseName.js';
import { formatSize } from '../quantities.js';
import { withSession } from '../session.js';

async function clone(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readSettings(context, flags);
  const { database, when } = splitReference(textFlag(flags, 'db'));
  const name = databaseName(textFlag(flags, 'new'));
  await withSession(context, settings, 'clone', async ({ commands }) => {
    const made = await commands.clone(database, when, name);
    if (flags['json'] === true) printJson(context, made);
    else context.print(`Cloned ${textFlag(flags, 'db')} as ${name} (${formatSize(made.size)})\n`);
  });
}

export function cloneCommand(context: CommandContext): CommandModule {
  return {
    command: 'clone <db> <new>',
    describe: 'Make a branch: a database of its own with the same content, copying nothing',
    builder: (yargs) =>
      yargs
        .positional('db', {
          type: 'string',
          demandOption: true,
          describe: 'Database, or DB@WHEN for a snapshot of it',
        })
        .positional('new', {
          type: 'string',
          demandOption: true,
          describe: 'Name of the new database',
        })
        .option('json', JSON_OPTION)
        .example('$0 clone mydb test', 'The newest commit, also beside a writer')
        .example("$0 clone 'mydb@1 hour ago' test", 'As it was'),
    handler: (flags) => clone(context, flags),
  };
}
