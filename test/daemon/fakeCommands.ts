/**
 * An EngineCommands with one database `mydb` in memory, for tests of what stands before the
 * engine.
 */
import type { DatabaseSummary, EngineCommands, SnapshotSummary } from '../../fs/engineCommands.js';
import { OpenduckError } from '../../proto/errors.js';
import { databaseId, snapshotId } from '../../proto/ids.js';

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

function check(database: string): void {
  if (database === 'broken') throw new TypeError('a defect');
  if (database === 'mydb') return;
  throw new OpenduckError('NOT_FOUND', `there is no database '${database}'`, {
    database,
    hint: 'Ünïcode hint: 🦆.',
    cause: new Error('the cause'),
  });
}

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
};
