/**
 * Reads a layer object. Promise G6: no byte leaves this file that was not covered by a checksum
 * which held when the byte was first read in this process.
 *
 * - Frames that were not verified yet and are wanted whole are read into the caller's buffer,
 *   hashed there and marked in a bitmap; when one fails, the read fails, and the bytes mean
 *   nothing.
 * - One that is wanted in part is read whole into a private buffer, hashed, marked, and only then
 *   copied to the caller; one such read per frame at a time.
 * - A verified frame is read directly. With codec none, object offsets run in step with data
 *   offsets (an invariant of layerIndex.ts), so neighbouring verified frames are one read.
 */
import { assert, OpenduckError } from '../proto/errors.js';
import type { LayerId } from '../proto/ids.js';
import { checksum64 } from './checksum.js';
import { inLanes } from './lanes.js';
import { MAX_FRAME_BYTES } from './layer.js';
import {
  decodeHeader,
  decodeIndex,
  decodeTrailer,
  HEADER_BYTES,
  TRAILER_BYTES,
} from './layerFormat.js';
import type { LayerIndex } from './layerIndex.js';
import { type Piece, planPieces } from './layerPieces.js';
import type { ObjectReader, ObjectStore } from './objectStore.js';

/** Read at once when a layer is opened: the trailer and, mostly, the index. */
const TAIL_BYTES = 64 * 1024;
/** Pieces of one `read` that are in work at a time. */
const PIECES_IN_FLIGHT = 4;
/** Frames of one layer being verified at a time; each holds a buffer of MAX_FRAME_BYTES. */
const FRAMES_IN_FLIGHT = 8;
/** Idle frame buffers kept by the process, for all layers: 4 MiB. */
const MAX_SPARE_BUFFERS = 16;

/** An open layer. Data offsets: see layer.ts. */
export interface Layer {
  readonly key: string;
  readonly index: LayerIndex;
  /** Logical bytes of all frames; data offsets are below this. */
  readonly dataBytes: number;
  /** XXH64 of the index, as the trailer has it. */
  readonly indexChecksum: bigint;
  /**
   * Copies `length` bytes at `dataOffset` to `buffer[at, …)` when that needs no waiting: the page
   * cache has them, and all of a frame that is to be verified. Returns whether it did; when not,
   * what `buffer[at, at + length)` holds is undefined. Throws INTERNAL out of range.
   */
  readCached(buffer: Buffer, at: number, length: number, dataOffset: number): boolean;
  /**
   * The same, waiting and verifying as needed. The buffer must not be used by others until it
   * settles. Throws CORRUPT naming object, frame and bytes; IO as the store does; INTERNAL out of
   * range or after `close`.
   */
  read(buffer: Buffer, at: number, length: number, dataOffset: number): Promise<void>;
  /** Reads the header and every frame again, verified before or not. Throws CORRUPT, IO. */
  verifyAll(): Promise<void>;
  /** Refuses further reads, waits for those under way, closes the object. May be called twice. */
  close(): Promise<void>;
}

/**
 * Opens the layer stored under `key`: trailer and index are read and verified, frames are not.
 * `expected.layer` is the layer that the metadata has under this key.
 * Throws NOT_FOUND, IO, UNSUPPORTED (a newer format), and CORRUPT naming object and bytes.
 */
export async function openLayer(
  store: ObjectStore,
  key: string,
  expected?: { readonly layer: LayerId },
): Promise<Layer> {
  const object = await store.open(key);
  try {
    const { index, dataBytes, indexChecksum } = await readIndex(object);
    const { layer } = index.description;
    if (expected !== undefined && expected.layer !== layer) {
      throw corrupt(object, 0, object.size, `holds layer ${layer}, not ${expected.layer}`);
    }
    return new OpenLayer(object, index, dataBytes, indexChecksum);
  } catch (error) {
    await object.close().catch(() => undefined); // the first error is the one to tell
    throw error;
  }
}

function describeRange(object: ObjectReader, start: number, end: number): string {
  return `object ${object.key}, bytes ${start}–${end}`;
}

function corrupt(object: ObjectReader, start: number, end: number, message: string): OpenduckError {
  return new OpenduckError('CORRUPT', `${describeRange(object, start, end)}: ${message}`);
}

