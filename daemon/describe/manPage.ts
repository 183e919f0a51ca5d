/** The manual page openduck-fuse(1), made of the command line itself. */
import type {
  CommandExample,
  CommandLineModel,
  CommandModel,
  OptionModel,
  PositionalModel,
} from './commandModel.js';

/** Text as roff takes it: nothing in it is a request or an escape. */
function escaped(text: string): string {
  const plain = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replaceAll('≥', '>=')
    .replaceAll("'", '\\(aq')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replaceAll('`', '\\(ga');
  return plain.replaceAll(/^\./gm, '\\&.');
}

const bold = (text: string): string => `\\fB${escaped(text)}\\fR`;
const italic = (text: string): string => `\\fI${escaped(text)}\\fR`;

/** A paragraph with a tag before it. */
const tagged = (tag: string, text: string): string[] => ['.TP', tag, escaped(text || ' ')];

function optionTag({ name, isFlag, isOptional, choices }: OptionModel): string {
  if (isFlag) return bold(`--${name}`);
  const value = choices.length > 0 ? choices.join('|') : 'VALUE';
  if (isOptional) return `${bold(`--${name}`)}[=${italic(value)}]`;
  return `${bold(`--${name}`)} ${italic(value)}`;
}

function positionalWord({ name, isRequired }: PositionalModel): string {
  const word = italic(name.toUpperCase());
  return isRequired ? word : `[${word}]`;
}

function usageOf(command: CommandModel): string {
  const parts = [bold(command.words.join(' ')), ...command.positionals.map(positionalWord)];
  for (const option of command.options.filter(({ isRequired }) => isRequired)) {
    parts.push(optionTag(option));
  }
  if (command.options.some(({ isRequired }) => !isRequired)) parts.push(`[${italic('OPTION')}]...`);
  return parts.join(' ');
}

const optionLines = (option: OptionModel): string[] =>
  tagged(optionTag(option), option.isRequired ? `${option.describe} (required)` : option.describe);

function positionalLines(positional: PositionalModel): string[] {
  const { name, describe, choices } = positional;
  const known = choices.length > 0 ? `: ${choices.join(', ')}` : '';
  return tagged(italic(name.toUpperCase()), describe + known);
}

function exampleLines(program: string, examples: readonly CommandExample[]): string[] {
  return examples.flatMap(({ command, describe }) =>
    tagged(bold(command.replaceAll('$0', program)), describe),
  );
}

function commandLines(command: CommandModel, program: string): string[] {
  const { aliases, positionals, options, examples, epilogue, subcommands } = command;
  const other = aliases.length > 0 ? ` Also called ${aliases.join(', ')}.` : '';
  return [
    `.SS ${usageOf(command)}`,
    escaped(`${command.describe}.${other}`),
    ...positionals.flatMap(positionalLines),
    ...options.flatMap(optionLines),
    ...(epilogue === undefined ? [] : ['.PP', escaped(epilogue)]),
    ...exampleLines(program, examples),
    ...subcommands.flatMap((inner) => commandLines(inner, program)),
  ];
}

const FILES: readonly (readonly [string, string])[] = [
  ['/var/lib/openduck', 'Data directory of root'],
  ['~/.local/share/openduck', 'Data directory of everybody else ($XDG_DATA_HOME/openduck)'],
  ['DATA_DIR/daemon.log', 'Log of a daemon in the background; SIGUSR2 opens it anew'],
  ['DATA_DIR/daemon.sock', 'Where commands ask the daemon'],
  ['DATA_DIR/metadata.db, DATA_DIR/objects', 'The stores, unless others were chosen'],
];

const EXIT_CODES: readonly (readonly [string, string])[] = [
  ['0', 'Done'],
  ['1', 'Failure'],
  ['2', 'Wrong usage'],
  ['3', 'Not found'],
  ['4', 'Locked or held elsewhere'],
];

const SETTINGS =
  'Settings are taken from options, then from environment variables (--data-dir is ' +
  'OPENDUCK_DATA_DIR, and so on), then from the file that --config or OPENDUCK_CONFIG names (TOML, ' +
  'with the names of the options as keys), then from the defaults. Of options that are on by ' +
  'default, --no-NAME is the opposite.';

const WHEN =
  'Where a snapshot is asked for: its name, its id or a unique beginning of it (four digits at ' +
  "least), an ISO time, a time such as '5 minutes ago', or ~N for the N-th before the newest.";

/** roff of the macros man(7). */
export function manPage(model: CommandLineModel): string {
  const { program, version, summary, globals, commands, examples } = model;
  return [
    `.\\" Made of the command line by 'npm run man'; changes here are lost.`,
    `.TH ${escaped(program.toUpperCase())} 1 "" "${escaped(`${program} ${version}`)}" "User Commands"`,
    '.nh',
    '.SH NAME',
    `${escaped(program)} \\- ${escaped(summary.replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    `${bold(program)} ${italic('COMMAND')} [${italic('OPTION')}]...`,
    '.SH DESCRIPTION',
    escaped(summary),
    escaped('Every NAME.duckdb in the mounted directory can be written by one DuckDB process and'),
    escaped('read by any number of others at the same time. Commits are kept: NAME@REF.duckdb is'),
    escaped('the database as it was at the snapshot REF.'),
    ...exampleLines(program, examples),
    '.SH OPTIONS OF EVERY COMMAND',
    ...globals.flatMap(optionLines),
    ...tagged(bold('--help'), 'Show help, of a command if one is named'),
    ...tagged(bold('--version'), 'Show the version'),
    '.SH COMMANDS',
    ...commands.flatMap((command) => commandLines(command, program)),
    '.SH SNAPSHOTS',
    escaped(WHEN),
    '.SH SETTINGS',
    escaped(SETTINGS),
    '.SH FILES',
    ...FILES.flatMap(([path, text]) => tagged(italic(path), text)),
    '.SH EXIT STATUS',
    ...EXIT_CODES.flatMap(([code, text]) => tagged(bold(code), text)),
    '.SH SEE ALSO',
    `${escaped('The documentation in the directory docs of the package;')} ${bold('fusermount3')}(1), ${bold('mount')}(8)`,
    '',
  ].join('\n');
}
