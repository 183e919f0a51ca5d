/** openduck-fuse restore DB --at WHEN, reset DB */
import type { Argv, CommandModule } from 'yargs';
import type { EngineCommands, SnapshotSummary } from '../../fs/engineCommands.js';
import {
  type CommandContext,
  type Flags,
  JSON_OPTION,
  printJson,
  readSettings,
  textFlag,
} from '../commandContext.js';
import { databaseName } from '../databaseName.js';
import { formatSize, parseDuration } from '../quantities.js';
import { withSession } from '../session.js';

/** A writer that has just ended needs a moment. */
const DEFAULT_WAIT = '1s';

type Work = (
  commands: EngineCommands,
  database: string,
  waitMs: number,
) => Promise<SnapshotSummary>;

async function restoreBy(
  context: CommandContext,
  flags: Flags,
  command: string,
  work: Work,
): Promise<void> {
  const waitMs = parseDuration(textFlag(flags, 'wait'), '--wait');
  const settings = await readSettings(context, flags);
  const database = databaseName(textFlag(flags, 'db'));
  await withSession(context, settings, command, async ({ commands }) => {
    const snapshot = await work(commands, database, waitMs);
    if (flags['json'] === true) return printJson(context, { snapshot });
    const { id, size } = snapshot;
    context.print(
      `${database} is restored (${formatSize(size)}); its newest snapshot is ${id} now, ` +
        'and what it was before is ~1\n',
    );
  });
}

function withOptions(yargs: Argv): Argv {
  return yargs
    .positional('db', { type: 'string', demandOption: true, describe: 'Name of the database' })
    .option('wait', {
      type: 'string',
      requiresArg: true,
      default: DEFAULT_WAIT,
      describe: 'How long to wait for who writes the database',
    })
    .option('json', JSON_OPTION);
}

export function restoreCommand(context: CommandContext): CommandModule {
  return {
    command: 'restore <db>',
    describe: 'Go back to an older snapshot; what is newer stays in the history',
    builder: (yargs) =>
      withOptions(yargs)
        .option('at', {
          type: 'string',
          requiresArg: true,
          demandOption: true,
          describe: "An id or unique prefix, a name, an ISO time, '5 minutes ago', or ~3",
        })
        .example("$0 restore mydb --at '~1'", 'One step back')
        .example("$0 restore mydb --at '2 hours ago' --wait 10s", ''),
    handler: (flags) =>
      restoreBy(context, flags, 'restore', (commands, database, waitMs) =>
        commands.restore(database, textFlag(flags, 'at'), waitMs),
      ),
  };
}

export function resetCommand(context: CommandContext): CommandModule {
  return {
    command: 'reset <db>',
    describe: 'Take a cloned database back to where it was cloned from',
    builder: withOptions,
    handler: (flags) =>
      restoreBy(context, flags, 'reset', (commands, database, waitMs) =>
        commands.reset(database, waitMs),
      ),
  };
}