async function readIndex(object: ObjectReader) {
  const { size } = object;
  if (size < HEADER_BYTES + TRAILER_BYTES) throw corrupt(object, 0, size, 'too short for a layer');
  const tailStart = Math.max(0, size - TAIL_BYTES);
  const tail = Buffer.allocUnsafeSlow(size - tailStart);
  await object.read(tail, 0, tail.length, tailStart);
  const trailerStart = size - TRAILER_BYTES;
  const trailerBytes = tail.subarray(trailerStart - tailStart);
  const trailer = decodeTrailer(trailerBytes, size, describeRange(object, trailerStart, size));
  const { indexOffset, indexLength, dataBytes } = trailer;
  let bytes = tail.subarray(indexOffset - tailStart, trailerStart - tailStart);
  if (indexOffset < tailStart) {
    bytes = Buffer.allocUnsafeSlow(indexLength);
    const missing = tailStart - indexOffset;
    await object.read(bytes, 0, Math.min(missing, indexLength), indexOffset);
    tail.copy(bytes, missing, 0, indexLength - missing);
  }
  const what = `${describeRange(object, indexOffset, trailerStart)}: index`;
  const index = decodeIndex(bytes, trailer, what);
  return { index, dataBytes, indexChecksum: trailer.indexChecksum };
}

/** Where frames are verified that are in the page cache; used up before anything else can run. */
const scratchFrame = Buffer.allocUnsafeSlow(MAX_FRAME_BYTES);

/** Idle buffers of MAX_FRAME_BYTES; process-wide, because layers are many and mostly idle. */
const spareBuffers: Buffer[] = [];

function takeBuffer(): Buffer {
  return spareBuffers.pop() ?? Buffer.allocUnsafeSlow(MAX_FRAME_BYTES);
}

function giveBuffer(buffer: Buffer): void {
  if (spareBuffers.length < MAX_SPARE_BUFFERS) spareBuffers.push(buffer);
}

