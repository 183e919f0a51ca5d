/**
 * An EngineCommands with one database `mydb` in memory, for tests of what stands before the
 * engine.
 */

import type { LayerFinding } from '../../fs/checking.js';
import type {
  DatabaseStorage,
  DatabaseSummary,
  DroppedSummary,
  EngineCommands,
  SnapshotSummary,
} from '../../fs/engineCommands.js';
import type { CollectReport } from '../../fs/gc/report.js';
import { DEFAULT_POLICY, type RetentionPolicy } from '../../metadata/retention/policy.js';
import { OpenduckError } from '../../proto/errors.js';
import { databaseId, layerId, snapshotId } from '../../proto/ids.js';

export const SNAPSHOT: SnapshotSummary = {
  id: snapshotId('01890000-0001-7aaa-8aaa-aaaaaaaaaaaa'),
  database: 'mydb',
  name: undefined,
  sequence: 3,
  version: 2 ** 40,
  committedAt: '2026-01-01T00:00:00.000Z',
  publishedAt: '2026-01-01T00:00:01.000Z',
  reason: 'manual',
  size: 2 ** 45 + 1,
};

export const DATABASES: readonly DatabaseSummary[] = [
  {
    id: databaseId('11111111-1111-4111-8111-111111111111'),
    name: 'mydb',
    size: 2 ** 45 + 1,
    files: [
      { name: 'mydb.duckdb', size: 2 ** 45 },
      { name: 'mydb.duckdb.wal', size: 1 },
    ],
    version: 2 ** 40,
    publishedVersion: 0,
    head: SNAPSHOT.id,
    committedAt: '2026-01-01T00:00:00.000Z',
    depth: 2,
    writer: { pid: 4711 },
    readers: 3,
    segmentBytes: 12345,
    damage: undefined,
  },
  {
    id: databaseId('22222222-2222-4222-8222-222222222222'),
    name: 'empty',
    size: 0,
    files: [],
    version: 0,
    publishedVersion: 0,
    head: undefined,
    committedAt: undefined,
    depth: 0,
    writer: undefined,
    readers: 0,
    segmentBytes: 0,
    damage: 'segment 3: checksum mismatch',
  },
];

export const DROPPED: readonly DroppedSummary[] = [
  {
    id: databaseId('33333333-3333-4333-8333-333333333333'),
    name: 'mydb',
    droppedAt: '2026-01-02T00:00:00.000Z',
    committedAt: '2026-01-01T00:00:00.000Z',
    head: SNAPSHOT.id,
    size: 2 ** 45,
  },
  {
    id: databaseId('44444444-4444-4444-8444-444444444444'),
    name: 'empty',
    droppedAt: '2026-01-02T00:00:00.000Z',
    committedAt: undefined,
    head: undefined,
    size: 0,
  },
];

export const STORAGE: readonly DatabaseStorage[] = [
  {
    id: DATABASES[0]!.id,
    snapshots: 5,
    layers: 17,
    uniqueBytes: 2 ** 41,
    sharedBytes: 2 ** 33,
    leaseHolder: 'db1:/var/lib/openduck#1f0c2a9b',
  },
];
const POLICY: RetentionPolicy = { ...DEFAULT_POLICY, keepWithin: 2 ** 50 };

const object = (key: string, bytes: number) => ({ key, bytes });

export const REPORT: CollectReport = {
  dryRun: false,
  databases: [{ id: DATABASES[0]!.id, name: 'mydb', dropped: true, snapshots: [SNAPSHOT.id] }],
  unused: [object('a/1.layer', 2 ** 50), object('a/2.layer', 0)],
  orphans: [object('a/3.layer', 3)],
  deleted: [],
  held: 4,
};

function check(database: string): void {
  if (database === 'broken') throw new TypeError('a defect');
  if (database === 'mydb') return;
  throw new OpenduckError('NOT_FOUND', `there is no database '${database}'`, {
    database,
    hint: 'Ünïcode hint: 🦆.',
    cause: new Error('the cause'),
  });
}

