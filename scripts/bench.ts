/**
 * npm run bench -- [--size 100MB|1GB|4GB] [--rounds N] [--minutes N] [--only NAME[,NAME…]]
 *                  [--quick] [--json FILE] [--html FILE] [--report FILE] [--profile DIR]
 *
 * Measures a mount against the same work on the local file system, in turn, and prints a table of
 * ratios. Everything is done in the system's directory for temporary files: TMPDIR chooses the
 * disk. With --profile, every daemon writes a CPU profile. Exits 1 when an item failed; a target
 * that is not met is no failure.
 */
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { removeLeaks } from '../test/harness/leakCheck.js';
import { killAllProcesses } from '../test/harness/proc.js';
import { tempParent } from '../test/harness/testRun.js';
import { htmlReport } from './bench/htmlReport.js';
import type { Item } from './bench/item.js';
import { ITEMS } from './bench/items/all.js';
import { describeMachine } from './bench/machine.js';
import { jsonReport, markdownReport, type Report, textReport } from './bench/report.js';
import { rowsOf } from './bench/rows.js';
import { runItems } from './bench/runner.js';
import { BIG, Stage } from './bench/stage.js';

const GIB = 2 ** 30;
const SIZES: Readonly<Record<string, number>> = {
  '100MB': 100 * 2 ** 20,
  '1GB': GIB,
  '4GB': 4 * GIB,
};

interface Options {
  readonly bytes: number;
  readonly rounds: number;
  readonly items: readonly Item[];
  readonly minutes: number;
  readonly profileDir: string | undefined;
  readonly json: string | undefined;
  readonly html: string | undefined;
  readonly report: string | undefined;
  /** The options that decide what is measured, as text. */
  readonly text: string;
}

class UsageError extends Error {}

function chooseItems(only: string | undefined): Item[] {
  const names = only?.split(',');
  const unknown = names?.filter((name) => !ITEMS.some((item) => item.name === name)) ?? [];
  if (unknown.length > 0) {
    const known = ITEMS.map((item) => item.name).join(', ');
    throw new UsageError(`no item ${unknown.join(', ')}; there are: ${known}`);
  }
  return ITEMS.filter((item) => names === undefined || names.includes(item.name));
}

function readOptions(): Options {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      ...{ size: text, rounds: text, minutes: text, only: text },
      ...{ quick: { type: 'boolean', default: false } },
      ...{ json: text, html: text, report: text, profile: text },
    },
  });
  const size = values.size ?? (values.quick ? '100MB' : '1GB');
  const bytes = SIZES[size];
  if (bytes === undefined)
    throw new UsageError(`--size is one of ${Object.keys(SIZES).join(', ')}`);
  const rounds = Number(values.rounds ?? (values.quick ? 3 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) throw new UsageError('--rounds is a number from 1');
  const minutes = Number(values.minutes ?? (values.quick ? 2.7 : 14 * Math.max(1, bytes / GIB)));
  if (!(minutes > 0)) throw new UsageError('--minutes is a number above 0');
  const longer = values.minutes === undefined ? '' : ` --minutes ${values.minutes}`;
  const only = values.only === undefined ? '' : ` --only ${values.only}`;
  const report = values.report === undefined ? '' : ` --report ${values.report}`;
  return {
    bytes,
    rounds,
    items: chooseItems(values.only),
    minutes,
    profileDir: values.profile === undefined ? undefined : resolve(values.profile),
    json: values.json,
    html: values.html,
    report: values.report,
    text: ` -- --size ${size} --rounds ${rounds}${longer}${only}${report}`,
  };
}

/** The database twice, its segments and layers, copies of it, and what a sort spills. */
function checkDisk(bytes: number): void {
  const { bavail, bsize } = statfsSync(tempParent);
  const needed = 10 * bytes + GIB;
  if (bavail * bsize >= needed) return;
  const gib = (n: number) => (n / GIB).toFixed(1);
  throw new UsageError(
    `${tempParent} has ${gib(bavail * bsize)} GiB free, and ${gib(needed)} are needed; ` +
      'TMPDIR chooses another disk',
  );
}

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function measure(options: Options): Promise<Report & { readonly failed: boolean }> {
  const start = performance.now();
  const machine = await describeMachine(tempParent);
  log(`making the database (${tempParent})`);
  const stage = await Stage.create({ bytes: options.bytes, profileDir: options.profileDir });
  try {
    const results = await runItems(stage, options.items, {
      rounds: options.rounds,
      deadline: start + options.minutes * 60_000,
      log,
    });
    return {
      machine,
      databaseBytes: await stage.localSize(BIG),
      rounds: options.rounds,
      seconds: (performance.now() - start) / 1000,
      options: options.text,
      rows: rowsOf(results),
      failed: results.some((result) => result.failed !== undefined),
    };
  } finally {
    await stage.dispose();
  }
}

function write(path: string | undefined, text: string): void {
  if (path !== undefined) writeFileSync(path, text);
}

/** Whatever way it ends, nothing is left behind. */
function cleanUpAlways(): void {
  process.on('exit', () => {
    killAllProcesses();
    removeLeaks();
  });
  const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
  for (const [signal, code] of Object.entries(codes)) process.on(signal, () => process.exit(code));
}

async function main(): Promise<number> {
  const options = readOptions();
  checkDisk(options.bytes);
  cleanUpAlways();
  if (options.profileDir !== undefined) mkdirSync(options.profileDir, { recursive: true });
  const { failed, ...report } = await measure(options);
  process.stdout.write(textReport(report));
  write(options.json, jsonReport(report));
  write(options.html, htmlReport(report));
  write(options.report, markdownReport(report));
  return failed ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  const isUsage =
    error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE');
  log(isUsage ? (error as Error).message : `${(error as Error).stack}`);
  process.exitCode = isUsage ? 2 : 1;
}
process.exit();