class OpenLayer implements Layer {
  readonly key: string;
  readonly index: LayerIndex;
  readonly dataBytes: number;
  readonly indexChecksum: bigint;
  readonly #object: ObjectReader;
  /** One bit a frame. Bits are only ever set. */
  readonly #verified: Uint8Array;
  /** Frames being verified; at most FRAMES_IN_FLIGHT. */
  readonly #verifying = new Map<number, Promise<void>>();
  #reads = 0;
  #closed: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor(object: ObjectReader, index: LayerIndex, dataBytes: number, indexChecksum: bigint) {
    this.key = object.key;
    this.index = index;
    this.dataBytes = dataBytes;
    this.indexChecksum = indexChecksum;
    this.#object = object;
    this.#verified = new Uint8Array(Math.ceil(index.frames.count / 8));
  }

  readCached(buffer: Buffer, at: number, length: number, dataOffset: number): boolean {
    this.#checkRange(buffer, at, length, dataOffset);
    if (this.#closed !== undefined) return false;
    for (const piece of this.#plan(dataOffset, length)) {
      const to = at + piece.start - dataOffset;
      if (!this.#readPieceCached(piece, buffer, to)) return false;
    }
    return true;
  }

  #readPieceCached(piece: Piece, buffer: Buffer, at: number): boolean {
    const { kind, firstFrame, start, end } = piece;
    if (kind === 'part') return this.#readFrameCached(piece, buffer, at);
    const length = end - start;
    const position = this.#position(firstFrame, start);
    if (this.#object.readCached(buffer, at, length, position) !== length) return false;
    return kind === 'verified' || this.#failedFrame(piece, buffer, at) === undefined;
  }

  #readFrameCached({ firstFrame, start, end }: Piece, buffer: Buffer, at: number): boolean {
    const { frames } = this.index;
    const length = frames.storedLength[firstFrame]!;
    const position = frames.objectOffset[firstFrame]!;
    if (this.#object.readCached(scratchFrame, 0, length, position) !== length) return false;
    if (!this.#holds(firstFrame, scratchFrame, 0)) return false;
    const from = start - frames.dataOffset[firstFrame]!;
    scratchFrame.copy(buffer, at, from, from + end - start);
    return true;
  }

  async read(buffer: Buffer, at: number, length: number, dataOffset: number): Promise<void> {
    this.#checkRange(buffer, at, length, dataOffset);
    const pieces = this.#plan(dataOffset, length);
    await this.#whileOpen(() =>
      inLanes(pieces.length, PIECES_IN_FLIGHT, (i) => {
        const piece = pieces[i]!;
        const target = buffer.subarray(at + piece.start - dataOffset, at + piece.end - dataOffset);
        if (piece.kind === 'verified') return this.#readDirectly(piece, target);
        return piece.kind === 'whole'
          ? this.#readWhole(piece, target)
          : this.#readFrame(piece, target);
      }),
    );
  }

  #plan(dataOffset: number, length: number): Piece[] {
    const isVerified = (frame: number) => this.#isVerified(frame);
    return planPieces(this.index.frames, isVerified, dataOffset, dataOffset + length);
  }

  async verifyAll(): Promise<void> {
    await this.#whileOpen(async () => {
      await this.#verifyHeader();
      await inLanes(this.index.frames.count, PIECES_IN_FLIGHT, (frame) => this.#verify(frame));
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#closeWhenIdle();
    return this.#closed;
  }

  async #closeWhenIdle(): Promise<void> {
    if (this.#reads > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    await this.#object.close();
  }

  async #whileOpen(work: () => Promise<void>): Promise<void> {
    assert(this.#closed === undefined, `layer ${this.key} is closed`);
    this.#reads++;
    try {
      await work();
    } finally {
      this.#reads--;
      if (this.#reads === 0) this.#onIdle?.();
    }
  }

  #checkRange(buffer: Buffer, at: number, length: number, dataOffset: number): void {
    const inside = dataOffset >= 0 && length >= 0 && dataOffset + length <= this.dataBytes;
    assert(inside, `${this.key}: data ${dataOffset}+${length} of ${this.dataBytes}`);
    assert(at >= 0 && at + length <= buffer.length, `${this.key}: buffer too short`);
  }

  #isVerified(frame: number): boolean {
    return (this.#verified[frame >> 3]! & (1 << (frame & 7))) !== 0;
  }

  /** Where a data offset within `frame` stands in the object; codec none only. */
  #position(frame: number, dataOffset: number): number {
    const { frames } = this.index;
    return frames.objectOffset[frame]! + (dataOffset - frames.dataOffset[frame]!);
  }

  #readDirectly(piece: Piece, target: Buffer): Promise<void> {
    const position = this.#position(piece.firstFrame, piece.start);
    return this.#object.read(target, 0, target.length, position);
  }

  /** Reads whole frames where they are wanted and verifies them there. Throws CORRUPT. */
  async #readWhole(piece: Piece, target: Buffer): Promise<void> {
    await this.#readDirectly(piece, target);
    const failed = this.#failedFrame(piece, target, 0);
    if (failed !== undefined) throw this.#mismatch(failed);
  }

  /** Verifies the frames of a piece, which stand in `buffer` from `at` on. */
  #failedFrame({ firstFrame, pastFrame }: Piece, buffer: Buffer, at: number): number | undefined {
    let position = at;
    for (let frame = firstFrame; frame < pastFrame; frame++) {
      if (!this.#holds(frame, buffer, position)) return frame;
      position += this.index.frames.length[frame]!;
    }
    return undefined;
  }

  /** Whether the frame's checksum holds for the bytes from `at` on; if so, it is marked. */
  #holds(frame: number, buffer: Buffer, at: number): boolean {
    const { storedLength, checksum } = this.index.frames;
    const bytes = buffer.subarray(at, at + storedLength[frame]!);
    if (checksum64(bytes) !== checksum[frame]) return false;
    this.#verified[frame >> 3]! |= 1 << (frame & 7);
    return true;
  }

  #mismatch(frame: number): OpenduckError {
    const { objectOffset, storedLength } = this.index.frames;
    const start = objectOffset[frame]!;
    const end = start + storedLength[frame]!;
    return corrupt(this.#object, start, end, `frame ${frame}: checksum mismatch`);
  }

  /** Reads a piece of one frame, verifying the frame unless somebody else just did. */
  async #readFrame(piece: Piece, target: Buffer): Promise<void> {
    const frame = piece.firstFrame;
    while (!this.#isVerified(frame)) {
      const running = this.#verifying.get(frame);
      if (running !== undefined) {
        await running; // its failure is ours
      } else if (this.#verifying.size >= FRAMES_IN_FLIGHT) {
        // Whatever it comes to is told to its own reader.
        await Promise.race(this.#verifying.values()).catch(() => undefined);
      } else {
        const offset = piece.start - this.index.frames.dataOffset[frame]!;
        const work = this.#verify(frame, { target, offset }).finally(() => {
          this.#verifying.delete(frame);
        });
        this.#verifying.set(frame, work);
        return work;
      }
    }
    await this.#readDirectly(piece, target);
  }

  /** Reads a whole frame, checks it, marks it, and copies what `part` asks for. Throws CORRUPT. */
  async #verify(frame: number, part?: { target: Buffer; offset: number }): Promise<void> {
    const { frames } = this.index;
    const position = frames.objectOffset[frame]!;
    const length = frames.storedLength[frame]!;
    const buffer = takeBuffer();
    try {
      await this.#object.read(buffer, 0, length, position);
      if (!this.#holds(frame, buffer, 0)) throw this.#mismatch(frame);
      if (part) buffer.copy(part.target, 0, part.offset, part.offset + part.target.length);
    } finally {
      giveBuffer(buffer);
    }
  }

  async #verifyHeader(): Promise<void> {
    const bytes = Buffer.allocUnsafeSlow(HEADER_BYTES);
    await this.#object.read(bytes, 0, HEADER_BYTES, 0);
    const header = decodeHeader(bytes, describeRange(this.#object, 0, HEADER_BYTES));
    const { layer, database } = this.index.description;
    if (header.layer !== layer || header.database !== database) {
      throw corrupt(this.#object, 0, HEADER_BYTES, `header of layer ${header.layer}, not ${layer}`);
    }
  }
}
