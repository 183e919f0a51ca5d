/** openduck-fuse cancel ID */
import type { CommandModule } from 'yargs';
import { OpenduckError } from '../../proto/errors.js';
import { type CommandContext, type Flags, textFlag } from '../commandContext.js';
import { endpointOptions, serverAddress } from '../query/endpointFlags.js';

async function cancel(context: CommandContext, flags: Flags): Promise<void> {
  const id = textFlag(flags, 'id');
  const { target, options } = await serverAddress(context, flags);
  const { connect } = await import('../../exec/client/session.js');
  const session = await connect(target, options);
  try {
    if (await session.cancel(id)) return context.print(`cancelled ${id}\n`);
  } finally {
    await session.close();
  }
  throw new OpenduckError('NOT_FOUND', `no execution ${id} runs there`, {
    hint: `'openduck-fuse query --verbose' tells the id of an execution when it begins.`,
  });
}

export function cancelCommand(context: CommandContext): CommandModule {
  return {
    command: 'cancel <id>',
    describe: 'End a query that runs on a worker or gateway',
    builder: (yargs) =>
      endpointOptions(yargs).positional('id', {
        type: 'string',
        demandOption: true,
        describe: 'Of the execution, as query --verbose tells it',
      }),
    handler: (flags) => cancel(context, flags),
  };
}
