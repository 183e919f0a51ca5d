/** openduck-fuse log-level [LEVEL] */
import type { CommandModule } from 'yargs';
import { OpenduckError } from '../../proto/errors.js';
import {
  type CommandContext,
  type Flags,
  JSON_OPTION,
  optionalTextFlag,
  printJson,
  readSettings,
} from '../commandContext.js';
import { connectDaemon } from '../control/connect.js';
import { LOG_LEVELS } from '../settings.js';

async function logLevel(context: CommandContext, flags: Flags): Promise<void> {
  const { dataDir } = await readSettings(context, flags);
  const daemon = await connectDaemon(dataDir, context.clock);
  if (daemon === undefined) {
    throw new OpenduckError('NOT_FOUND', `no daemon runs on ${dataDir}`, {
      hint: 'The level of the next one is --log-level of mount.',
    });
  }
  try {
    const level = await daemon.logLevel(optionalTextFlag(flags, 'level'));
    if (flags['json'] === true) printJson(context, { level });
    else context.print(`${level}\n`);
  } finally {
    await daemon.close();
  }
}

export function logLevelCommand(context: CommandContext): CommandModule {
  return {
    command: 'log-level [level]',
    describe: "Level of the running daemon's log: shows it, or changes it until the daemon ends",
    builder: (yargs) =>
      yargs
        .positional('level', { type: 'string', choices: LOG_LEVELS, describe: 'The new one' })
        .option('json', JSON_OPTION)
        .example('$0 log-level debug', 'Look closer for a while; then: log-level info'),
    handler: (flags) => logLevel(context, flags),
  };
}
