/** openduck-fuse gateway */
import type { Argv, CommandModule } from 'yargs';
import { type CommandContext, type Flags, readDaemonSettings } from '../commandContext.js';
import { LOG_LEVELS } from '../settings.js';

function text(describe: string) {
  return { type: 'string', requiresArg: true, describe } as const;
}

function describe(yargs: Argv): Argv {
  return yargs
    .option('listen', text('HOST:PORT for clients and workers (default: 127.0.0.1:7879)'))
    .option('token', text('What clients and workers have to present; may do everything'))
    .option('tokens', text('TOML file of tokens and what each may do'))
    .option('tls-cert', text('PEM file: the certificate; clients then use https://'))
    .option('tls-key', text('PEM file: its key'))
    .option('tls-client-ca', text('PEM file: only clients with a certificate of these'))
    .option('worker-token', text('What workers are called with (default: what they register with)'))
    .option('worker-ca', text('PEM file with the authorities to trust for workers at https://'))
    .option('worker-cert', text('PEM file: the certificate to show to workers'))
    .option('worker-key', text('PEM file: its key'))
    .option('max-queue', text('Executions that may wait for a worker (default: 256)'))
    .option('drain', text('How long executions may go on at the end (default: 30s)'))
    .option('log-level', text(`One of ${LOG_LEVELS.join(', ')} (default: info)`))
    .example('$0 gateway --token SECRET', 'For this machine; see docs/gateway.md for more')
    .example('$0 worker /mnt/duck --gateway http://127.0.0.1:7879 --gateway-token SECRET …', '');
}

/** Until a signal ends it. */
async function gateway(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readDaemonSettings(context, flags);
  const { createLogger } = await import('../logging.js');
  const { runGateway } = await import('../gateway/runGateway.js');
  const logger = createLogger(settings.logLevel, process.stderr.isTTY ? 'pretty' : 'json');
  await runGateway({
    settings,
    clock: context.clock,
    logger,
    onReady: (endpoint) => context.print(`Serving at ${endpoint}\n`),
  });
}

export function gatewayCommand(context: CommandContext): CommandModule {
  return {
    command: 'gateway',
    describe: 'One address for many workers, in the foreground',
    builder: describe,
    handler: (flags) => gateway(context, flags),
  };
}
