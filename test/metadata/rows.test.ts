/** Rows that an engine gave back otherwise than they were written: CORRUPT, never a wrong value. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeDatabase, decodeLayer, decodeLease, decodeSnapshot } from '../../metadata/rows.js';
import { errorCode } from '../../proto/errors.js';

const ID = '01900000-0000-7000-8000-000000000001';

const database = {
  id: ID,
  name: 'duck',
  head: ID,
  created_at: 1,
  dropped_at: null,
  branched_from: ID,
};
const layer = {
  id: ID,
  database: ID,
  object_key: 'duck/1.layer',
  object_bytes: 3,
  data_bytes: 2,
  index_checksum: '00ff',
};
const lease = { database: ID, holder: 'here', epoch: 1, expires_at: 9 };
const snapshot = {
  id: ID,
  database: ID,
  parent: null,
  sequence: 1,
  version: 1,
  commit_time: 5,
  published_at: 6,
  reason: 'manual',
  name: 'before',
  files: '[{"name":"duck.duckdb","size":3}]',
  epoch: 1,
};

/** Every column in turn is something that it cannot be. */
function refusesAll(row: object, decode: (row: never) => unknown): void {
  decode(row as never);
  for (const column of Object.keys(row)) {
    for (const wrong of [Buffer.from('blob'), -1, 0.5, undefined]) {
      const damaged = { ...row, [column]: wrong };
      assert.throws(
        () => decode(damaged as never),
        (error) => errorCode(error) === 'CORRUPT',
        `${column} = ${wrong}`,
      );
    }
  }
}

test('rows: a column of another type than it was written with is CORRUPT', () => {
  refusesAll(database, decodeDatabase);
  refusesAll(layer, decodeLayer);
  refusesAll(lease, decodeLease);
  refusesAll(snapshot, decodeSnapshot);
});
