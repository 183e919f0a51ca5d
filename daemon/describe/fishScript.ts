/** The completion script for fish. */
import {
  allCommands,
  type CommandLineModel,
  type CommandModel,
  type OptionModel,
} from './commandModel.js';
import { optionKind, positionalKind, type ValueKind } from './valueKinds.js';

const quoted = (text: string): string =>
  `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

const HELPERS = `
# The words before the cursor that are no options and no values of options.
function __openduck_fuse_words
    set -l skip no
    for token in (commandline -opc)[2..-1]
        if test $skip = yes
            set skip no
        else if contains -- $token $__openduck_fuse_valued
            set skip yes
        else if not string match -q -- '-*' $token
            printf '%s\\n' $token
        end
    end
end

# Whether they begin with these.
function __openduck_fuse_in
    set -l words (__openduck_fuse_words)
    set -l count (count $argv)
    test $count -eq 0; and return 0
    test (count $words) -ge $count; and test "$words[1..$count]" = "$argv"
end

# Whether they are these, and so many more: COUNT WORD...
function __openduck_fuse_at
    set -l words (__openduck_fuse_words)
    __openduck_fuse_in $argv[2..-1]; or return 1
    test (count $words) -eq (math (count $argv) - 1 + $argv[1])
end

# The value of an option on the line.
function __openduck_fuse_option
    set -l tokens (commandline -opc)
    for i in (seq (count $tokens))
        if test $tokens[$i] = $argv[1]; and test $i -lt (count $tokens)
            printf '%s\\n' $tokens[(math $i + 1)]
        else if string match -q -- "$argv[1]=*" $tokens[$i]
            string replace -- "$argv[1]=" '' $tokens[$i]
        end
    end
end

function __openduck_fuse_ask
    set -l place
    for name in --data-dir --config
        set -l value (__openduck_fuse_option $name)
        test (count $value) -gt 0; and set -a place $name $value[-1]
    end
    command openduck-fuse completion $argv $place 2>/dev/null
end

# Snapshots of the database that --database names, or else the word after so many.
function __openduck_fuse_references
    set -l database (__openduck_fuse_option --database)
    set -l words (__openduck_fuse_words)
    set -l first (math $argv[1] + 1)
    test (count $database) -gt 0; or set database $words[$first]
    test -n "$database"; and __openduck_fuse_ask snapshots (string replace -r '@.*' '' $database)
end

# NAME, and NAME@REFERENCE after an '@'.
function __openduck_fuse_points
    set -l parts (string split -m 1 @ -- (commandline -ct))
    if test (count $parts) -gt 1
        __openduck_fuse_ask snapshots $parts[1] | string replace -r '^' "$parts[1]@"
    else
        __openduck_fuse_ask databases
    end
end
`;

/** What follows `-a` or stands for it. */
function offer(kind: ValueKind, pathLength: number): string {
  if (kind.startsWith('words:')) return `-a ${quoted(kind.slice(6).replaceAll(',', ' '))}`;
  switch (kind) {
    case 'databases':
    case 'dropped':
    case 'mounts':
      return `-a '(__openduck_fuse_ask ${kind})'`;
    case 'databases@':
      return "-a '(__openduck_fuse_points)'";
    case 'references':
      return `-a '(__openduck_fuse_references ${pathLength})'`;
    case 'file':
      return '-F';
    case 'directory':
      return "-a '(__fish_complete_directories)'";
    default:
      return '';
  }
}

function optionLine(condition: string, command: CommandModel | undefined, option: OptionModel) {
  const takesNext = !option.isFlag && !option.isOptional;
  const value = takesNext
    ? `-x ${offer(optionKind(command, option), command?.words.length ?? 0)}`
    : '';
  const files = value.startsWith('-x -F') ? value.replace('-x -F', '-r -F') : value;
  const describe = `-d ${quoted(option.describe)}`;
  return `complete -c openduck-fuse ${condition}-l ${option.name} ${files} ${describe}`;
}

function commandLines(command: CommandModel): string[] {
  const { words, subcommands } = command;
  const above = words.slice(0, -1).join(' ');
  const path = words.join(' ');
  const names = [words.at(-1)!, ...command.aliases];
  const notInner = subcommands.map(
    (inner) => `; and not __openduck_fuse_in ${inner.words.join(' ')}`,
  );
  const inside = `-n '__openduck_fuse_in ${path}${notInner.join('')}' `;
  const positionals = command.positionals.map((positional, i) => {
    const what = offer(positionalKind(command, positional), words.length);
    return what === ''
      ? []
      : [`complete -c openduck-fuse -n '__openduck_fuse_at ${i} ${path}' ${what}`];
  });
  return [
    ...names.map(
      (name) =>
        `complete -c openduck-fuse -n '__openduck_fuse_at 0 ${above}' -a ${name} ` +
        `-d ${quoted(command.describe)}`,
    ),
    ...positionals.flat(),
    ...command.options.map((option) => optionLine(inside, command, option)),
    ...subcommands.flatMap(commandLines),
  ];
}

/** Names of options whose next word is their value, in every command that has them. */
function valued(model: CommandLineModel): string[] {
  const all = [...model.globals, ...allCommands(model).flatMap(({ options }) => options)];
  const flags = new Set(all.filter(({ isFlag }) => isFlag).map(({ name }) => name));
  const names = all.filter(({ isFlag, isOptional }) => !isFlag && !isOptional);
  return [...new Set(names.map(({ name }) => name))].filter((name) => !flags.has(name));
}

export function fishScript(model: CommandLineModel): string {
  const { program, version } = model;
  return [
    `# Completion of ${program} ${version} for fish; made by '${program} completion fish'.`,
    `set -g __openduck_fuse_valued ${valued(model)
      .map((name) => `--${name}`)
      .join(' ')}`,
    HELPERS,
    'complete -c openduck-fuse -f',
    ...model.globals.map((option) => optionLine('', undefined, option)),
    ...model.commands.flatMap(commandLines),
    '',
  ].join('\n');
}
