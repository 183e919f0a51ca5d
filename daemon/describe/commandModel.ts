/**
 * The command line as data, for the manual page and the completion of shells. It is read off the
 * builders that yargs gets, so that it cannot say anything else than the program does.
 */
import type { Argv, CommandModule, Options, PositionalOptions } from 'yargs';

export interface OptionModel {
  /** Without dashes. */
  readonly name: string;
  readonly describe: string;
  readonly isFlag: boolean;
  /** A value may be left out. */
  readonly isOptional: boolean;
  readonly isRequired: boolean;
  readonly choices: readonly string[];
}

export interface PositionalModel {
  readonly name: string;
  readonly describe: string;
  readonly isRequired: boolean;
  readonly choices: readonly string[];
}

export interface CommandExample {
  /** With `$0` for the program. */
  readonly command: string;
  readonly describe: string;
}

export interface CommandModel {
  /** One word, two for subcommands. */
  readonly words: readonly string[];
  /** Other names of its last word. */
  readonly aliases: readonly string[];
  readonly describe: string;
  readonly positionals: readonly PositionalModel[];
  readonly options: readonly OptionModel[];
  readonly examples: readonly CommandExample[];
  readonly epilogue: string | undefined;
  readonly subcommands: readonly CommandModel[];
}

const textsOf = (choices: Options['choices']): string[] => [...(choices ?? [])].map(String);

/** Has the part of yargs that our builders call; any other call is a TypeError. */
class Recorder {
  readonly positionals: PositionalModel[] = [];
  readonly options: OptionModel[] = [];
  readonly examples: CommandExample[] = [];
  readonly modules: CommandModule[] = [];
  text: string | undefined;

  positional(name: string, spec: PositionalOptions): this {
    const { describe = '', demandOption, choices } = spec;
    const isRequired = demandOption === true;
    this.positionals.push({ name, describe, isRequired, choices: textsOf(choices) });
    return this;
  }

  option(name: string, spec: Options): this {
    const { describe = '', type, requiresArg, demandOption, choices } = spec;
    const isFlag = type === 'boolean';
    this.options.push({
      name,
      describe: String(describe),
      isFlag,
      isOptional: !isFlag && requiresArg !== true && choices === undefined,
      isRequired: demandOption === true,
      choices: textsOf(choices),
    });
    return this;
  }

  example(command: string, describe: string): this {
    this.examples.push({ command, describe });
    return this;
  }

  epilogue(text: string): this {
    this.text = text;
    return this;
  }

  command(module: CommandModule): this {
    this.modules.push(module);
    return this;
  }
}

/** The words of `snapshot list <db>`; `$0` is the command above itself. */
function wordsOf(module: CommandModule, above: readonly string[]): string[] {
  const [word] = String(module.command).split(' ');
  return word === '$0' ? [...above] : [...above, word!];
}

/** Positionals in the order of the command's own line; builders may name them in any. */
function inOrder(module: CommandModule, positionals: readonly PositionalModel[]) {
  const names = [...String(module.command).matchAll(/[<[]([\w-]+)[>\]]/g)].map((m) => m[1]!);
  return names.map((name) => positionals.find((positional) => positional.name === name)!);
}

/** Throws TypeError for a builder that calls what this does not know. */
export function modelOf(module: CommandModule, above: readonly string[] = []): CommandModel {
  const recorder = new Recorder();
  if (typeof module.builder === 'function') module.builder(recorder as unknown as Argv);
  const words = wordsOf(module, above);
  const all = recorder.modules.map((inner) => ({ inner, model: modelOf(inner, words) }));
  // What is done without a subcommand is the command itself.
  const own = all.find(({ inner }) => String(inner.command).startsWith('$0'))?.model;
  return {
    words,
    aliases: [module.aliases ?? []].flat(),
    describe: String(module.describe ?? ''),
    positionals: own?.positionals ?? inOrder(module, recorder.positionals),
    options: own?.options ?? recorder.options,
    examples: recorder.examples,
    epilogue: recorder.text,
    subcommands: all.filter(({ model }) => model !== own).map(({ model }) => model),
  };
}

export interface CommandLineModel {
  readonly program: string;
  readonly version: string;
  /** One sentence. */
  readonly summary: string;
  /** Options of every command. */
  readonly globals: readonly OptionModel[];
  readonly commands: readonly CommandModel[];
  readonly examples: readonly CommandExample[];
}

/** Options as yargs has them, by name. */
export function optionModels(specs: Readonly<Record<string, Options>>): OptionModel[] {
  const recorder = new Recorder();
  for (const [name, spec] of Object.entries(specs)) recorder.option(name, spec);
  return recorder.options;
}

/** With subcommands, each command before its own. */
export function allCommands({ commands }: CommandLineModel): CommandModel[] {
  return commands.flatMap((command) => [command, ...command.subcommands]);
}

export const optionFlag = ({ name }: OptionModel): string => `--${name}`;
