/** Columns made of columns. */
import duckdb from '@duckdb/node-bindings';
import type { Body } from '../body.js';
import { type Column, Offsets, Validity } from './column.js';
import { type Vector, vectorBytes, wordsOf } from './memory.js';

/** LIST, and MAP, which DuckDB keeps as a list of structs. Entries: u64 offset, u64 length. */
export class ListColumn implements Column {
  readonly #validity = new Validity();
  readonly #offsets = new Offsets();
  readonly #child: Column;
  #entries: Uint32Array = new Uint32Array(0);

  constructor(child: Column) {
    this.#child = child;
  }

  get bytes(): number {
    return this.#child.bytes + this.#offsets.rows * 4;
  }

  load(vector: Vector, count: number): void {
    this.#validity.load(vector, count);
    this.#entries = wordsOf(vectorBytes(vector, count * 16));
    this.#child.load(duckdb.list_vector_get_child(vector), duckdb.list_vector_get_size(vector));
  }

  /** Lists mostly follow each other in the child: such ones are appended as one. */
  append(from: number, count: number): void {
    const offsets = this.#offsets.reserve(count);
    const first = this.#offsets.rows + 1;
    let total = this.#offsets.total;
    let start = 0;
    let length = 0;
    for (let i = 0; i < count; i++) {
      const entry = (from + i) * 4;
      const items = this.#validity.isValid(from + i) ? this.#entries[entry + 2]! : 0;
      if (items > 0) {
        const begin = this.#entries[entry]!;
        if (begin !== start + length) {
          if (length > 0) this.#child.append(start, length);
          start = begin;
          length = 0;
        }
        length += items;
      }
      total += items;
      offsets[first + i] = total;
    }
    if (length > 0) this.#child.append(start, length);
    this.#offsets.grow(count, total);
    this.#validity.append(from, count);
  }

  weigh(from: number, count: number): number {
    let bytes = count * 4;
    for (let row = from; row < from + count; row++) {
      if (!this.#validity.isValid(row)) continue;
      bytes += this.#child.weigh(this.#entries[row * 4]!, this.#entries[row * 4 + 2]!);
    }
    return bytes;
  }

  finish(body: Body): void {
    this.#validity.finish(body);
    this.#offsets.finish(body);
    this.#child.finish(body);
  }
}

/** ARRAY: `size` items each, those of NULLs included. */
export class ArrayColumn implements Column {
  readonly #validity = new Validity();
  readonly #size: number;
  readonly #child: Column;

  constructor(size: number, child: Column) {
    this.#size = size;
    this.#child = child;
  }

  get bytes(): number {
    return this.#child.bytes;
  }

  load(vector: Vector, count: number): void {
    this.#validity.load(vector, count);
    this.#child.load(duckdb.array_vector_get_child(vector), count * this.#size);
  }

  append(from: number, count: number): void {
    this.#child.append(from * this.#size, count * this.#size);
    this.#validity.append(from, count);
  }

  weigh(from: number, count: number): number {
    return this.#child.weigh(from * this.#size, count * this.#size);
  }

  finish(body: Body): void {
    this.#validity.finish(body);
    this.#child.finish(body);
  }
}

export class StructColumn implements Column {
  readonly #validity = new Validity();
  readonly #children: readonly Column[];

  constructor(children: readonly Column[]) {
    this.#children = children;
  }

  get bytes(): number {
    return this.#children.reduce((sum, child) => sum + child.bytes, 0);
  }

  load(vector: Vector, count: number): void {
    this.#validity.load(vector, count);
    for (const [i, child] of this.#children.entries()) {
      child.load(duckdb.struct_vector_get_child(vector, i), count);
    }
  }

  append(from: number, count: number): void {
    for (const child of this.#children) child.append(from, count);
    this.#validity.append(from, count);
  }

  weigh(from: number, count: number): number {
    return this.#children.reduce((sum, child) => sum + child.weigh(from, count), 0);
  }

  finish(body: Body): void {
    this.#validity.finish(body);
    for (const child of this.#children) child.finish(body);
  }
}

/**
 * UNION as a sparse union, as DuckDB's own export: DuckDB keeps it as a struct whose first child is
 * the tag. A NULL union is member 0 with NULL.
 */
export class UnionColumn implements Column {
  readonly #children: readonly Column[];

  /** The first is the column of the tags, without a node of its own in Arrow. */
  constructor(tags: Column, members: readonly Column[]) {
    this.#children = [tags, ...members];
  }

  get bytes(): number {
    return this.#children.reduce((sum, child) => sum + child.bytes, 0);
  }

  load(vector: Vector, count: number): void {
    for (const [i, child] of this.#children.entries()) {
      child.load(duckdb.struct_vector_get_child(vector, i), count);
    }
  }

  append(from: number, count: number): void {
    for (const child of this.#children) child.append(from, count);
  }

  weigh(from: number, count: number): number {
    return this.#children.reduce((sum, child) => sum + child.weigh(from, count), 0);
  }

  /** The tags' node and buffer are the union's own. */
  finish(body: Body): void {
    for (const child of this.#children) child.finish(body);
  }
}
