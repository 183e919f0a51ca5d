/**
 * A program of ours as a child process: it gets its configuration as one line of JSON on standard
 * input, and later what else it is to know, a line each. It says in one line on standard output
 * that it is ready or why it is not, and ends when its standard input ends, so also when its parent
 * is gone. See childMain.ts for its side.
 */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import { environmentWithoutSecrets } from '../hideSecrets.js';
import { errorOf, type FailedMessage } from '../readiness.js';
import type { LogLevel } from '../settings.js';
import type { ParentMessage } from './childMain.js';

export interface ChildOptions {
  /** Path of the compiled program. */
  readonly program: string;
  /** As JSON. */
  readonly config: unknown;
  /** Size of Node's pool of threads: DuckDB occupies one per call. */
  readonly threads: number;
  readonly clock: Clock;
}

/** `F`: what it reports while it runs. */
export interface RunningChild<R, F = unknown> {
  readonly pid: number;
  readonly ready: R;
  /** Not older than a second; undefined: nothing yet. */
  readonly figures: F | undefined;
  /** Resolves when it is gone, with what became of it. */
  readonly ended: Promise<string>;
  setLogLevel(level: LogLevel): void;
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
export async function startChild<R, F = unknown>(
  options: ChildOptions,
): Promise<RunningChild<R, F>> {
  const { program, config, threads, clock } = options;
  const child = spawn(process.execPath, [program], {
    // 'ipc': what the program reports.
    stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
    cwd: '/',
    env: { ...environmentWithoutSecrets(), UV_THREADPOOL_SIZE: String(threads) },
  }) as ChildProcessWithoutNullStreams;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  child.stdin.on('error', () => {}); // it has ended; `ended` tells
  // Not inherited: the log file may be replaced under our own descriptor.
  child.stderr.on('data', (part: Buffer) => void process.stderr.write(part));
  let figures: F | undefined;
  child.on('message', (message) => {
    figures = message as F;
  });
  const tell = (line: unknown): void => {
    if (child.stdin.writable) child.stdin.write(`${JSON.stringify(line)}\n`);
  };
  tell(config);
  const setLogLevel = (logLevel: LogLevel) => tell({ logLevel } satisfies ParentMessage);
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
  if ('ready' in line) {
    const { ready } = line;
    return {
      pid: child.pid!,
      ready,
      get figures() {
        return figures;
      },
      ended,
      setLogLevel,
      stop,
    };
  }
  child.kill('SIGKILL');
  await ended;
  if ('failed' in line) throw errorOf(line);
  throw new OpenduckError('UNAVAILABLE', `a process of the worker did not start: ${line.how}`, {
    hint: 'The log tells more.',
  });
}
