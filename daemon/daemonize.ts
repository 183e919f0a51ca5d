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
import { serverFlags, serverSecrets } from './execution/serverArguments.js';
import type { HandOverRequest } from './handOver.js';
import { environmentWithoutSecrets } from './hideSecrets.js';
import { LOG_LIMIT_BYTES } from './logFile.js';
import { errorOf, type ReadinessMessage, type ReadyMessage } from './readiness.js';
import type { SecretText } from './secretText.js';
import type { DaemonSettings, Settings } from './settings.js';
import { SHUTDOWN_LIMIT_MS } from './stopRequest.js';
import { type MetadataPlace, type ObjectsPlace, STANDARD_INPUT } from './storeSettings.js';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

const START_LIMIT_MS = 60_000;

/** Between asking a child that is late to end and killing it. */
const END_LIMIT_MS = 5000;

function objectsFlag(place: ObjectsPlace): string {
  return `--objects=${place.kind === 's3' ? place.url : pathToFileURL(place.path)}`;
}

/** A URL with a password comes by standard input, which no list of processes shows. */
function metadataFlag(place: MetadataPlace): string {
  if (place.kind === 'unreadable') throw place.error;
  if (place.kind === 'postgres') return `--metadata-file=${STANDARD_INPUT}`;
  return `--metadata=${pathToFileURL(place.path)}`;
}

function s3Flags({ s3 }: Settings): string[] {
  const { endpoint, region, pathStyle, serverSideEncryption, caFile } = s3;
  const flags: string[] = [];
  if (endpoint !== undefined) flags.push(`--s3-endpoint=${endpoint}`);
  if (region !== undefined) flags.push(`--s3-region=${region}`);
  if (pathStyle !== undefined) flags.push(pathStyle ? '--s3-path-style' : '--no-s3-path-style');
  if (serverSideEncryption !== undefined) flags.push(`--s3-sse=${serverSideEncryption}`);
  if (caFile !== undefined) flags.push(`--s3-ca=${caFile}`);
  return flags;
}

/**
 * Every setting as a flag: the child must not find other values than its parent. Throws why the
 * file with the URL of the metadata could not be read.
 */
export function mountArguments(
  mountpoint: string,
  settings: DaemonSettings,
  replace?: HandOverRequest,
): string[] {
  const flags = [
    `--data-dir=${settings.dataDir}`,
    settings.allowOther ? '--allow-other' : '--no-allow-other',
    settings.readOnly ? '--read-only' : '--no-read-only',
    `--writer-wait=${settings.writerWaitMs}ms`,
    `--publish-interval=${settings.publishIntervalMs}ms`,
    `--ack=${settings.ack}`,
    `--cache-size=${settings.cacheBytes}B`,
    `--lease-ttl=${settings.leaseTtlMs}ms`,
    `--gc-interval=${settings.gcIntervalMs === undefined ? 'off' : `${settings.gcIntervalMs}ms`}`,
    `--undrop-within=${settings.undropWithinMs}ms`,
    `--log-level=${settings.logLevel}`,
  ];
  if (settings.metadata !== undefined) flags.push(metadataFlag(settings.metadata));
  if (settings.objects !== undefined) flags.push(objectsFlag(settings.objects));
  // An absolute path is never taken for a flag.
  return [
    'mount',
    mountpoint,
    '--foreground',
    ...flags,
    ...s3Flags(settings),
    ...serverFlags(settings),
    ...replaceFlags(replace),
  ];
}

function replaceFlags(replace: HandOverRequest | undefined): string[] {
  if (replace === undefined) return [];
  const flags = ['--replace', `--drain=${replace.drainMs}ms`];
  return replace.cutWriters ? [...flags, '--cut-writers'] : flags;
}

type Outcome =
  | { readonly kind: 'message'; readonly message: ReadinessMessage }
  | { readonly kind: 'ended'; readonly how: string }
  | { readonly kind: 'late' };

function waitForOutcome(child: ChildProcess, limitMs: number, clock: Clock): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(limitMs, () => resolve({ kind: 'late' }));
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
  log: { readonly path: string; readonly start: number; readonly limitMs: number },
  clock: Clock,
): Promise<ReadyMessage> {
  if (outcome.kind === 'message') {
    if ('failed' in outcome.message) throw errorOf(outcome.message);
    return outcome.message;
  }
  const hint = `The whole log is ${log.path}.`;
  if (outcome.kind === 'late') {
    await stopChild(child, clock);
    const limit = log.limitMs / 1000;
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

/** The daemon in the making. `secret` is what it reads from standard input. */
function spawnDaemon(
  parameters: readonly string[],
  secret: SecretText | undefined,
  environment: Readonly<Record<string, string>>,
  log: number,
): ChildProcess {
  const child = spawn(process.execPath, parameters, {
    cwd: '/',
    detached: true,
    env: { ...environmentWithoutSecrets(), ...environment },
    stdio: [secret === undefined ? 'ignore' : 'pipe', log, log, 'ipc'],
  });
  child.stdin?.on('error', () => {}); // it ended before it read: that is what will be told
  child.stdin?.end(secret?.reveal());
  return child;
}

/** Throws what the daemon threw, UNAVAILABLE (it died, or 60 s passed), IO (log file). */
export async function startInBackground(
  mountpoint: string,
  settings: DaemonSettings,
  replace: HandOverRequest | undefined,
  clock: Clock,
): Promise<ReadyMessage> {
  const { metadata, dataDir } = settings;
  const parameters = [...process.execArgv, MAIN, ...mountArguments(mountpoint, settings, replace)];
  await nodeDisk.makeDirectory(dataDir);
  const path = dataPaths(dataDir).log;
  const log = await openAppend(path, LOG_LIMIT_BYTES);
  const secret = metadata?.kind === 'postgres' ? metadata.url : undefined;
  const child = spawnDaemon(parameters, secret, serverSecrets(settings), log.descriptor);
  // The one before it has its own time to end.
  const limitMs =
    START_LIMIT_MS + (replace === undefined ? 0 : replace.drainMs + SHUTDOWN_LIMIT_MS);
  const restoreSignals = passSignalsOn(child);
  try {
    const outcome = await waitForOutcome(child, limitMs, clock);
    return await readyMessage(child, outcome, { path, start: log.start, limitMs }, clock);
  } finally {
    restoreSignals();
    if (child.connected) child.disconnect();
    child.unref();
    await log.close();
  }
}
