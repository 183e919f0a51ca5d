import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { tableFromIPC } from 'apache-arrow';
import { encodeResult } from '../../exec/arrow/encode.js';
import { END_OF_STREAM, mergeStreams } from '../../exec/client/mergeStreams.js';
import { OpenduckError } from '../../proto/errors.js';
import { seededRandom, testSeed } from '../harness/seeds.js';

async function payloadsOf(sql: string, dictionaries = false): Promise<Uint8Array[]> {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  try {
    const options = { batchRows: 1000, dictionaries, exact: false, messageBytes: 20_000 };
    const payloads: Uint8Array[] = [];
    for await (const payload of encodeResult(await connection.stream(sql), options)) {
      payloads.push(payload);
    }
    return payloads;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function merged(payloads: readonly Uint8Array[]): Promise<Buffer> {
  const source = (async function* () {
    yield* payloads;
  })();
  const parts: Uint8Array[] = [];
  for await (const part of mergeStreams(source)) parts.push(part);
  return Buffer.concat(parts);
}

const SQL = `SELECT i::INT AS i, 'text ' || i AS s, ['a', 'b', i::VARCHAR] AS l,
  (CASE WHEN i % 2 = 0 THEN 'ok' ELSE 'sad' END)::ENUM('sad', 'ok') AS e FROM range(10000) r(i)`;

test('the rows of all streams, in order, in one', async () => {
  for (const dictionaries of [false, true]) {
    const payloads = await payloadsOf(SQL, dictionaries);
    assert.ok(payloads.length > 3);
    const table = tableFromIPC(await merged(payloads));
    assert.equal(table.numRows, 10_000);
    const numbers = table.getChild('i')!.toArray() as Int32Array;
    assert.deepEqual(
      [...numbers],
      Array.from({ length: 10_000 }, (_, i) => i),
    );
    assert.equal(table.getChild('e')!.get(9999), 'sad');
    assert.equal(table.getChild('l')!.get(9999)!.get(2), '9999');
  }
});

test('one stream stays what it is; of none there is none', async () => {
  const [only] = await payloadsOf('SELECT 1 AS a WHERE false');
  assert.deepEqual(await merged([only!]), Buffer.from(only!));
  assert.equal((await merged([])).length, 0);
});

test('damaged streams are CORRUPT, or pass as they are, and never hang', async () => {
  const random = seededRandom(testSeed());
  console.log(`OPENDUCK_TEST_SEED=${random.seed}`);
  const [first, second] = await payloadsOf(SQL);
  for (let i = 0; i < 2000; i++) {
    const damaged = Buffer.from(second!);
    // The lengths and offsets at the beginning of each message are what is read here.
    for (let flips = random.int(1, 4); flips > 0; flips--) {
      damaged[random.int(0, 300)]! ^= 1 << random.int(0, 7);
    }
    const cut = damaged.subarray(0, random.int(0, 1) === 0 ? damaged.length : random.int(0, 400));
    const result = await merged([first!, cut]).catch((error: unknown) => error);
    if (result instanceof Error) {
      assert.ok(result instanceof OpenduckError && result.code === 'CORRUPT', String(result));
    } else {
      const bytes = result as Buffer;
      assert.ok(bytes.length <= first!.length + cut.length + END_OF_STREAM.length);
    }
  }
});
