/**
 * openduck-fuse bench: the benchmark of scripts/bench.ts, in a process of its own, since it runs
 * DuckDB.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CommandModule } from 'yargs';
import { OpenduckError } from '../../proto/errors.js';
import { type Flags, optionalTextFlag } from '../commandContext.js';
import { EXIT_USAGE } from '../exitCodes.js';

const PROGRAM = fileURLToPath(new URL('../../scripts/bench.js', import.meta.url));

/** Flags that the benchmark has under the same name. */
const TEXT_FLAGS = ['size', 'rounds', 'minutes', 'only', 'json', 'html'] as const;

function parametersOf(flags: Flags): string[] {
  const parameters = TEXT_FLAGS.flatMap((name) => {
    const value = optionalTextFlag(flags, name);
    return value === undefined ? [] : [`--${name}`, value];
  });
  return flags['quick'] === true ? [...parameters, '--quick'] : parameters;
}

/** Throws USAGE, UNAVAILABLE; the benchmark itself has said why. */
async function bench(flags: Flags): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM, ...parametersOf(flags)], { stdio: 'inherit' });
  // A signal of the terminal reaches both; the benchmark ends by itself, and then we do.
  const wait = (): void => {};
  process.on('SIGINT', wait);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  }).finally(() => process.off('SIGINT', wait));
  if (code === 0) return;
  const usage = code === EXIT_USAGE;
  throw new OpenduckError(usage ? 'USAGE' : 'UNAVAILABLE', 'the benchmark was not completed', {
    hint: 'See the lines above.',
  });
}

export function benchCommand(): CommandModule {
  return {
    command: 'bench',
    describe: 'Measure a mount against the local file system, with stock DuckDB',
    builder: (yargs) =>
      yargs
        .option('size', {
          type: 'string',
          requiresArg: true,
          describe: '100MB, 1GB (default), 4GB',
        })
        .option('rounds', { type: 'string', requiresArg: true, describe: 'Of each work, at most' })
        .option('minutes', {
          type: 'string',
          requiresArg: true,
          describe: 'In all; works that take long are done less often then (14 for each GB)',
        })
        .option('only', { type: 'string', requiresArg: true, describe: 'Names, with commas' })
        .option('quick', { type: 'boolean', describe: '100 MB and three rounds: some 3 minutes' })
        .option('json', { type: 'string', requiresArg: true, describe: 'Write the figures there' })
        .option('html', { type: 'string', requiresArg: true, describe: 'Write a page with charts' })
        .epilogue(
          'Everything is done in the directory for temporary files: TMPDIR chooses the disk.',
        ),
    handler: (flags) => bench(flags),
  };
}
