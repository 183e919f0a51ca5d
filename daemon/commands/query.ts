/** openduck-fuse query SQL */
import type { CommandModule } from 'yargs';
import { readStandardInput } from '../../layers/os/textFile.js';
import { OpenduckError } from '../../proto/errors.js';
import {
  type CommandContext,
  durationFlag,
  type Flags,
  optionalTextFlag,
  textFlag,
} from '../commandContext.js';
import { endpointOptions, whomToAsk } from '../query/endpointFlags.js';

export const FORMATS = ['table', 'json', 'csv', 'arrow', 'parquet'] as const;
export type Format = (typeof FORMATS)[number];

const STANDARD_INPUT = '-';

async function statementOf(flags: Flags): Promise<string> {
  const given = textFlag(flags, 'sql');
  // yargs makes an empty text of a lone `-`.
  const isDash = given === '' && process.argv.includes(STANDARD_INPUT);
  const sql = isDash ? await readStandardInput() : given;
  if (sql.trim() !== '') return sql;
  throw new OpenduckError('USAGE', 'the statement is empty', {
    hint: `See 'openduck-fuse query --help'.`,
  });
}

async function query(context: CommandContext, flags: Flags): Promise<void> {
  const sql = await statementOf(flags);
  const format = textFlag(flags, 'format') as Format;
  const output = optionalTextFlag(flags, 'output');
  const askWhom = await whomToAsk(context, flags);
  // DuckDB and Arrow are loaded here and nowhere else: no other command needs them.
  const { runQuery } = await import('../query/runQuery.js');
  await runQuery(context, {
    sql,
    askWhom,
    format,
    output,
    database: optionalTextFlag(flags, 'database'),
    at: optionalTextFlag(flags, 'at'),
    local: ((flags['local'] as string[] | undefined) ?? []).map(String),
    explain: flags['explain'] === true,
    analyze: flags['analyze'] === true,
    verbose: flags['verbose'] === true,
    timeoutMs: durationFlag(flags, 'timeout'),
  });
}

export function queryCommand(context: CommandContext): CommandModule {
  return {
    command: 'query <sql>',
    describe: 'Run SQL on a worker, a gateway or the mount, joined with local files if you like',
    builder: (yargs) =>
      endpointOptions(yargs)
        .positional('sql', {
          type: 'string',
          demandOption: true,
          describe: `The statement, or ${STANDARD_INPUT} for standard input`,
        })
        .option('database', { type: 'string', requiresArg: true, describe: 'Which one to ask' })
        .option('at', {
          type: 'string',
          requiresArg: true,
          describe: 'Read a snapshot: its id, name, time, or ~N',
        })
        .option('format', { choices: FORMATS, default: 'table', describe: 'Of the result' })
        .option('output', {
          type: 'string',
          requiresArg: true,
          describe: 'File for the result, instead of standard output',
        })
        .option('local', {
          type: 'string',
          array: true,
          requiresArg: true,
          describe: 'Local .duckdb, .parquet, .csv or .json files that the statement may use',
        })
        .option('explain', { type: 'boolean', describe: 'Show what would be done where' })
        .option('analyze', { type: 'boolean', describe: 'With --explain: do it, and count' })
        .option('timeout', {
          type: 'string',
          requiresArg: true,
          describe: 'Give up after, e.g. 30s',
        })
        .option('verbose', {
          type: 'boolean',
          describe: 'Tell the execution id, for cancel, and what was moved',
        })
        .example(`$0 query 'SELECT count(*) FROM t' --database mydb`, '')
        .example(`$0 query - --format csv < report.sql > report.csv`, ''),
    handler: (flags) => query(context, flags),
  };
}
