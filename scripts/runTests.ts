/**
 * `npm test [-- SUBSTRING…]`: runs the compiled tests, unit tests first, the acceptance tests
 * (which mount, kill and copy for some minutes, and need the machine for themselves) after them;
 * then looks for anything they left behind. Arguments choose files by a part of their path.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { findLeaks, removeLeaks } from '../test/harness/leakCheck.js';
import { runId, sleep } from '../test/harness/testRun.js';

const DIST = join(dirname(fileURLToPath(import.meta.url)), '..');
const LIMIT_MS = 20 * 60_000;
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

let running: ChildProcess | undefined;
let stopped: string | undefined;

/** Ends the running test file in order, then by force. Its own handlers clean up. */
function stop(why: string): void {
  if (stopped !== undefined) return;
  stopped = why;
  console.error(`\nstopping the tests: ${why}`);
  signalGroup('SIGTERM');
  setTimeout(() => signalGroup('SIGKILL'), GRACE_MS).unref();
}

function signalGroup(signal: NodeJS.Signals): void {
  if (running?.pid === undefined) return;
  try {
    process.kill(-running.pid, signal);
  } catch {
    // It has just ended.
  }
}

interface Part {
  readonly name: string;
  readonly files: readonly string[];
  /** Files that run side by side. */
  readonly atOnce: number;
}

/** One run of Node's test runner. True when all passed; what failed is in `failures` as well. */
function runFiles({ files, atOnce }: Part, failures: string): Promise<boolean> {
  const runner = ['--test', `--test-concurrency=${atOnce}`];
  runner.push('--test-reporter=spec', '--test-reporter-destination=stdout');
  const reporter = pathToFileURL(join(DIST, 'scripts', 'failureReporter.js')).href;
  runner.push(`--test-reporter=${reporter}`, `--test-reporter-destination=${failures}`);
  return new Promise((resolve, reject) => {
    // A group of its own, so that a time limit ends the test files too.
    const child = spawn(process.execPath, [...runner, ...files], {
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
    });
    running = child;
    child.once('error', reject);
    child.once('exit', (code) => {
      running = undefined;
      resolve(code === 0 && stopped === undefined);
    });
  });
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
  const isAcceptance = (path: string) => relative(DIST, path).startsWith('test/acceptance/');
  const unit = files.filter((path) => !isAcceptance(path));
  const parts: Part[] = [
    { name: 'unit tests', files: unit, atOnce: 2 },
    { name: 'acceptance tests', files: files.filter(isAcceptance), atOnce: 1 },
  ];
  const timer = setTimeout(() => stop(`longer than ${LIMIT_MS / 60_000} minutes`), LIMIT_MS);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop(signal));
  }
  const summary: string[] = [];
  let good = true;
  const reports = mkdtempSync(join(tmpdir(), 'openduck-failures-'));
  for (const part of parts) {
    if (part.files.length === 0 || stopped !== undefined) continue;
    console.log(`\n${part.name}: ${part.files.length} files`);
    const failures = join(reports, 'failures.txt');
    const passed = await runFiles(part, failures);
    good &&= passed;
    summary.push(`${part.name}: ${passed ? 'passed' : 'FAILED'} (${part.files.length} files)`);
    summary.push(...readFileSync(failures, 'utf8').split('\n').filter(Boolean));
  }
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
