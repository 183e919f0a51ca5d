/**
 * What ties everything a test run leaves behind to that run: a marker in the environment of every
 * process it starts and in the name of every directory it makes. leakCheck.ts looks for both.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Not OPENDUCK_…: the daemon reads those. */
export const RUN_VARIABLE = 'TEST_RUN_OF_OPENDUCK';

export const runId: string = process.env[RUN_VARIABLE] ?? randomBytes(4).toString('hex');
process.env[RUN_VARIABLE] = runId;

export const isRoot = process.getuid?.() === 0;
/** The user whom the unprivileged tests use when the suite runs as root. */
export const NOBODY = 65534;

export const tempParent = tmpdir();
/** Also of what a part of the run makes, whose id is `RUN.PART`. */
export const runPrefix = `openduck-test-${runId}`;
export const tempPrefix = `${runPrefix}-`;

export function makeTempDir(): Promise<string> {
  return mkdtemp(join(tempParent, tempPrefix));
}

/** The environment for a process under test: ours, without the settings of openduck-fuse. */
export function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('OPENDUCK_') && !name.startsWith('NODE_'),
  );
  return { ...Object.fromEntries(own), LC_ALL: 'C.UTF-8', [RUN_VARIABLE]: runId, ...extra };
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Rejects when `work` takes longer; `work` itself goes on. */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
