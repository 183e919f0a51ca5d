/** openduck-fuse warm DB[@WHEN] */
import type { CommandModule } from 'yargs';
import type { WarmProgress } from '../../fs/warm.js';
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

/** The newest snapshot. */
const NEWEST = '~0';

async function warmAll(
  { commands }: CommandSession,
  database: string,
  when: string,
  show: (progress: WarmProgress) => void,
): Promise<WarmProgress> {
  // One snapshot for all parts, whatever is published meanwhile.
  const { id } = await commands.resolveSnapshot(database, when);
  let progress = await commands.warm(database, id, 0);
  while (progress.position < progress.total) {
    show(progress);
    const { total } = progress;
    progress = await commands.warm(database, id, progress.position);
    // Its layers were merged meanwhile: what is warm already takes no time.
    if (progress.total !== total) progress = await commands.warm(database, id, 0);
  }
  show(progress);
  return progress;
}

async function warm(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readSettings(context, flags);
  const { database, when = NEWEST } = splitReference(textFlag(flags, 'db'));
  await withSession(context, settings, 'warm', async (session) => {
    const isTerminal = process.stderr.isTTY;
    const show = ({ position, total }: WarmProgress): void => {
      if (!isTerminal) return;
      context.complain(`\r${database}: ${formatSize(position)} of ${formatSize(total)}  `);
    };
    const { total } = await warmAll(session, database, when, show);
    if (isTerminal) context.complain('\n');
    if (flags['json'] === true) printJson(context, { database, bytes: total });
    else context.print(`${database} is warm (${formatSize(total)})\n`);
  });
}

export function warmCommand(context: CommandContext): CommandModule {
  return {
    command: 'warm <db>',
    describe: 'Load a database into the local cache before it is needed',
    builder: (yargs) =>
      yargs
        .positional('db', {
          type: 'string',
          demandOption: true,
          describe: 'Database, or DB@WHEN for a snapshot of it',
        })
        .option('json', JSON_OPTION)
        .example('$0 warm mydb', 'The newest snapshot, on a fresh host'),
    handler: (flags) => warm(context, flags),
  };
}
