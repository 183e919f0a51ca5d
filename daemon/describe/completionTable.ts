/**
 * The command line as a table for the completion of bash and zsh: lines of
 * `COMMAND|WORD|KIND|DESCRIPTION`. WORD is a command (kind `command`), an option (kind `flag`, or
 * `value:` and what its value is), or the number of a positional (what stands there). COMMAND is `*`
 * for what every command has, and empty for the commands themselves.
 */
import { type CommandLineModel, type CommandModel, optionFlag } from './commandModel.js';
import { optionKind, positionalKind } from './valueKinds.js';

/** Paths under which a command is known: with each of its names. */
function pathsOf({ words, aliases }: CommandModel): string[] {
  const above = words.slice(0, -1);
  return [words.join(' '), ...aliases.map((alias) => [...above, alias].join(' '))];
}

function row(command: string, word: string, kind: string, describe: string): string {
  return [command, word, kind, describe.replaceAll(/\s+/g, ' ').replaceAll('|', '/')].join('|');
}

function optionRows(path: string, command: CommandModel | undefined, model: CommandLineModel) {
  return (command?.options ?? model.globals).map((option) => {
    const takesNext = !option.isFlag && !option.isOptional;
    const kind = takesNext ? `value:${optionKind(command, option)}` : 'flag';
    return row(path, optionFlag(option), kind, option.describe);
  });
}

function commandRows(command: CommandModel, model: CommandLineModel): string[] {
  return pathsOf(command).flatMap((path) => {
    const parts = path.split(' ');
    return [
      row(parts.slice(0, -1).join(' '), parts.at(-1)!, 'command', command.describe),
      ...command.positionals.map((positional, i) =>
        row(path, String(i + 1), positionalKind(command, positional), positional.describe),
      ),
      ...optionRows(path, command, model),
      ...command.subcommands.flatMap((inner) => commandRows(inner, model)),
    ];
  });
}

export function completionTable(model: CommandLineModel): string[] {
  return [
    ...optionRows('*', undefined, model),
    row('*', '--help', 'flag', 'Show help'),
    row('*', '--version', 'flag', 'Show the version'),
    ...model.commands.flatMap((command) => commandRows(command, model)),
  ];
}
