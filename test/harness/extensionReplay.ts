/**
 * What the existing DuckDB extension for openduck.v1 sends (it cannot be installed from anywhere),
 * and what it can take: plain gRPC without metadata of ours, a deadline of 30 s, an execution id
 * for every call; complete Arrow streams, batches of at most 2048 rows, no dictionaries, no types
 * that it has no reader for.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { type DataType, RecordBatchReader, type Schema, Type } from 'apache-arrow';
import { decodeChunk } from '../../exec/protocol/chunks.js';
import { parseEndpoint } from '../../exec/protocol/endpoint.js';
import { EXECUTION_SERVICE } from '../../exec/protocol/execution.js';

const DEADLINE_MS = 30_000;
/** It copies a batch into one chunk of DuckDB. */
const MOST_ROWS = 2048;
const END_OF_STREAM = Buffer.from([255, 255, 255, 255, 0, 0, 0, 0]);

/** Read as they are, or through their text and a cast. Nested types arrive as text. */
const TAKEN: ReadonlySet<Type> = new Set([
  Type.Bool,
  Type.Int,
  Type.Float,
  Type.Utf8,
  Type.LargeUtf8,
  Type.Binary,
  Type.Date,
  Type.Time,
  Type.Timestamp,
  Type.Interval,
  Type.Decimal,
  Type.List,
  Type.FixedSizeList,
  Type.Struct,
  Type.Map,
  Type.Null,
]);

export interface ReplayedAnswer {
  readonly schema: Schema | undefined;
  readonly rows: number;
  readonly payloads: number;
  /** DuckDB's text. */
  readonly error: string | undefined;
  /** The status of the call when it was not OK. */
  readonly status: ServiceError | undefined;
}

/** 16-bit floats are read as 32-bit ones by it. */
function isTaken(type: DataType): boolean {
  if (!TAKEN.has(type.typeId)) return false;
  return type.typeId !== Type.Float || (type as { precision?: number }).precision !== 0;
}

function checkPayload(payload: Uint8Array): { schema: Schema; rows: number } {
  const bytes = Buffer.from(payload);
  assert.ok(bytes.subarray(-8).equals(END_OF_STREAM), 'the stream has an end');
  const reader = RecordBatchReader.from(bytes).open();
  const { schema } = reader;
  let rows = 0;
  for (const batch of reader) {
    assert.ok(batch.numRows <= MOST_ROWS, `${batch.numRows} rows in a batch`);
    rows += batch.numRows;
  }
  for (const { name, type } of schema.fields) assert.ok(isTaken(type), `${name}: ${type}`);
  return { schema, rows };
}

export class ExtensionReplay {
  readonly #client: Client;
  readonly #database: string;
  readonly #token: string;

  constructor(endpoint: string, database: string, token: string) {
    const { host, port } = parseEndpoint(endpoint);
    this.#client = new Client(`${host}:${port}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
    });
    this.#database = database;
    this.#token = token;
  }

  /** Checks every payload; throws when one is not as the extension needs it. */
  async send(sql: string): Promise<ReplayedAnswer> {
    const { path, requestSerialize, responseDeserialize } = EXECUTION_SERVICE.ExecuteFragment;
    const request = {
      plan: Buffer.from(sql),
      database: this.#database,
      access_token: this.#token,
      execution_id: randomUUID(),
      compute_context: '',
    };
    const deadline = Date.now() + DEADLINE_MS;
    const stream = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      { deadline },
    );
    const answer = { rows: 0, payloads: 0 };
    let schema: Schema | undefined;
    try {
      for await (const bytes of stream as AsyncIterable<Buffer>) {
        const chunk = decodeChunk(bytes);
        if (chunk.kind === 'error') {
          return { ...answer, schema, error: chunk.message, status: undefined };
        }
        if (chunk.kind === 'finished') break;
        const checked = checkPayload(chunk.payload);
        schema ??= checked.schema;
        assert.deepEqual(String(checked.schema), String(schema), 'one schema');
        answer.rows += checked.rows;
        answer.payloads += 1;
      }
      return { ...answer, schema, error: undefined, status: undefined };
    } catch (error) {
      if (typeof (error as Partial<ServiceError>).code !== 'number') throw error;
      return { ...answer, schema, error: undefined, status: error as ServiceError };
    }
  }

  close(): void {
    this.#client.close();
  }
}

/**
 * ATTACH, then a query of some columns of a table and one of its count, as the extension does it.
 * `columns`: all of the table, in order; `rows`: how many it has.
 */
export async function replayExtension(
  replay: ExtensionReplay,
  table: string,
  columns: readonly string[],
  rows: number,
): Promise<void> {
  const listing = await replay.send(
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'",
  );
  assert.equal(listing.error, undefined);
  assert.deepEqual(
    listing.schema?.fields.map(({ name }) => name),
    ['table_name'],
  );
  assert.ok(listing.rows >= 1);

  const probe = await replay.send(`SELECT * FROM ${table} LIMIT 0`);
  assert.ok(probe.payloads >= 1, 'an empty result has a schema, or the table counts as missing');
  assert.deepEqual([probe.rows, probe.error], [0, undefined]);
  assert.deepEqual(
    probe.schema?.fields.map(({ name }) => name),
    columns,
  );

  const some = columns.slice(0, 2);
  const scan = await replay.send(`SELECT ${some.join(', ')} FROM ${table}`);
  assert.deepEqual([scan.rows, scan.error], [rows, undefined]);
  assert.deepEqual(
    scan.schema?.fields.map(({ name }) => name),
    some,
  );
  const whole = await replay.send(`SELECT * FROM ${table}`);
  assert.deepEqual([whole.rows, whole.error], [rows, undefined]);
  const count = await replay.send(`SELECT 1 FROM ${table}`);
  assert.deepEqual([count.rows, count.error], [rows, undefined]);

  const missing = await replay.send('SELECT * FROM does_not_exist LIMIT 0');
  assert.equal(missing.payloads, 0, 'a missing table has no payload');
  assert.match(missing.error ?? '', /^Catalog Error: .*does_not_exist/);
}
