/** The options that say where metadata and objects are, for every command that opens them. */
import type { Argv } from 'yargs';

function text(describe: string) {
  return { type: 'string', requiresArg: true, describe } as const;
}

export function storeOptions(yargs: Argv): Argv {
  return yargs
    .option(
      'metadata',
      text(
        'postgres://USER@HOST/DATABASE for many hosts, or a SQLite file, file:///… ' +
          '(default: in the data directory)',
      ),
    )
    .option(
      'metadata-file',
      text('File with the URL of the metadata in it, for secrets; - is standard input'),
    )
    .option(
      'objects',
      text(
        's3://BUCKET/PREFIX for many hosts, or a directory, file:///… ' +
          '(default: in the data directory)',
      ),
    )
    .option('s3-endpoint', text('https://HOST:PORT of an S3 store that is not AWS'))
    .option('s3-region', text('Region of the bucket (default: as AWS_REGION or ~/.aws say)'))
    .option('s3-path-style', {
      type: 'boolean',
      describe: 'https://HOST/BUCKET/… instead of https://BUCKET.HOST/…',
    })
    .option('s3-sse', text('Encryption by the store: AES256, aws:kms or aws:kms:KEY-ID'))
    .option('s3-ca', text('PEM file with the authorities to trust for the endpoint'));
}
