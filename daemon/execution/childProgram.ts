/**
 * A program of ours as a child process: it gets its configuration as one line of JSON on standard
 * input, says in one line on standard output that it is ready or why it is not, and ends when its
 * standard input ends, so also when its parent is gone. See childMain.ts for its side.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import { environmentWithoutSecrets } from '../hideSecrets.js';
import { errorOf, type FailedMessage } from '../readiness.js';

export interface ChildOptions {
  /** Path of the compiled program. */
  readonly program: string;
  /** As JSON. */
  readonly config: unknown;
  /** Size of Node's pool of threads: DuckDB occupies one per call. */
  readonly threads: number;
  readonly clock: Clock;
}

export interface RunningChild<R> {
  readonly pid: number;
  readonly ready: R;
  /** Resolves when it is gone, with what became of it. */
  readonly ended: Promise<string>;
  /** Asks it to end, and makes it after a while. */
  stop(): Promise<void>;
}

const START_LIMIT_MS = 30_000;
/** A worker lets its executions end for a part of it. */
const STOP_LIMIT_MS = 15_000;

type FirstLine<R> = { readonly ready: R } | FailedMessage;

function firstLine<R>(child: ChildProcess): Promise<FirstLine<R>> {
  return new Promise((resolve) => {
    let text = '';
    let isOver = false;
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      if (isOver) return; // DuckDB prints some things: profiles, logs
      text += part;
      const end = text.indexOf('\n');
      isOver = end >= 0;
      if (isOver) resolve(JSON.parse(text.slice(0, end)) as FirstLine<R>);
    });
  });
}

/** Throws what the program says, UNAVAILABLE when it ends or says nothing in time. */
export async function startChild<R>(options: ChildOptions): Promise<RunningChild<R>> {
  const { program, config, threads, clock } = options;
  const child = spawn(process.execPath, [program], {
    stdio: 'pipe',
    cwd: '/',
    env: { ...environmentWithoutSecrets(), UV_THREADPOOL_SIZE: String(threads) },
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  child.stdin.on('error', () => {}); // it has ended; `ended` tells
  // Not inherited: the log file may be replaced under our own descriptor.
  child.stderr.on('data', (part: Buffer) => void process.stderr.write(part));
  child.stdin.write(`${JSON.stringify(config)}\n`);
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await Promise.race([ended, clock.sleep(STOP_LIMIT_MS)]);
    child.kill('SIGKILL'); // no effect on one that has ended
    await ended;
  };
  const line = await Promise.race([
    firstLine<R>(child),
    ended.then((how) => ({ how })),
    clock.sleep(START_LIMIT_MS).then(() => ({ how: 'no answer in time' })),
  ]);
  if ('ready' in line) return { pid: child.pid!, ready: line.ready, ended, stop };
  child.kill('SIGKILL');
  await ended;
  if ('failed' in line) throw errorOf(line);
  throw new OpenduckError('UNAVAILABLE', `a process of the worker did not start: ${line.how}`, {
    hint: 'The log tells more.',
  });
}
