/**
 * An object that is read through the cache. A read is cut into chunks: those in the cache are read
 * there, those that somebody else is fetching are waited for, and neighbours among the others are
 * fetched by one request.
 */
import { assert, OpenduckError } from '../../proto/errors.js';
import { inLanes } from '../lanes.js';
import type { ObjectReader } from '../objectStore.js';
import type { ChunkFiles } from './chunkFiles.js';
import type { EntryFiles } from './entryFiles.js';
import { type Fetcher, type Flight, MOST_FETCHED, type Purpose } from './fetcher.js';
import { CHUNK_BYTES, type ObjectIdentity } from './names.js';
import { Prefetcher } from './prefetcher.js';
import type { RemoteObject, RemoteObjects } from './remoteObject.js';

/** Parts of one large read that are in work at a time. */
const PARTS_IN_FLIGHT = 2;

/** Pieces of reads that found their chunk in the cache, or did not. */
export interface ReadCounts {
  hits: number;
  misses: number;
}

export interface CacheParts {
  readonly entries: EntryFiles;
  readonly files: ChunkFiles;
  readonly objects: RemoteObjects;
  readonly fetcher: Fetcher;
  readonly counts: ReadCounts;
}

/** A part of a read that is in one chunk. */
interface Piece {
  readonly chunk: number;
  /** In the chunk. */
  readonly position: number;
  readonly target: Buffer;
}

/** Who waits for what. */
interface Wait {
  readonly piece: Piece;
  readonly flight: Flight;
}

function cut(target: Buffer, start: number): Piece[] {
  const pieces: Piece[] = [];
  const end = start + target.length;
  for (let at = start; at < end; ) {
    const chunk = Math.floor(at / CHUNK_BYTES);
    const position = at - chunk * CHUNK_BYTES;
    const next = Math.min(end, (chunk + 1) * CHUNK_BYTES);
    pieces.push({ chunk, position, target: target.subarray(at - start, next - start) });
    at = next;
  }
  return pieces;
}

export class CachedObject implements ObjectReader {
  readonly #parts: CacheParts;
  readonly #object: RemoteObject;
  readonly #identity: ObjectIdentity;
  readonly #prefetcher: Prefetcher;
  #closed = false;

  /** Takes the object over. */
  constructor(parts: CacheParts, object: RemoteObject) {
    this.#parts = parts;
    this.#object = object;
    this.#identity = object.identity;
    this.#prefetcher = new Prefetcher(parts, object);
  }

  get key(): string {
    return this.#identity.key;
  }

  get size(): number {
    return this.#identity.size;
  }

  readCached(buffer: Buffer, at: number, length: number, position: number): number {
    const end = position + length;
    if (this.#closed || end > this.size) return -1;
    const { files, counts } = this.#parts;
    let pieces = 0;
    for (let from = position; from < end; pieces++) {
      const chunk = Math.floor(from / CHUNK_BYTES);
      const start = chunk * CHUNK_BYTES;
      const next = Math.min(end, start + CHUNK_BYTES);
      const to = at + from - position;
      const read = files.readCached(this.#identity, chunk, buffer, to, next - from, from - start);
      if (!read) return -1;
      from = next;
    }
    counts.hits += pieces;
    this.#noticeRead(position, length);
    return length;
  }

  async read(buffer: Buffer, at: number, length: number, position: number): Promise<void> {
    assert(!this.#closed, `object ${this.key} is closed`);
    if (position + length > this.size) {
      const range = `bytes ${position}–${position + length}`;
      throw new OpenduckError('CORRUPT', `object ${this.key}: ends within ${range}`);
    }
    const pieces = cut(buffer.subarray(at, at + length), position);
    const parts = Math.ceil(pieces.length / MOST_FETCHED);
    const reading = inLanes(parts, PARTS_IN_FLIGHT, (i) =>
      this.#readPieces(pieces.slice(i * MOST_FETCHED, (i + 1) * MOST_FETCHED)),
    );
    this.#noticeRead(position, length);
    await reading;
  }

  /** Chunks of the object in [first, past) that are not in the cache. */
  missing(first: number, past: number): number[] {
    const chunks = Array.from({ length: past - first }, (_, i) => first + i);
    return chunks.filter((chunk) => !this.#parts.files.has(this.#identity, chunk));
  }

  /**
   * Brings chunks, which ascend, into the cache, neighbours by one request. Says whether all are
   * there; throws the store's error.
   */
  async bring(chunks: readonly number[], purpose: Purpose): Promise<boolean> {
    const flights = new Set(this.#flightsFor(chunks, purpose));
    const stored = [...flights].map(async (flight) => {
      await flight.data;
      return await flight.stored;
    });
    return (await Promise.all(stored)).every(Boolean);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#prefetcher.stop();
    await this.#parts.objects.giveBack(this.#object);
  }

  #noticeRead(position: number, length: number): void {
    this.#prefetcher.read(position, length);
    this.#parts.files.touchSize(this.#identity);
  }

  async #readPieces(pieces: readonly Piece[]): Promise<void> {
    const missing: Piece[] = [];
    await inLanes(pieces.length, pieces.length, async (i) => {
      if (!(await this.#readHere(pieces[i]!))) missing.push(pieces[i]!);
    });
    this.#parts.counts.misses += missing.length;
    this.#parts.counts.hits += pieces.length - missing.length;
    for (let left = missing; left.length > 0; ) {
      left.sort((a, b) => a.chunk - b.chunk);
      left = await this.#await(left);
    }
  }

  /** Reads a piece from the cache. Says whether it did. */
  async #readHere(piece: Piece): Promise<boolean> {
    const { files, fetcher } = this.#parts;
    const { chunk, position, target } = piece;
    const running = fetcher.flightOf(this.#object, chunk);
    if (running !== undefined && running.purpose !== 'check') return false;
    const state = files.stateOf(this.#identity, chunk);
    if (state === 'missing') return false;
    if (state === 'verified') return files.read(this.#identity, chunk, target, position);
    const content = await (running ?? fetcher.check(this.#object, chunk)).data;
    content?.copy(target, 0, position, position + target.length);
    return content !== undefined;
  }

  /** Waits for flights that bring the pieces; gives those that did not come. */
  async #await(pieces: readonly Piece[]): Promise<Piece[]> {
    const flights = this.#flightsFor(
      pieces.map(({ chunk }) => chunk),
      'demand',
    );
    const waits: Wait[] = pieces.map((piece, i) => ({ piece, flight: flights[i]! }));
    const again: Piece[] = [];
    await inLanes(waits.length, waits.length, async (i) => {
      const { piece, flight } = waits[i]!;
      const bytes = await flight.data.catch((error) => {
        // Only what was asked for by a reader tells readers how the store is.
        if (flight.purpose === 'demand') throw error;
        return undefined;
      });
      if (bytes === undefined) again.push(piece);
      const from = (piece.chunk - flight.first) * CHUNK_BYTES + piece.position;
      bytes?.copy(piece.target, 0, from, from + piece.target.length);
    });
    return again;
  }

  /** For each of the chunks, which ascend, who brings it: others, or a new request. */
  #flightsFor(chunks: readonly number[], purpose: Purpose): Flight[] {
    const { fetcher } = this.#parts;
    const running = (chunk: number) => fetcher.flightOf(this.#object, chunk);
    return chunks.map((chunk, i) => {
      const flight = running(chunk);
      if (flight !== undefined) return flight;
      let count = 1;
      while (chunks[i + count] === chunk + count && !running(chunk + count)) count++;
      return fetcher.fetch(this.#object, purpose, chunk, count);
    });
  }
}
