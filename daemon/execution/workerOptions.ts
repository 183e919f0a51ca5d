/** The options of a worker, for `mount` and `worker`. */
import type { Argv } from 'yargs';

function text(describe: string) {
  return { type: 'string', requiresArg: true, describe } as const;
}

export function workerOptions(yargs: Argv): Argv {
  return yargs
    .option('token', text('What clients have to present; may do everything'))
    .option('tokens', text('TOML file of tokens and what each may do'))
    .option('tls-cert', text('PEM file: the certificate; clients then use https://'))
    .option('tls-key', text('PEM file: its key'))
    .option('tls-client-ca', text('PEM file: only clients with a certificate of these'))
    .option('init-sql', text('File with SQL that every DuckDB of the worker runs first'))
    .option('external-access', {
      type: 'boolean',
      describe: 'Let statements reach files and the network (default: only with --init-sql)',
    })
    .option('max-concurrency', text('Executions at a time (default: 8)'))
    .option('max-queue', text('Executions that may wait (default: 64)'))
    .option('memory-limit', text('For DuckDB, in all (default: half of the memory)'))
    .option('threads', text('For each DuckDB (default: as many as there are processors)'))
    .option('gateway', text('http://HOST:PORT of a gateway to register with'))
    .option('gateway-token', text('What the gateway asks of workers'))
    .option('gateway-ca', text('PEM file with the authorities to trust for the gateway'))
    .option('advertise', text('http://HOST:PORT under which the gateway reaches the worker'))
    .option('databases', text('Told to the gateway, as a,b,c (default: those that there are)'))
    .option('tables', text('Told to the gateway, as a,b,c'))
    .option('compute-context', text('Told to the gateway: which kind of worker this is'));
}
