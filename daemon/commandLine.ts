/** The command line as a whole: which commands there are, and what a wrong one is told. */
import yargs, { type Argv, type CommandModule, type Options } from 'yargs';
import { OpenduckError } from '../proto/errors.js';
import type { CommandContext } from './commandContext.js';
import { loadCommands, loadCommandsFor } from './commandTable.js';
import { type CommandLineModel, modelOf, optionModels } from './describe/commandModel.js';
import { VERSION } from './version.js';

const NAME = 'openduck-fuse';
const WIDEST_HELP = 100;

const EPILOGUE = `Settings are taken from flags, then from OPENDUCK_* variables (OPENDUCK_DATA_DIR,
OPENDUCK_WRITER_WAIT, …), then from the config file, then from the defaults.
Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 locked or held elsewhere.`;

const SUMMARY = 'A directory of DuckDB databases: one writer, many readers, history.';

const GLOBAL_OPTIONS = {
  'data-dir': {
    type: 'string',
    requiresArg: true,
    describe: 'Where everything is kept (root: /var/lib/openduck, else ~/.local/share/openduck)',
  },
  config: { type: 'string', requiresArg: true, describe: 'TOML file with settings' },
} as const satisfies Readonly<Record<string, Options>>;

const EXAMPLES = [
  { command: '$0 mount /mnt/duck', describe: 'Then: duckdb /mnt/duck/mydb.duckdb' },
  { command: '$0 snapshot mydb --name before', describe: '' },
] as const;

/** The whole command line as data. */
export async function describeCommandLine(context: CommandContext): Promise<CommandLineModel> {
  const describe = () => describeCommandLine(context);
  return {
    program: NAME,
    version: VERSION,
    summary: SUMMARY,
    globals: optionModels(GLOBAL_OPTIONS),
    commands: (await loadCommands(context, describe)).map((module) => modelOf(module)),
    examples: EXAMPLES,
  };
}

function createParser(commands: readonly CommandModule[], words: readonly string[]): Argv {
  const parser = yargs([...words])
    .scriptName(NAME)
    .usage(`$0 COMMAND\n\n${SUMMARY}`)
    .parserConfiguration({ 'duplicate-arguments-array': false, 'camel-case-expansion': false })
    .options(GLOBAL_OPTIONS);
  for (const command of commands) parser.command(command);
  for (const { command, describe } of EXAMPLES) parser.example(command, describe);
  return parser
    .epilogue(EPILOGUE)
    .demandCommand(1, 'a command is missing')
    .recommendCommands()
    .strict()
    .version(VERSION)
    .help()
    .alias('help', 'h')
    .wrap(Math.min(WIDEST_HELP, process.stdout.columns ?? WIDEST_HELP))
    .exitProcess(false)
    .fail((message, error) => {
      throw failureOf(message, error, words, namesOf(commands));
    });
}

/** First words of commands, and their other names. */
function namesOf(commands: readonly CommandModule[]): string[] {
  return commands.flatMap(({ command, aliases = [] }) => [
    String(command).split(' ')[0]!,
    ...[aliases].flat(),
  ]);
}

/** In the words of somebody who did not write the parser. */
function reword(message: string): string {
  return message
    .replaceAll('\n', ' ')
    .replace(
      /^Not enough non-option arguments: got (\d+), need at least (\d+)$/,
      'an argument is missing: $1 given, $2 needed',
    );
}

/** yargs complains with a message, or with a YError; everything else was thrown by a command. */
function failureOf(
  message: string | null,
  error: Error | undefined,
  words: readonly string[],
  commands: readonly string[],
): unknown {
  if (error !== undefined && error.name !== 'YError') return error;
  const command = words.find((word) => commands.includes(word));
  const help = [NAME, ...(command === undefined ? [] : [command]), '--help'].join(' ');
  const text = reword(message ?? error?.message ?? 'wrong usage');
  return new OpenduckError('USAGE', text, { hint: `See '${help}'.` });
}

/**
 * Runs the command that `words` (without node and script) name. Throws USAGE, or what the command
 * throws.
 */
export async function runCommandLine(
  context: CommandContext,
  words: readonly string[],
): Promise<void> {
  const describe = () => describeCommandLine(context);
  const commands = await loadCommandsFor(words[0], context, describe);
  await createParser(commands, words).parseAsync();
}
