/**
 * Processes of the tests: every one is started here, in a group of its own, is remembered until it
 * is gone, and can be asked about in /proc.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { cleanEnvironment, within } from './testRun.js';

const living = new Set<ChildProcess>();

export function startProcess(command: string, args: readonly string[], options: SpawnOptions) {
  const child = spawn(command, args, { ...options, detached: true });
  living.add(child);
  child.once('exit', () => living.delete(child));
  child.once('error', () => living.delete(child));
  return child;
}

/** SIGKILL to every process (group) that a test started and that still runs. */
export function killAllProcesses(): void {
  for (const child of living) killGroup(child);
}

export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}

export interface RunOptions {
  readonly timeoutMs?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
}

export interface CommandResult {
  readonly command: string;
  /** undefined: ended by a signal or by the time limit. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/**
 * Runs a program to its end; never waits longer than the time limit, even for an unkillable one.
 */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<CommandResult> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const child = startProcess(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cleanEnvironment(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout!.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr!.on('data', (chunk: Buffer) => err.push(chunk));
  const closed = new Promise<number | undefined>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? undefined));
  });
  let timedOut = false;
  let code: number | undefined;
  try {
    code = await within(timeoutMs, command, closed);
  } catch (error) {
    if (child.pid === undefined) throw error;
    timedOut = true;
    killGroup(child);
    child.stdout!.destroy();
    child.stderr!.destroy();
  }
  return {
    command: [command, ...args].join(' '),
    code,
    stdout: Buffer.concat(out).toString(),
    stderr: Buffer.concat(err).toString(),
    timedOut,
  };
}

/** As `run`, with a shell script. `args` are $1, $2, … */
export function shell(
  script: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<CommandResult> {
  return run('sh', ['-c', script, 'sh', ...args], options);
}

export function describe(result: CommandResult): string {
  const end = result.timedOut ? 'did not end in time' : `ended with ${result.code ?? 'a signal'}`;
  return `${result.command}: ${end}\nstdout: ${result.stdout}\nstderr: ${result.stderr}`;
}

/** The result's stdout; throws unless the exit code is 0. */
export function succeeded(result: CommandResult): string {
  if (result.code !== 0) throw new Error(describe(result));
  return result.stdout;
}

export async function must(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  return succeeded(await run(command, args, options));
}

/** One line of /proc/PID/status, e.g. `VmRSS` → `53412 kB`; undefined when the process is gone. */
export async function processField(pid: number, field: string): Promise<string | undefined> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(status)?.[1];
  } catch {
    return undefined;
  }
}

/** `R`, `S`, `D`, `Z`, …; undefined when the process is gone. */
export async function processState(pid: number): Promise<string | undefined> {
  return (await processField(pid, 'State'))?.[0];
}

export async function residentBytes(pid: number): Promise<number> {
  const field = await processField(pid, 'VmRSS');
  if (field === undefined) throw new Error(`process ${pid} is gone`);
  return Number.parseInt(field, 10) * 1024;
}

export async function openFileCount(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

/** Where every thread of a process waits in the kernel: for the report of a hang. */
export async function whereItHangs(pid: number): Promise<string> {
  const lines: string[] = [];
  const threads = await readdir(`/proc/${pid}/task`).catch(() => [] as string[]);
  for (const tid of threads) {
    const file = (name: string) =>
      readFile(`/proc/${pid}/task/${tid}/${name}`, 'utf8').catch(() => '?');
    const state = /^State:\s*(\S)/m.exec(await file('status'))?.[1] ?? '?';
    lines.push(`${tid} ${state} ${await file('wchan')}`);
  }
  return lines.length === 0 ? `process ${pid} is gone` : `process ${pid}: ${lines.join(', ')}`;
}
