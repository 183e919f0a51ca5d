/**
 * Records for tests: ids that tell what they are, and a small history writer.
 */
import assert from 'node:assert/strict';
import type {
  LayerRecord,
  Lease,
  MetadataStore,
  Publication,
  SnapshotRecord,
} from '../../metadata/store.js';
import { type ErrorCode, OpenduckError } from '../../proto/errors.js';
import {
  type DatabaseId,
  databaseId,
  epoch,
  type LayerId,
  layerId,
  snapshotId,
  versionNumber,
  wallTime,
} from '../../proto/ids.js';

/** 2026-05-01T00:00:00Z. */
export const START = Date.UTC(2026, 4, 1);
/** Milliseconds; long enough never to run out in a test by itself. */
export const TTL = 15_000;

/** The number comes first, so that prefixes of 8 digits differ. */
function uuid(kind: string, n: number): string {
  return `${n.toString(16).padStart(8, '0')}-${kind}-7000-8000-000000000000`;
}

export const dbId = (n: number) => databaseId(uuid('00db', n));
export const snapId = (n: number) => snapshotId(uuid('005a', n));
export const layId = (n: number) => layerId(uuid('001a', n));

export function layer(n: number, database: DatabaseId): LayerRecord {
  return {
    id: layId(n),
    database,
    key: `layers/${n}`,
    objectBytes: 5000 + n,
    dataBytes: 4096,
    indexChecksum: n.toString(16).padStart(16, '0'),
  };
}

/** The first snapshot of a database, unless told otherwise. */
export function snapshot(n: number, changes: Partial<SnapshotRecord> = {}): SnapshotRecord {
  return {
    id: snapId(n),
    database: dbId(1),
    parent: undefined,
    sequence: 1,
    version: versionNumber(1),
    commitTime: wallTime(START),
    publishedAt: wallTime(START + 500),
    reason: 'interval',
    name: undefined,
    files: [
      { name: 'x.duckdb', size: 4096 },
      { name: 'x.duckdb.wal', size: 0 },
    ],
    epoch: epoch(1),
    ...changes,
  };
}

/** Rejects with an OpenduckError of the code whose message matches. Resolves to the error. */
export async function refuses(
  promise: Promise<unknown>,
  code: ErrorCode,
  message: RegExp = /./,
): Promise<OpenduckError> {
  const error = await promise.then(
    () => assert.fail(`resolved instead of ${code}`),
    (e: unknown) => e,
  );
  assert.ok(error instanceof OpenduckError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  return error;
}

/** A database with a lease, and a way to publish the next snapshot on top of the last one. */
export interface Writer {
  readonly lease: Lease;
  /** What publish() would send next. Each snapshot adds one layer, numbered like it. */
  next(changes?: Partial<SnapshotRecord>): Publication;
  /** Publishes next(). */
  publish(changes?: Partial<SnapshotRecord>): Promise<SnapshotRecord>;
}

/** Snapshots and layers get the numbers `first`, `first` + 1, …; commits are a minute apart. */
export async function startWriter(
  store: MetadataStore,
  { number = 1, name = 'x', first = 1 } = {},
): Promise<Writer> {
  const id = dbId(number);
  await store.createDatabase({ id, name, createdAt: wallTime(START) });
  const lease = await store.acquireLease(id, 'host-a', TTL);
  let head: SnapshotRecord | undefined;
  let stack: readonly LayerId[] = [];
  const next = (changes: Partial<SnapshotRecord> = {}): Publication => {
    const sequence = (head?.sequence ?? 0) + 1;
    const n = first + sequence - 1;
    const added = layer(n, id);
    return {
      snapshot: snapshot(n, {
        database: id,
        parent: head?.id,
        sequence,
        version: versionNumber(sequence * 10),
        commitTime: wallTime(START + (sequence - 1) * 60_000),
        epoch: lease.epoch,
        ...changes,
      }),
      newLayers: [added],
      stack: [...stack, added.id],
    };
  };
  const publish = async (changes?: Partial<SnapshotRecord>): Promise<SnapshotRecord> => {
    const publication = next(changes);
    await store.publish(publication);
    head = publication.snapshot;
    stack = publication.stack;
    return publication.snapshot;
  };
  return { lease, next, publish };
}
