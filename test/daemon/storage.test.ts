/** Sizes in listings: they go through the control service, and may be missing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeDatabaseStorage,
  decodeSnapshotStorage,
} from '../../daemon/control/storageMessages.js';
import { databaseTable, snapshotTable } from '../../daemon/databaseTable.js';
import { withDatabaseStorage, withSnapshotStorage } from '../../daemon/storage.js';
import { OpenduckError } from '../../proto/errors.js';
import { DATABASES, fakeCommands, SNAPSHOT, STORAGE } from './fakeCommands.js';

const NOW = Date.parse(SNAPSHOT.committedAt) + 60_000;
const away = async (): Promise<never> => {
  throw new OpenduckError('UNAVAILABLE', 'the metadata is away');
};

test('storage: messages become what was sent', () => {
  const [stored] = STORAGE;
  const { snapshots, uniqueBytes } = stored!;
  const asText = { ...stored!, snapshots: `${snapshots}`, uniqueBytes: `${uniqueBytes}` };
  assert.deepEqual(decodeDatabaseStorage(asText), stored);
  const snapshot = { id: SNAPSHOT.id, depth: 3, uniqueBytes: 2 ** 50, sharedBytes: 1 };
  assert.deepEqual(decodeSnapshotStorage({ ...snapshot, uniqueBytes: `${2 ** 50}` }), snapshot);
  assert.throws(() => decodeSnapshotStorage({ ...snapshot, sharedBytes: `${2n ** 60n}` }));
});

test('storage: databases with it, and with the host that writes', async () => {
  const [mine, empty] = await withDatabaseStorage(fakeCommands, DATABASES);
  assert.deepEqual([mine?.snapshots, mine?.sharedBytes, mine?.depth], [5, 2 ** 33, 2]);
  assert.ok(empty !== undefined && 'uniqueBytes' in empty && empty.uniqueBytes === undefined);
  const table = databaseTable([mine!, { ...mine!, name: 'other', writer: undefined }], NOW);
  assert.match(table, /UNIQUE +SHARED +SNAPSHOTS +DEPTH/);
  assert.match(table, /mydb .* 2\.0 TiB +8\.0 GiB +5 +2 .* 4711/);
  assert.match(table, /other .* db1$/m);
});

test('storage: listings without it when the metadata is away', async () => {
  const commands = { databaseStorage: away, snapshotStorage: away };
  const databases = await withDatabaseStorage(commands, DATABASES);
  assert.deepEqual(
    databases.map(({ name }) => name),
    ['mydb', 'empty'],
  );
  assert.ok(
    databases.every((each) => 'leaseHolder' in each),
    'keys are stable',
  );
  const [snapshot] = await withSnapshotStorage(commands, 'mydb', [SNAPSHOT]);
  assert.deepEqual([snapshot?.id, snapshot?.uniqueBytes], [SNAPSHOT.id, undefined]);
  assert.match(snapshotTable([snapshot!], NOW), / - +- +- +manual/);
});

test('storage: snapshots with their depth', async () => {
  const [snapshot] = await withSnapshotStorage(fakeCommands, 'mydb', [SNAPSHOT]);
  assert.deepEqual([snapshot?.depth, snapshot?.uniqueBytes], [16, 2 ** 40]);
});
