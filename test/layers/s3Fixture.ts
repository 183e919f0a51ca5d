/** What the tests of the S3 store share: small limits, files to be stored, the environment. */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectStore } from '../../layers/objectStore.js';
import type { S3Limits } from '../../layers/s3/limits.js';
import { openS3ObjectStore, type S3Options } from '../../layers/s3/open.js';
import { OpenduckError } from '../../proto/errors.js';
import { type LogFields, type Logger, systemClock, systemRandom } from '../../proto/ports.js';
import { removeTempDir } from '../harness/leakCheck.js';
import { makeTempDir, sleep } from '../harness/testRun.js';

/** Short enough that an outage is over soon, long enough that a busy machine is none. */
export const QUICK: Partial<S3Limits> = {
  attemptMs: 2000,
  deadlineMs: 6000,
  firstPauseMs: 5,
  longestPauseMs: 50,
};

export interface LogLine {
  readonly level: keyof Logger;
  readonly fields: LogFields;
  readonly message: string;
}

/** A logger that keeps what it was told. */
export function recordingLogger(): Logger & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: keyof Logger) => (fields: LogFields, message: string) => {
    lines.push({ level, fields, message });
  };
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

export type OpenOptions = Omit<Partial<S3Options>, 'limits'> & {
  readonly url: string;
  readonly limits?: Partial<S3Limits>;
};

export function openStore(options: OpenOptions) {
  const ports = { clock: systemClock, random: systemRandom, logger: recordingLogger() };
  return openS3ObjectStore({ ...ports, ...options, limits: { ...QUICK, ...options.limits } });
}

/** Files to be stored, in a directory that goes with `close`. */
export interface Staging {
  stage(bytes: Uint8Array): Promise<string>;
  staged(path: string): Promise<Uint8Array | undefined>;
  close(): void;
}

export async function makeStaging(): Promise<Staging> {
  const directory = await makeTempDir();
  let count = 0;
  return {
    stage: async (bytes) => {
      const path = join(directory, `staged-${count++}`);
      const handle = await open(path, 'wx');
      await handle.writeFile(bytes);
      await handle.sync();
      await handle.close();
      return path;
    },
    staged: (path) => readFile(path).catch(() => undefined),
    close: () => removeTempDir(directory),
  };
}

/** Replaces the AWS_… variables of this process; returns what puts them back. */
export function setAwsEnvironment(variables: Readonly<Record<string, string>>): () => void {
  const before = Object.entries(process.env).filter(([name]) => name.startsWith('AWS_'));
  const clear = () => {
    for (const name of Object.keys(process.env)) {
      if (name.startsWith('AWS_')) delete process.env[name];
    }
  };
  clear();
  Object.assign(process.env, variables);
  return () => {
    clear();
    Object.assign(process.env, Object.fromEntries(before));
  };
}

/** What a call was rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<OpenduckError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof OpenduckError) return error;
    throw error;
  }
  throw new Error('it was not rejected');
}

/** The whole object. */
export async function contentOf(store: ObjectStore, key: string): Promise<Buffer> {
  const object = await store.open(key);
  const bytes = Buffer.alloc(object.size);
  await object.read(bytes, 0, bytes.length, 0);
  await object.close();
  return bytes;
}

/** Repeats `check` until it holds; a hang is the test's time limit. */
export async function eventually(check: () => Promise<boolean>): Promise<void> {
  while (!(await check())) await sleep(20);
}
