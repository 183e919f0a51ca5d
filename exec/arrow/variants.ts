/**
 * VARIANTs out of Arrow. Their parts are put into a vector as DuckDB holds them, and the binding
 * reads that: it knows what they mean.
 */
import {
  BLOB,
  DuckDBDataChunk,
  type DuckDBValue,
  DuckDBVariantValue,
  DuckDBVector,
  LIST,
  STRUCT,
  VARCHAR,
  VARIANT,
} from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import { type Data, Type } from 'apache-arrow';
import { VARIANT_PARTS } from './columns/columnOf.js';
import { fillerOf } from './vectors/fillerOf.js';

const [KEYS, CHILDREN, VALUES, DATA] = VARIANT_PARTS.names;
/** There are no chunks of VARIANTs: the C API makes none. */
const PARTS = STRUCT({
  [KEYS]: LIST(VARCHAR),
  [CHILDREN]: LIST(VARIANT_PARTS.children),
  [VALUES]: LIST(VARIANT_PARTS.values),
  [DATA]: BLOB,
});

/** Row `i`, which is not NULL, of an array that was checked. A text stays one. */
export function variantAt(data: Data, i: number): DuckDBValue {
  if (data.typeId === Type.Utf8) {
    const { values, valueOffsets: offsets } = data;
    const text = Buffer.from(values.subarray(offsets[i], offsets[i + 1])).toString('utf8');
    return new DuckDBVariantValue(text, VARCHAR);
  }
  const chunk = DuckDBDataChunk.create([PARTS], 1);
  const vector = duckdb.data_chunk_get_vector(chunk.chunk, 0);
  fillerOf(PARTS, data.type)!(vector, data, i, 1);
  return DuckDBVector.create(vector, 1, VARIANT).getItem(0);
}
