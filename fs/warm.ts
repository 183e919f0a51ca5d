/**
 * Brings the layers of a snapshot into this host's cache ahead of those who will need them. In
 * parts, so that the caller can show how far it is and stop.
 */
import { inLanes } from '../layers/lanes.js';
import type { LayerRecord } from '../metadata/store.js';
import type { Engine } from './engine.js';
import { resolveHeld } from './gc/holds.js';

/** Bytes of one part, and of one request. */
const PART_BYTES = 64 << 20;
const PIECE_BYTES = 8 << 20;
const LANES = 4;

export interface WarmProgress {
  /** Bytes that are warm, counted over all layers of the snapshot; where the next part begins. */
  readonly position: number;
  readonly total: number;
}

interface Piece {
  readonly key: string;
  readonly offset: number;
  readonly length: number;
}

/** The pieces of a stack between two positions. */
function piecesOf(stack: readonly LayerRecord[], from: number, to: number): Piece[] {
  const pieces: Piece[] = [];
  let start = 0;
  for (const { key, objectBytes } of stack) {
    const end = Math.min(start + objectBytes, to);
    for (let at = Math.max(start, from); at < end; at += PIECE_BYTES) {
      pieces.push({ key, offset: at - start, length: Math.min(PIECE_BYTES, end - at) });
    }
    start += objectBytes;
  }
  return pieces;
}

/** Throws NOT_FOUND, DISK_FULL (the cache is too small), UNAVAILABLE, IO. */
export async function warm(
  engine: Engine,
  name: string,
  when: string,
  from: number,
): Promise<WarmProgress> {
  const { metadata, objects } = engine.options;
  const { id } = await resolveHeld(engine, engine.get(name), when);
  const stack = await metadata.stackOf(id);
  const total = stack.reduce((sum, layer) => sum + layer.objectBytes, 0);
  if (objects.warm === undefined) return { position: total, total }; // they are here already
  const to = Math.min(total, from + PART_BYTES);
  const pieces = piecesOf(stack, from, to);
  await inLanes(pieces.length, LANES, async (i) => {
    const { key, offset, length } = pieces[i]!;
    await objects.warm!(key, offset, length);
  });
  return { position: to, total };
}
