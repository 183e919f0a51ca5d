/** Arrow payloads into a table of DuckDB, a few thousand rows at a time. */
import {
  ARRAY,
  type DuckDBAppender,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBStructType,
  type DuckDBType,
  DuckDBTypeId,
  DuckDBUnionType,
  DuckDBVector,
  INTEGER,
  LIST,
  MAP,
} from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import type { Data, RecordBatch } from 'apache-arrow';
import { OpenduckError } from '../../proto/errors.js';
import { quoteName } from '../duckdb/sqlText.js';
import { type DecodedField, readStream, valuesOf } from './decode.js';
import { checkColumn } from './soundness.js';
import { typeText } from './typeText.js';
import { fillerOf } from './vectors/fillerOf.js';

export interface LoadOptions {
  /** Only for this connection. */
  readonly temporary?: boolean;
}

/** Rows of a chunk of DuckDB. */
const CHUNK_ROWS = duckdb.vector_size();

/** What a column of `type` is in a table: DuckDB has no NULLs there that are nothing else. */
function storedType(type: DuckDBType): DuckDBType {
  switch (type.typeId) {
    case DuckDBTypeId.SQLNULL:
      return INTEGER;
    case DuckDBTypeId.LIST:
      return LIST(storedType(type.valueType));
    case DuckDBTypeId.ARRAY:
      return ARRAY(storedType(type.valueType), type.length);
    case DuckDBTypeId.MAP:
      return MAP(storedType(type.keyType), storedType(type.valueType));
    case DuckDBTypeId.STRUCT:
      return new DuckDBStructType(type.entryNames, type.entryTypes.map(storedType));
    case DuckDBTypeId.UNION:
      return new DuckDBUnionType(type.memberTags, type.memberTypes.map(storedType));
    default:
      return type;
  }
}

/** Names that tables can have; as CREATE TABLE AS makes them: a, a → a, a_1. */
export function tableColumns(names: readonly string[]): string[] {
  const uses = new Map<string, number>();
  return names.map((name) => {
    let unique = name;
    for (let next = uses.get(name.toLowerCase()); uses.has(unique.toLowerCase()); ) {
      unique = `${name}_${next!}`;
      next = next! + 1;
      uses.set(name.toLowerCase(), next);
    }
    uses.set(unique.toLowerCase(), 1);
    return unique;
  });
}

function fillValues(
  vector: duckdb.Vector,
  data: Data,
  type: DuckDBType,
  from: number,
  count: number,
): void {
  const target = DuckDBVector.create(vector, count);
  for (const [i, value] of valuesOf(data, type, from, count).entries()) target.setItem(i, value);
  target.flush();
}

/**
 * Appends to a table that it makes. Uses the connection from the first payload to close(): what
 * else runs there meanwhile must not stream its result.
 */
export class ArrowLoader {
  readonly #fields: readonly DecodedField[];
  readonly #appender: DuckDBAppender;
  readonly #chunk: DuckDBDataChunk;

  private constructor(
    fields: readonly DecodedField[],
    appender: DuckDBAppender,
    chunk: DuckDBDataChunk,
  ) {
    this.#fields = fields;
    this.#appender = appender;
    this.#chunk = chunk;
  }

  /**
   * Makes the table of the payload's columns; the payload itself is still to be appended. `table`:
   * its name, in the connection's own schema. Throws CORRUPT, UNSUPPORTED for types that cannot be
   * in a table, or not get there (VARIANT).
   */
  static async create(
    connection: DuckDBConnection,
    table: string,
    payload: Uint8Array,
    options: LoadOptions = {},
  ): Promise<ArrowLoader> {
    const { temporary = false } = options;
    const { fields } = readStream(payload);
    const types = fields.map(({ type }) => storedType(type));
    const names = tableColumns(fields.map(({ name }) => name));
    const columns = names.map((name, i) => `${quoteName(name)} ${typeText(types[i]!)}`).join(', ');
    let chunk: DuckDBDataChunk;
    try {
      chunk = DuckDBDataChunk.create(types);
      const kind = temporary ? 'TEMP TABLE' : 'TABLE';
      await connection.run(`CREATE ${kind} ${quoteName(table)} (${columns})`);
    } catch (cause) {
      const message = `a result with these columns cannot be made a table: ${columns}`;
      throw new OpenduckError('UNSUPPORTED', message.slice(0, 500), {
        cause,
        hint: 'CAST them to VARCHAR in the statement',
      });
    }
    const place = temporary ? (['main', 'temp'] as const) : [];
    return new ArrowLoader(fields, await connection.createAppender(table, ...place), chunk);
  }

  /** Returns the number of rows. Throws CORRUPT, also when the columns are others than before. */
  append(payload: Uint8Array): number {
    const { fields, batches } = readStream(payload);
    const same = fields.length === this.#fields.length;
    if (!same || fields.some(({ type }, i) => String(type) !== String(this.#fields[i]!.type))) {
      throw new OpenduckError('CORRUPT', 'the columns of an answer changed in the middle of it');
    }
    let rows = 0;
    for (const batch of batches) {
      this.#appendBatch(batch);
      rows += batch.numRows;
    }
    return rows;
  }

  #appendBatch({ data: { children }, numRows }: RecordBatch): void {
    const chunk = this.#chunk;
    const columns = this.#fields.map(({ type }, i) => {
      const data: Data = children[i]!;
      checkColumn(data, type, numRows);
      return { data, type, fill: fillerOf(type, data.type) };
    });
    for (let from = 0; from < numRows; from += CHUNK_ROWS) {
      const count = Math.min(CHUNK_ROWS, numRows - from);
      chunk.reset();
      chunk.rowCount = count;
      for (const [i, { data, type, fill }] of columns.entries()) {
        const vector = duckdb.data_chunk_get_vector(chunk.chunk, i);
        if (fill === undefined) fillValues(vector, data, type, from, count);
        else fill(vector, data, from, count);
      }
      this.#appender.appendDataChunk(chunk);
    }
  }

  /** All rows are in the table afterwards. Throws DuckDB's errors. */
  close(): void {
    this.#appender.closeSync();
  }

  /** Rows that are not in the table yet are forgotten; the table stays. */
  abandon(): void {
    this.#appender.clear();
    this.#appender.closeSync();
  }
}
