/** The option of the HTTP side, for `mount`. */
import type { Argv } from 'yargs';

export function httpOptions(yargs: Argv): Argv {
  return yargs
    .option('http', {
      type: 'string',
      describe:
        'Serve databases for ATTACH by HTTP, a status page and metrics; --http=HOST:PORT (default: 127.0.0.1:7880)',
    })
    .example('$0 mount /mnt/duck --http', `ATTACH 'http://localhost:7880/db/mydb.duckdb'`);
}