export const FINDING: LayerFinding = {
  layer: layerId('01890000-0002-7aaa-8aaa-aaaaaaaaaaaa'),
  key: 'a/b.layer',
  kind: 'data',
  text: 'frame 3: checksum mismatch',
  snapshots: [SNAPSHOT.id],
  repaired: undefined,
};

export const fakeCommands: EngineCommands = {
  status: async () => ({
    databases: DATABASES,
    aside: [],
    counters: { reads: 2 ** 50, ratio: 0.5 },
  }),
  takeSnapshot: async (database, name) => {
    check(database);
    return { ...SNAPSHOT, name };
  },
  resolveSnapshot: async (database, when) => {
    check(database);
    return { ...SNAPSHOT, reason: when };
  },
  listSnapshots: async (database) => {
    check(database);
    return [SNAPSHOT, { ...SNAPSHOT, name: 'before', sequence: 2 }];
  },
  nameSnapshot: async (database, when, name) => {
    check(database);
    return { ...SNAPSHOT, reason: when, name };
  },
  recover: async (aside, name) => {
    check(aside);
    return { ...DATABASES[0]!, name };
  },
  warm: async (database, _when, from) => {
    check(database);
    return { position: from, total: from };
  },
  clone: async (database, when, name) => {
    check(database);
    return { ...DATABASES[0]!, name, damage: when };
  },
  restore: async (database, when, waitMs) => {
    check(database);
    return { ...SNAPSHOT, reason: when, sequence: waitMs };
  },
  reset: async (database, waitMs) => {
    check(database);
    return { ...SNAPSHOT, sequence: waitMs };
  },
  listDropped: async () => [...DROPPED],
  undrop: async (database, id, name) => {
    check(database);
    return { ...DATABASES[0]!, name, damage: id };
  },
  describeSnapshot: async (database) => {
    check(database);
    return { snapshot: SNAPSHOT, files: [{ suffix: '.duckdb', size: 2 ** 45 }] };
  },
  readSnapshot: async (database, when, suffix, offset, length) => {
    check(database);
    return Buffer.from(`${when}${suffix}:${offset}+${length}`);
  },
  beginImport: async ({ database, files }) => {
    check(database);
    return { id: database, positions: files.map(({ size }) => size) };
  },
  appendImport: async (id, suffix, offset, bytes) => {
    check(id);
    if (suffix !== '.duckdb' || bytes.length !== offset) throw new TypeError('not what was sent');
  },
  finishImport: async (id, checksums) => {
    check(id);
    return { ...SNAPSHOT, reason: checksums.join() };
  },
  abandonImport: async (id) => check(id),
  checkMetadata: async () => ({
    findings: ['Ünïcode finding.'],
    databases: [{ id: DATABASES[0]!.id, name: 'mydb', dropped: true }],
  }),
  checkLayers: async ({ from }) => ({ position: from + 1, total: 2 ** 40, findings: [FINDING] }),
  diffSnapshots: async (database, before, _after, from) => {
    check(database);
    const change = { before: undefined, after: 2 ** 40, bytes: 1, blocks: 2, read: 3 };
    return { position: from, total: 2 ** 41, files: [{ suffix: before, ...change }] };
  },
  removeSnapshot: async (database, when, named) => {
    check(database);
    return { ...SNAPSHOT, reason: `${when} ${named}` };
  },
  databaseStorage: async () => [...STORAGE],
  snapshotStorage: async (database) => {
    check(database);
    return [{ id: SNAPSHOT.id, depth: 16, uniqueBytes: 2 ** 40, sharedBytes: 0 }];
  },
  retention: async (database) => {
    check(database);
    return { database, policy: POLICY, isDefault: true };
  },
  setRetention: async (database, change) => {
    check(database);
    return { database, policy: { ...POLICY, ...change }, isDefault: change === undefined };
  },
  collect: async (options) => {
    if (options.database !== undefined) check(options.database);
    return { ...REPORT, dryRun: options.dryRun, held: options.minAgeMs };
  },
};
