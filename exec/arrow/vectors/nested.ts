/** Vectors made of vectors. */
import duckdb from '@duckdb/node-bindings';
import { type Filler, fillValidity, writeBytes } from './filler.js';

/** LIST, and MAP, which is a list of structs. DuckDB's entries: u64 offset, u64 length. */
export function listFiller(fillItems: Filler): Filler {
  return (vector, data, from, count) => {
    const offsets: Int32Array = data.valueOffsets;
    const first = count === 0 ? 0 : offsets[from]!;
    const items = count === 0 ? 0 : offsets[from + count]! - first;
    const entries = new Uint32Array(count * 4);
    for (let i = 0; i < count; i++) {
      entries[i * 4] = offsets[from + i]! - first;
      entries[i * 4 + 2] = offsets[from + i + 1]! - offsets[from + i]!;
    }
    duckdb.list_vector_reserve(vector, items);
    duckdb.list_vector_set_size(vector, items);
    writeBytes(vector, new Uint8Array(entries.buffer));
    fillItems(duckdb.list_vector_get_child(vector), data.children[0]!, first, items);
    fillValidity(vector, data, from, count);
  };
}

/** ARRAY: `size` items each, those of NULLs included. */
export function arrayFiller(size: number, fillItems: Filler): Filler {
  return (vector, data, from, count) => {
    const child = duckdb.array_vector_get_child(vector);
    fillItems(child, data.children[0]!, from * size, count * size);
    fillValidity(vector, data, from, count);
  };
}

/** STRUCT, the entries of a MAP, a UNION with its tag. */
export function structFiller(fillEntries: readonly Filler[]): Filler {
  return (vector, data, from, count) => {
    for (const [i, fill] of fillEntries.entries()) {
      fill(duckdb.struct_vector_get_child(vector, i), data.children[i]!, from, count);
    }
    fillValidity(vector, data, from, count);
  };
}
