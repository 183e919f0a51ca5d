/**
 * The object store in S3: is it there, what may we do with it (tried with a small object that is
 * removed again), and does its clock agree with ours.
 */
import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import type { ObjectStore } from '../../layers/objectStore.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { readText, writeText } from '../../layers/os/textFile.js';
import { describeError, OpenduckError } from '../../proto/errors.js';
import { uuidV7 } from '../../proto/ports.js';
import { openS3, type StoragePorts } from '../openStorage.js';
import type { S3Settings } from '../storeSettings.js';
import { compareClocks } from './clockChecks.js';
import { type Finding, fail, ok } from './finding.js';

const CLOCK_LIMIT_MS = 10_000;
const PROBE_TEXT = 'openduck-fuse doctor was here\n';

/** One thing that we must be allowed to do. */
interface Right {
  readonly check: string;
  readonly what: string;
  /** As an S3 policy names it. */
  readonly action: string;
  attempt(): Promise<void>;
}

async function tryRight({ check, what, action, attempt }: Right): Promise<Finding> {
  try {
    await attempt();
    return ok(check, `objects can be ${what}`);
  } catch (error) {
    const message = `objects cannot be ${what}: ${describeError(error)}`;
    return fail(check, message, `Grant ${action} on the bucket's objects; see docs/objects-s3.md.`);
  }
}

async function readProbe(store: ObjectStore, key: string): Promise<void> {
  const object = await store.open(key);
  try {
    const bytes = Buffer.alloc(PROBE_TEXT.length);
    await object.read(bytes, 0, bytes.length, 0);
    if (bytes.toString() === PROBE_TEXT) return;
    throw new OpenduckError('CORRUPT', `${key} is not what was written`);
  } finally {
    await object.close();
  }
}

function rightsOf(store: ObjectStore, key: string, path: string): Right[] {
  return [
    {
      check: 's3-put',
      what: 'written',
      action: 's3:PutObject',
      attempt: async () => {
        await writeText(path, PROBE_TEXT);
        await store.putFile(key, path);
      },
    },
    {
      check: 's3-get',
      what: 'read',
      action: 's3:GetObject',
      attempt: () => readProbe(store, key),
    },
    {
      check: 's3-delete',
      what: 'deleted',
      action: 's3:DeleteObject',
      attempt: () => store.delete(key),
    },
  ];
}

async function checkRights(
  store: ObjectStore,
  { clock, random }: StoragePorts,
): Promise<Finding[]> {
  const id = uuidV7(clock, random);
  const path = join(tmpdir(), `openduck-doctor-${id}`);
  const findings: Finding[] = [];
  try {
    for (const right of rightsOf(store, `doctor/${id}`, path)) {
      const finding = await tryRight(right);
      findings.push(finding);
      // Nothing was written: nothing can be read or deleted.
      if (right.check === 's3-put' && finding.level === 'fail') break;
    }
  } finally {
    await nodeDisk.remove(path).catch(() => {}); // consumed already, mostly
  }
  return findings;
}

/** The server's time by its Date header, whatever else it answers; undefined when it tells none. */
async function serverTime({ endpoint, region, caFile }: S3Settings): Promise<number | undefined> {
  const url = endpoint ?? `https://s3.${region ?? 'us-east-1'}.amazonaws.com`;
  const pem = caFile === undefined ? undefined : await readText(caFile);
  const ca = pem === undefined ? {} : { ca: [...rootCertificates, pem] };
  const options = { method: 'HEAD', timeout: CLOCK_LIMIT_MS };
  return new Promise((resolve) => {
    const asked = url.startsWith('https:')
      ? tlsRequest(url, { ...options, ...ca })
      : plainRequest(url, options);
    asked.on('response', (answer) => {
      answer.resume();
      const time = Date.parse(answer.headers.date ?? '');
      resolve(Number.isNaN(time) ? undefined : time);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(undefined));
    asked.on('close', () => resolve(undefined));
    asked.end();
  });
}

export async function checkS3(
  url: string,
  s3: S3Settings,
  ports: StoragePorts,
): Promise<Finding[]> {
  const time = await serverTime(s3);
  const now = ports.clock.now();
  const clock =
    time === undefined ? [] : [compareClocks('s3-clock', 'the object store', now, time)];
  let store: ObjectStore;
  try {
    store = await openS3(url, s3, ports);
  } catch (error) {
    const hint = error instanceof OpenduckError ? error.hint : undefined;
    const advice = hint ?? 'Check --objects, --s3-endpoint, --s3-region and the credentials.';
    return [...clock, fail('s3-list', `${url}: ${describeError(error)}`, advice)];
  }
  const listed = ok('s3-list', `${url} can be listed`);
  return [...clock, listed, ...(await checkRights(store, ports))];
}
