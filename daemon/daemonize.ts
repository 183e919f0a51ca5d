/**
 * `mount` in the background: starts this program again with --foreground, in a session of its own
 * and with the log file as its output, and waits until the mount is ready or has failed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { openAppend, readTail } from '../layers/os/appendFile.js';
import { nodeDisk } from '../layers/os/nodeDisk.js';
import { OpenduckError } from '../proto/errors.js';
import type { Clock } from '../proto/ports.js';
import { dataPaths } from './dataDirectory.js';
import { errorOf, type ReadinessMessage, type ReadyMessage } from './readiness.js';
import type { Settings } from './settings.js';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

/** The log is rotated at a start when it is larger. */
const LOG_LIMIT_BYTES = 16 * 1024 * 1024;

const START_LIMIT_MS = 60_000;

/** Between asking a child that is late to end and killing it. */
const END_LIMIT_MS = 5000;

/** Every setting as a flag: the child must not find other values than its parent. */
export function mountArguments(mountpoint: string, settings: Settings): string[] {
  const flags = [
    `--data-dir=${settings.dataDir}`,
    settings.allowOther ? '--allow-other' : '--no-allow-other',
    settings.readOnly ? '--read-only' : '--no-read-only',
    `--writer-wait=${settings.writerWaitMs}ms`,
    `--publish-interval=${settings.publishIntervalMs}ms`,
    `--log-level=${settings.logLevel}`,
  ];
  if (settings.metadata) flags.push(`--metadata=${pathToFileURL(settings.metadata)}`);
  if (settings.objects) flags.push(`--objects=${pathToFileURL(settings.objects)}`);
  // An absolute path is never taken for a flag.
  return ['mount', mountpoint, '--foreground', ...flags];
}

type Outcome =
  | { readonly kind: 'message'; readonly message: ReadinessMessage }
  | { readonly kind: 'ended'; readonly how: string }
  | { readonly kind: 'late' };

function waitForOutcome(child: ChildProcess, clock: Clock): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(START_LIMIT_MS, () => resolve({ kind: 'late' }));
    const settle = (outcome: Outcome) => {
      cancel();
      resolve(outcome);
    };
    child.once('message', (message) =>
      settle({ kind: 'message', message: message as ReadinessMessage }),
    );
    child.once('exit', (code, signal) =>
      settle({ kind: 'ended', how: signal === null ? `exit code ${code}` : signal }),
    );
    child.once('error', reject);
  });
}

async function stopChild(child: ChildProcess, clock: Clock): Promise<void> {
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  await Promise.race([ended, clock.sleep(END_LIMIT_MS)]);
  child.kill('SIGKILL'); // no effect on an ended process
}

/** The last words of this start, for the user. */
async function lastLogLines(path: string, start: number): Promise<string> {
  const lines = (await readTail(path, start, 4096)).trimEnd().split('\n').slice(-10);
  return lines.map((line) => `\n    ${line}`).join('');
}

async function readyMessage(
  child: ChildProcess,
  outcome: Outcome,
  log: { readonly path: string; readonly start: number },
  clock: Clock,
): Promise<ReadyMessage> {
  if (outcome.kind === 'message') {
    if ('failed' in outcome.message) throw errorOf(outcome.message);
    return outcome.message;
  }
  const hint = `The whole log is ${log.path}.`;
  if (outcome.kind === 'late') {
    await stopChild(child, clock);
    const limit = START_LIMIT_MS / 1000;
    const what = `the daemon was not ready after ${limit} s and was stopped; its last log lines:`;
    throw new OpenduckError('UNAVAILABLE', what + (await lastLogLines(log.path, log.start)), {
      hint,
    });
  }
  const what = `the daemon ended while it started (${outcome.how}); its last log lines:`;
  throw new OpenduckError('UNAVAILABLE', what + (await lastLogLines(log.path, log.start)), {
    hint,
  });
}

/** Ctrl-C reaches only this process, as the child has a session of its own: pass it on. */
function passSignalsOn(child: ChildProcess): () => void {
  const pass = () => void child.kill('SIGTERM');
  process.on('SIGINT', pass);
  process.on('SIGTERM', pass);
  return () => {
    process.off('SIGINT', pass);
    process.off('SIGTERM', pass);
  };
}

/** Throws what the daemon threw, UNAVAILABLE (it died, or 60 s passed), IO (log file). */
export async function startInBackground(
  mountpoint: string,
  settings: Settings,
  clock: Clock,
): Promise<ReadyMessage> {
  await nodeDisk.makeDirectory(settings.dataDir);
  const path = dataPaths(settings.dataDir).log;
  const log = await openAppend(path, LOG_LIMIT_BYTES);
  const parameters = [...process.execArgv, MAIN, ...mountArguments(mountpoint, settings)];
  const child = spawn(process.execPath, parameters, {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.descriptor, log.descriptor, 'ipc'],
  });
  const restoreSignals = passSignalsOn(child);
  try {
    const outcome = await waitForOutcome(child, clock);
    return await readyMessage(child, outcome, { path, start: log.start }, clock);
  } finally {
    restoreSignals();
    if (child.connected) child.disconnect();
    child.unref();
    await log.close();
  }
}
