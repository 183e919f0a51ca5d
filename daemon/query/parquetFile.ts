/**
 * A result as a Parquet file, written by DuckDB itself: in this process, which is no daemon. The
 * rows wait in a table of its own, which goes to disk when memory is short.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { ArrowLoader } from '../../exec/arrow/load.js';
import { quoteText } from '../../exec/duckdb/sqlText.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { OpenduckError } from '../../proto/errors.js';
import type { Sink } from './sink.js';

const TABLE = 'result';
const COPY_BYTES = 1 << 20;

async function fillTable(
  connection: DuckDBConnection,
  payloads: AsyncIterable<Uint8Array>,
): Promise<void> {
  let loader: ArrowLoader | undefined;
  for await (const payload of payloads) {
    loader ??= await ArrowLoader.create(connection, TABLE, payload);
    loader.append(payload);
  }
  if (loader === undefined) {
    throw new OpenduckError('CORRUPT', 'the server answered without a result');
  }
  loader.close();
}

async function copyFile(path: string, sink: Sink): Promise<void> {
  const file = await nodeDisk.open(path, 'read');
  try {
    const size = await file.size();
    for (let at = 0; at < size; at += COPY_BYTES) {
      // A buffer of its own each time: a pipe may still hold the one before.
      const buffer = Buffer.alloc(Math.min(COPY_BYTES, size - at));
      await file.read(buffer, 0, buffer.length, at);
      await sink.write(buffer);
    }
  } finally {
    await file.close();
  }
}

/** `name`: not used by anybody else in the directory for temporary files. */
export async function writeParquet(
  payloads: AsyncIterable<Uint8Array>,
  sink: Sink,
  name: string,
): Promise<void> {
  const directory = join(tmpdir(), `openduck-query-${name}`);
  const file = join(directory, 'result.parquet');
  await nodeDisk.makeDirectory(directory);
  try {
    const database = join(directory, 'result.duckdb');
    const instance = await DuckDBInstance.create(database);
    const connection = await instance.connect();
    try {
      await fillTable(connection, payloads);
      await connection.run(`COPY ${TABLE} TO ${quoteText(file)} (FORMAT parquet)`);
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
    await copyFile(file, sink);
  } finally {
    await nodeDisk.removeTree(directory);
  }
}
