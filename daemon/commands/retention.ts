/** openduck-fuse retention DB */
import type { Argv, CommandModule } from 'yargs';
import type { RetentionSummary } from '../../fs/gc/report.js';
import type { RetentionPolicy } from '../../metadata/retention/policy.js';
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
import { databaseName } from '../databaseName.js';
import { formatDuration, parseSpan } from '../quantities.js';
import { withSession } from '../session.js';
import { formatPairs } from '../table.js';

/** Flags that count snapshots, and what each does. */
const COUNTS = [
  ['keep-last', 'keepLast', 'The newest N snapshots'],
  ['keep-minutely', 'keepMinutely', 'The last snapshot of each of the newest N minutes'],
  ['keep-hourly', 'keepHourly', 'The last snapshot of each of the newest N hours'],
  ['keep-daily', 'keepDaily', 'The last snapshot of each of the newest N days (UTC)'],
  ['keep-weekly', 'keepWeekly', 'The last snapshot of each of the newest N weeks'],
] as const satisfies readonly (readonly [string, keyof RetentionPolicy, string])[];

const WITHIN = 'keep-within';

function countOf(flags: Flags, flag: string): number | undefined {
  const text = optionalTextFlag(flags, flag);
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new OpenduckError('USAGE', `--${flag}: '${text}' is not a whole number`, {
    hint: 'Write how many snapshots to keep; 0 switches the rule off.',
  });
}

/** The rules that flags name; undefined: none. Throws USAGE. */
function changeOf(flags: Flags): Partial<RetentionPolicy> | undefined {
  const change: { -readonly [Rule in keyof RetentionPolicy]?: number } = {};
  for (const [flag, rule] of COUNTS) {
    const value = countOf(flags, flag);
    if (value !== undefined) change[rule] = value;
  }
  const within = optionalTextFlag(flags, WITHIN);
  if (within !== undefined) change.keepWithin = parseSpan(within, `--${WITHIN}`);
  return Object.keys(change).length === 0 ? undefined : change;
}

function printForPeople(
  context: CommandContext,
  { database, policy, isDefault }: RetentionSummary,
): void {
  const counts = COUNTS.map(([flag, rule]) => [flag, String(policy[rule])] as const);
  const within = policy.keepWithin === 0 ? '0' : formatDuration(policy.keepWithin);
  context.print(
    formatPairs([['database', database], ...counts, [WITHIN, within]]) +
      (isDefault ? '\nThis is the default.\n' : ''),
  );
}

async function retention(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readSettings(context, flags);
  const database = databaseName(textFlag(flags, 'db'));
  const change = changeOf(flags);
  const isReset = flags['default'] === true;
  if (isReset && change !== undefined) {
    throw new OpenduckError('USAGE', '--default is the whole policy: give no other rule', {
      hint: 'First --default, then the rules that differ.',
    });
  }
  await withSession(context, settings, 'retention', async ({ commands }) => {
    const summary =
      isReset || change !== undefined
        ? await commands.setRetention(database, change)
        : await commands.retention(database);
    if (flags['json'] === true) printJson(context, summary);
    else printForPeople(context, summary);
  });
}

function describe(yargs: Argv): Argv {
  yargs.positional('db', {
    type: 'string',
    demandOption: true,
    describe: 'Name of the database',
  });
  for (const [flag, , text] of COUNTS) {
    yargs.option(flag, { type: 'string', requiresArg: true, describe: text });
  }
  return yargs
    .option(WITHIN, {
      type: 'string',
      requiresArg: true,
      describe: 'All snapshots of so long before the newest',
    })
    .option('default', { type: 'boolean', describe: 'Back to the default' })
    .option('json', JSON_OPTION)
    .example('$0 retention mydb', 'What is kept')
    .example('$0 retention mydb --keep-daily 30 --keep-within 2d', 'Change two of the rules');
}

export function retentionCommand(context: CommandContext): CommandModule {
  return {
    command: 'retention <db>',
    describe: 'Which snapshots of a database are kept; named ones always are',
    builder: describe,
    handler: (flags) => retention(context, flags),
  };
}
