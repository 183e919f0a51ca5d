/** openduck-fuse undrop DB [NEW_NAME] */
import type { CommandModule } from 'yargs';
import {
  type CommandContext,
  type Flags,
  JSON_OPTION,
  optionalTextFlag,
  printJson,
  readSettings,
  textFlag,
} from '../commandContext.js';
import { databaseName } from '../databaseName.js';
import { formatSize } from '../quantities.js';
import { withSession } from '../session.js';

async function undrop(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readSettings(context, flags);
  const dropped = databaseName(textFlag(flags, 'db'));
  const name = databaseName(optionalTextFlag(flags, 'new') ?? dropped);
  await withSession(context, settings, 'undrop', async ({ commands }) => {
    const back = await commands.undrop(dropped, optionalTextFlag(flags, 'id'), name);
    if (flags['json'] === true) printJson(context, back);
    else context.print(`${name} is back (${formatSize(back.size)})\n`);
  });
}

export function undropCommand(context: CommandContext): CommandModule {
  return {
    command: 'undrop <db> [new]',
    describe: 'Bring a removed database back',
    builder: (yargs) =>
      yargs
        .positional('db', { type: 'string', demandOption: true, describe: 'Its name' })
        .positional('new', { type: 'string', describe: 'Another name for it' })
        .option('id', {
          type: 'string',
          requiresArg: true,
          describe: 'Which one, when several of that name were removed: see ls --dropped',
        })
        .option('json', JSON_OPTION)
        .example('$0 undrop mydb', 'The one that was removed last')
        .example('$0 undrop mydb mydb_old', 'When there is another mydb by now'),
    handler: (flags) => undrop(context, flags),
  };
}
