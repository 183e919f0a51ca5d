/** openduck-fuse debug-bundle [FILE] */
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { CommandModule } from 'yargs';
import { writeNewFile } from '../../layers/os/textFile.js';
import {
  type CommandContext,
  type Flags,
  JSON_OPTION,
  optionalTextFlag,
  printJson,
} from '../commandContext.js';
import { formatSize } from '../quantities.js';
import { storeOptions } from '../storeOptions.js';

const pack = promisify(gzip);

/** `openduck-fuse-debug-20260131T235959Z` */
function bundleName(context: CommandContext): string {
  const time = new Date(context.clock.now()).toISOString().slice(0, 19).replaceAll(/[-:]/g, '');
  return `openduck-fuse-debug-${time}Z`;
}

async function debugBundle(context: CommandContext, flags: Flags): Promise<void> {
  const { collectBundle } = await import('../debugBundle/collect.js');
  const { tarOf } = await import('../debugBundle/tar.js');
  const name = bundleName(context);
  const entries = await collectBundle(context, flags);
  const inFolder = entries.map((entry) => ({ ...entry, name: `${name}/${entry.name}` }));
  const bytes = await pack(tarOf(inFolder, Math.floor(context.clock.now() / 1000)));
  const path = resolve(optionalTextFlag(flags, 'file') ?? `${name}.tar.gz`);
  await writeNewFile(path, bytes);
  const files = entries.map((entry) => entry.name);
  if (flags['json'] === true) return printJson(context, { path, bytes: bytes.length, files });
  context.print(
    `${path} (${formatSize(bytes.length)}): ${files.join(', ')}\n` +
      'Passwords, tokens and statements were taken out; names of databases, hosts and paths are ' +
      `in it.\nLook through it before you pass it on:  tar -xzOf ${path} | less\n`,
  );
}

export function debugBundleCommand(context: CommandContext): CommandModule {
  return {
    command: 'debug-bundle [file]',
    describe: 'One file with redacted logs, settings, status and findings, for who helps you',
    builder: (yargs) =>
      storeOptions(yargs)
        .positional('file', {
          type: 'string',
          describe: 'A new file (default: openduck-fuse-debug-TIME.tar.gz here)',
        })
        .option('json', JSON_OPTION)
        .example('$0 debug-bundle', '')
        .example('$0 debug-bundle /tmp/duck.tar.gz --config /etc/openduck/duck.toml', ''),
    handler: (flags) => debugBundle(context, flags),
  };
}
