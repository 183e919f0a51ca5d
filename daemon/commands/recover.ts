/** openduck-fuse recover ASIDE NAME */
import type { CommandModule } from 'yargs';
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

async function recover(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readSettings(context, flags);
  const name = databaseName(textFlag(flags, 'name'));
  await withSession(context, settings, 'recover', async ({ commands }) => {
    const database = await commands.recover(textFlag(flags, 'aside'), name);
    if (flags['json'] === true) printJson(context, database);
    else context.print(`Recovered ${database.name} (${formatSize(database.size)})\n`);
  });
}

export function recoverCommand(context: CommandContext): CommandModule {
  return {
    command: 'recover <aside> <name>',
    describe: 'Make a database of commits that were set aside when another host took over',
    builder: (yargs) =>
      yargs
        .positional('aside', {
          type: 'string',
          demandOption: true,
          describe: 'What was set aside, as openduck-fuse status names it',
        })
        .positional('name', {
          type: 'string',
          demandOption: true,
          describe: 'Name of the new database',
        })
        .option('json', JSON_OPTION),
    handler: (flags) => recover(context, flags),
  };
}
