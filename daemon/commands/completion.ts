/** openduck-fuse completion bash|zsh|fish, and what these scripts ask while somebody types. */
import type { CommandModule } from 'yargs';
import {
  type CommandContext,
  type Flags,
  optionalTextFlag,
  readSettings,
  textFlag,
} from '../commandContext.js';
import type { Describe } from '../commandTable.js';
import type { ControlClient } from '../control/client.js';
import { connectDaemon } from '../control/connect.js';
import type { CommandLineModel } from '../describe/commandModel.js';
import { fishScript } from '../describe/fishScript.js';
import { bashScript, zshScript } from '../describe/shellScripts.js';
import { ourMountpoints } from '../mountpoint.js';

const SCRIPTS: Readonly<Record<string, (model: CommandLineModel) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** Somebody waits with a finger on the key. */
const PATIENCE_MS = 2000;
/** Of ids; names are all offered. */
const NEWEST = 30;

/** A word, or a word with what is told beside it. */
type Offer = readonly [word: string, describe?: string];
type Ask = (daemon: ControlClient, database: string | undefined) => Promise<Offer[]>;

async function snapshots(daemon: ControlClient, database: string | undefined): Promise<Offer[]> {
  if (database === undefined) return [];
  const all = await daemon.listSnapshots(database);
  const named = all.flatMap(({ name, committedAt }): Offer[] =>
    name === undefined ? [] : [[name, committedAt]],
  );
  return [...named, ...all.slice(0, NEWEST).map(({ id, committedAt }): Offer => [id, committedAt])];
}

const QUESTIONS: Readonly<Record<string, Ask>> = {
  databases: async (daemon) => (await daemon.status()).databases.map(({ name }) => [name]),
  dropped: async (daemon) =>
    [...new Set((await daemon.listDropped()).map(({ name }) => name))].map((name) => [name]),
  snapshots,
};

async function askDaemon(context: CommandContext, flags: Flags, ask: Ask): Promise<Offer[]> {
  const { dataDir } = await readSettings(context, flags);
  const daemon = await connectDaemon(dataDir, context.clock);
  if (daemon === undefined) return [];
  const database = optionalTextFlag(flags, 'db');
  const late = context.clock.sleep(PATIENCE_MS).then((): Offer[] => []);
  try {
    return await Promise.race([ask(daemon, database), late]);
  } finally {
    await daemon.close();
  }
}

/** Whatever goes wrong: an error in the middle of what somebody types helps nobody. */
async function offers(context: CommandContext, flags: Flags, what: string): Promise<Offer[]> {
  try {
    if (what === 'mounts') return (await ourMountpoints()).map((path) => [path]);
    const ask = QUESTIONS[what];
    return ask === undefined ? [] : await askDaemon(context, flags, ask);
  } catch {
    return [];
  }
}

async function completion(
  context: CommandContext,
  flags: Flags,
  describe: Describe,
): Promise<void> {
  const what = textFlag(flags, 'what');
  const script = SCRIPTS[what];
  if (script !== undefined) return context.print(script(await describe()));
  for (const offer of await offers(context, flags, what)) context.print(`${offer.join('\t')}\n`);
}

/** `describe`: the whole command line, with this command. */
export function completionCommand(context: CommandContext, describe: Describe): CommandModule {
  return {
    command: 'completion <what> [db]',
    describe: 'Print a script that lets a shell complete commands, databases and snapshots',
    builder: (yargs) =>
      yargs
        .positional('what', {
          type: 'string',
          demandOption: true,
          choices: [...Object.keys(SCRIPTS), ...Object.keys(QUESTIONS), 'mounts'],
          describe: 'The shell; or what these scripts ask a running daemon for',
        })
        .positional('db', { type: 'string', describe: 'Whose snapshots' })
        .example('source <($0 completion bash)', 'In ~/.bashrc')
        .example('source <($0 completion zsh)', 'In ~/.zshrc, after compinit')
        .example('$0 completion fish | source', 'In ~/.config/fish/config.fish'),
    handler: (flags) => completion(context, flags, describe),
  };
}
