/** openduck-fuse fsck */
import { join, resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { errorCode, OpenduckError } from '../../proto/errors.js';
import {
  type CommandContext,
  type Flags,
  JSON_OPTION,
  optionalTextFlag,
  printJson,
  readSettings,
} from '../commandContext.js';
import { databaseName } from '../databaseName.js';
import type { Finding, FsckReport } from '../fsck/finding.js';
import { createProgress } from '../progress.js';
import { withSession } from '../session.js';
import type { Settings } from '../settings.js';

const DEFAULT_SAMPLE = 3;

function sampleOf(flags: Flags): number {
  const sample = flags['sample'] === undefined ? DEFAULT_SAMPLE : Number(flags['sample']);
  if (Number.isSafeInteger(sample) && sample >= 0) return sample;
  throw new OpenduckError('USAGE', `--sample: '${String(flags['sample'])}' is not a number`, {
    hint: 'Name how many snapshots of each database DuckDB is to open, newest first.',
  });
}

async function check(
  context: CommandContext,
  settings: Settings,
  flags: Flags,
): Promise<FsckReport> {
  const name = optionalTextFlag(flags, 'db');
  const sample = sampleOf(flags);
  const backup = optionalTextFlag(flags, 'backup');
  if (flags['move-head'] === true && flags['repair'] !== true) {
    throw new OpenduckError('USAGE', '--move-head is a part of --repair', {
      hint: 'Give both: --repair --move-head.',
    });
  }
  const { fsck } = await import('../fsck/fsck.js');
  const progress = createProgress(context.clock);
  try {
    return await withSession(context, settings, 'fsck', ({ commands, mountpoint }) =>
      fsck({
        commands,
        mountpoint,
        scratch: join(settings.dataDir, 'scratch', 'fsck'),
        database: name === undefined ? undefined : databaseName(name),
        deep: flags['deep'] === true,
        repair: flags['repair'] === true || backup !== undefined,
        backup: backup === undefined ? undefined : resolve(backup),
        moveHead: flags['move-head'] === true,
        sample,
        progress: progress.show.bind(progress),
      }),
    );
  } catch (error) {
    // Metadata that cannot even be loaded can be checked by itself.
    if (errorCode(error) !== 'CORRUPT') throw error;
    const { brokenMetadata } = await import('../fsck/brokenMetadata.js');
    return await brokenMetadata(context, settings, error);
  } finally {
    progress.end();
  }
}

function printFinding(context: CommandContext, finding: Finding): void {
  const { kind, database, message, snapshots, repaired, advice } = finding;
  const about = database === undefined ? '' : `${database}: `;
  context.print(`${kind.padEnd(9)} ${about}${message}\n`);
  const [newest, ...others] = snapshots;
  if (newest !== undefined) {
    const more = others.length > 0 ? ` and ${others.length} older` : '';
    context.print(`          snapshot ${newest}${more} cannot be read as a whole\n`);
  }
  if (repaired !== undefined) context.print(`          repaired: ${repaired}\n`);
  if (advice !== undefined) context.print(`          ${advice}\n`);
}

function printForPeople(context: CommandContext, report: FsckReport, deep: boolean): void {
  const { findings, databases, layers, snapshots, skipped } = report;
  for (const finding of findings) printFinding(context, finding);
  for (const sentence of skipped) context.print(`skipped   ${sentence}\n`);
  for (const { database, before, content, snapshot } of report.moved) {
    context.print(`moved     ${database}: the newest snapshot is ${snapshot} now\n`);
    context.print(`          with the content of ${content}, instead of ${before}\n`);
  }
  const opened = deep ? `, opened ${snapshots} snapshot(s) in DuckDB` : '';
  const bytes = deep ? 'every byte of ' : '';
  context.print(
    `Checked ${databases} database(s) and ${bytes}${layers} layer(s)${opened}: ` +
      `${findings.length === 0 ? 'all is well' : `${findings.length} finding(s)`}.\n`,
  );
}

/** Throws CORRUPT when something was found that stands, after printing all of it. */
async function run(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readSettings(context, flags);
  const report = await check(context, settings, flags);
  const standing = report.findings.filter(({ repaired }) => repaired === undefined).length;
  const ok = report.findings.length === 0;
  if (flags['json'] === true) printJson(context, { ok, ...report });
  else printForPeople(context, report, flags['deep'] === true);
  if (ok) return;
  const repaired = report.findings.length - standing;
  const done = repaired > 0 ? `, ${repaired} repaired` : '';
  throw new OpenduckError('CORRUPT', `${standing} finding(s) stand${done}`, {
    hint: 'See docs/backup.md for what each means.',
  });
}

export function fsckCommand(context: CommandContext): CommandModule {
  return {
    command: 'fsck [db]',
    describe: 'Check metadata and layers; with --deep every byte, and what DuckDB reads',
    builder: (yargs) =>
      yargs
        .positional('db', { type: 'string', describe: 'Only this database' })
        .option('deep', {
          type: 'boolean',
          describe: 'Read and verify every byte, and open snapshots in DuckDB',
        })
        .option('sample', {
          type: 'string',
          requiresArg: true,
          describe: 'Snapshots of each database to open with --deep, newest first (3)',
        })
        .option('repair', {
          type: 'boolean',
          describe: 'Put damaged objects aside and fetch them again from where they are whole',
        })
        .option('move-head', {
          type: 'boolean',
          describe:
            'With --repair: where the newest snapshot cannot be read, make a new one with the ' +
            'content of the newest that is whole',
        })
        .option('backup', {
          type: 'string',
          requiresArg: true,
          describe: 'Repair from this directory too: a copy of what --objects has',
        })
        .option('json', JSON_OPTION)
        .example('$0 fsck', 'Quick: nothing but sizes and indexes is read')
        .example('$0 fsck mydb --deep', 'Exit code 0: clean, 1: something was found'),
    handler: (flags) => run(context, flags),
  };
}
