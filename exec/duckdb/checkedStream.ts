/**
 * Streams of DuckDB's results that tell when they fail. The C API ends a stream that failed exactly
 * as one that is over, with no chunk, and the binding for Node does not ask which it was: without
 * this, a conversion that fails in the millionth row gives a shorter result. In a transaction it
 * can be seen afterwards: DuckDB refuses everything in one in which something has failed.
 */
import type { DuckDBConnection, DuckDBDataChunk, DuckDBResult } from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';

/** Before the stream begins; not in a transaction of the caller. */
export async function beginCheckedStream(connection: DuckDBConnection): Promise<void> {
  await connection.run('BEGIN TRANSACTION');
}

/** Whether nothing has failed in the transaction so far. */
export async function isSound(connection: DuckDBConnection): Promise<boolean> {
  return connection.run('SELECT 1').then(
    () => true,
    () => false,
  );
}

/**
 * Once the stream has ended: commits, or rolls back and resolves to false when it has failed.
 * Throws what DuckDB says of the commit.
 */
export async function endCheckedStream(connection: DuckDBConnection): Promise<boolean> {
  try {
    // One call: the first statement fails when the stream has.
    await connection.run('SELECT 1; COMMIT');
    return true;
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => {}); // DuckDB may have done it
    if (/transaction is aborted/.test(String(error))) return false;
    throw error;
  }
}

/**
 * All chunks of the result that `open` starts on `connection`, which has no transaction before and
 * after. Throws what DuckDB throws at the start, and QUERY when the stream fails on its way.
 */
export async function* checkedChunks(
  connection: DuckDBConnection,
  open: () => Promise<DuckDBResult>,
): AsyncGenerator<DuckDBDataChunk> {
  await beginCheckedStream(connection);
  let isEnded = false;
  try {
    const result = await open();
    for (;;) {
      const chunk = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) break;
      yield chunk;
    }
    isEnded = true;
    if (await endCheckedStream(connection)) return;
    throw new OpenduckError('QUERY', 'DuckDB failed on the way through the result');
  } finally {
    if (!isEnded) await connection.run('ROLLBACK').catch(() => {});
  }
}
