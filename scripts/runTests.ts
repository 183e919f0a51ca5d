/**
 * `npm test [-- SUBSTRING…]`: runs the compiled tests: unit tests and small acceptance
 * tests beside each other, then the long acceptance tests (which mount, kill and copy for some
 * minutes); then looks for anything they left behind. Arguments choose files by a part of their
 * path.
 *
 * On a machine that is too slow for all of it, acceptance tests are begun for 17 minutes, in an
 * order that turns with the seed; the end says which ones were left out. OPENDUCK_TEST_ALL=1 runs
 * all, however long it takes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { findLeaks, removeLeaks } from '../test/harness/leakCheck.js';
import { testSeed } from '../test/harness/seeds.js';
import { RUN_VARIABLE, runId, sleep } from '../test/harness/testRun.js';

const DIST = join(dirname(fileURLToPath(import.meta.url)), '..');
const WANTS_ALL = process.env['OPENDUCK_TEST_ALL'] === '1';
const LIMIT_MS = (WANTS_ALL ? 180 : 27) * 60_000;
/** No further acceptance tests are begun. */
const ENOUGH_MS = WANTS_ALL ? LIMIT_MS : 17 * 60_000;
const FILES_AT_ONCE = 3;
/** These keep the machine busy: nothing runs beside them. */
const ALONE = /(concurrency|copy|killTorture|resources)\.test\.js$/;
const GRACE_MS = 30_000;

/** Without those whose source is gone: the compiler does not remove what it once wrote. */
function testFiles(filters: readonly string[]): string[] {
  const all = readdirSync(join(DIST, 'test'), { recursive: true, encoding: 'utf8' });
  return all
    .filter((name) => name.endsWith('.test.js'))
    .filter((name) => existsSync(join(DIST, '..', 'test', name.replace(/\.js$/, '.ts'))))
    .filter((name) => filters.length === 0 || filters.some((part) => name.includes(part)))
    .map((name) => join(DIST, 'test', name))
    .sort();
}

const running = new Set<ChildProcess>();
let stopped: string | undefined;

/** Ends the running test files in order, then by force. Their own handlers clean up. */
function stop(why: string): void {
  if (stopped !== undefined) return;
  stopped = why;
  console.error(`\nstopping the tests: ${why}`);
  signalGroups('SIGTERM');
  setTimeout(() => signalGroups('SIGKILL'), GRACE_MS).unref();
}

function signalGroups(signal: NodeJS.Signals): void {
  for (const { pid } of running) {
    try {
      if (pid !== undefined) process.kill(-pid, signal);
    } catch {
      // It has just ended.
    }
  }
}

interface Part {
  readonly name: string;
  readonly files: readonly string[];
}

interface Outcome {
  readonly passed: boolean;
  /** What Node's test runner printed, unless that was shown at once. */
  readonly output: string;
  readonly summary: readonly string[];
}

/** One run of Node's test runner, one file at a time; `show`: prints as it goes. */
async function runPart(part: Part, reports: string, show: boolean): Promise<Outcome> {
  const { name, files } = part;
  if (files.length === 0 || stopped !== undefined) return { passed: true, output: '', summary: [] };
  const failures = join(reports, `${name}.txt`);
  const runner = ['--test', '--test-concurrency=1'];
  runner.push('--test-reporter=spec', '--test-reporter-destination=stdout');
  const reporter = pathToFileURL(join(DIST, 'scripts', 'failureReporter.js')).href;
  runner.push(`--test-reporter=${reporter}`, `--test-reporter-destination=${failures}`);
  // A group of its own, so that a time limit ends the test files too.
  const child = spawn(process.execPath, [...runner, ...files], {
    stdio: ['ignore', show ? 'inherit' : 'pipe', 'inherit'],
    env: { ...process.env, [RUN_VARIABLE]: `${runId}.${name.replaceAll(' ', '-')}` },
    detached: true,
  });
  running.add(child);
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).finally(() => running.delete(child));
  const passed = code === 0 && stopped === undefined;
  const failed = existsSync(failures) ? readFileSync(failures, 'utf8').split('\n') : [];
  const verdict = `${name}: ${passed ? 'passed' : 'FAILED'} (${files.length} files)`;
  return { passed, output, summary: [verdict, ...failed.filter(Boolean)] };
}

/** As `runPart`, and none is begun after `until`, a performance.now(). */
async function runWhileTimeIs(part: Part, reports: string, until: number): Promise<Outcome> {
  const { name, files } = part;
  const outcomes: Outcome[] = [];
  let next = 0;
  for (; next < files.length && stopped === undefined; next += FILES_AT_ONCE) {
    if (performance.now() > until) break;
    const batch = { name: `${name} ${next + 1}`, files: files.slice(next, next + FILES_AT_ONCE) };
    outcomes.push(await runPart(batch, reports, false));
  }
  const left = files.slice(next).map((file) => basename(file, '.test.js'));
  return {
    passed: outcomes.every(({ passed }) => passed),
    output: outcomes.map(({ output }) => output).join(''),
    summary: [
      ...outcomes.flatMap(({ summary }) => summary),
      ...(left.length === 0 ? [] : [`LEFT OUT FOR LACK OF TIME: ${left.join(', ')}`]),
    ],
  };
}

/** Processes that are just ending get a moment. */
async function settledLeaks(): Promise<string[]> {
  for (let i = 0; i < 50 && findLeaks().length > 0; i++) await sleep(100);
  return findLeaks();
}

async function main(): Promise<number> {
  const files = testFiles(process.argv.slice(2));
  if (files.length === 0) {
    console.error('no test file matches');
    return 2;
  }
  const nameOf = (path: string): string => relative(join(DIST, 'test'), path);
  const acceptance = files.filter((path) => nameOf(path).startsWith('acceptance/'));
  const alone = acceptance.filter((path) => ALONE.test(nameOf(path)));
  const small = acceptance.filter((path) => !alone.includes(path));
  const unit = files.filter((path) => !acceptance.includes(path));
  const timer = setTimeout(() => stop(`longer than ${LIMIT_MS / 60_000} minutes`), LIMIT_MS);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop(signal));
  }
  const summary: string[] = [];
  let good = true;
  const reports = mkdtempSync(join(tmpdir(), 'openduck-failures-'));
  const take = ({ passed, output, summary: lines }: Outcome): void => {
    process.stdout.write(output);
    good &&= passed;
    summary.push(...lines);
  };
  console.log(`\n${unit.length} files of unit tests, ${small.length} of acceptance tests`);
  const turn = testSeed() % Math.max(1, small.length);
  const turned = [...small.slice(turn), ...small.slice(0, turn)];
  const beside = runWhileTimeIs({ name: 'acceptance tests', files: turned }, reports, ENOUGH_MS);
  take(await runPart({ name: 'unit tests', files: unit }, reports, true));
  take(await beside);
  console.log(`\n${alone.length} files of acceptance tests that nothing runs beside`);
  take(await runPart({ name: 'long acceptance tests', files: alone }, reports, true));
  rmSync(reports, { recursive: true });
  clearTimeout(timer);
  const leaks = await settledLeaks();
  if (leaks.length > 0) removeLeaks();
  summary.push(...leaks, `left behind: ${leaks.length === 0 ? 'nothing' : 'see above'}`);
  if (stopped !== undefined) summary.push(`stopped: ${stopped}`);
  console.log(`\nrun ${runId}\n${summary.join('\n')}`);
  return good && leaks.length === 0 && stopped === undefined ? 0 : 1;
}

process.exitCode = await main();
