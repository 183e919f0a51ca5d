/**
 * Writes a layer to a local file: header, frames, index, trailer, one fdatasync.
 *
 * Memory is two batch buffers of about 1 MiB, whatever the size of the layer: while one is being
 * written, the other is filled and hashed. The index is built in advance but for the checksums, so
 * its invariants are checked before the first byte is written.
 */

import { OpenduckError } from '../proto/errors.js';
import type { FileId } from '../proto/ids.js';
import { checksum64 } from './checksum.js';
import { inLanes } from './lanes.js';
import { type LayerDescription, type LayerHole, type LayerRun, MAX_FRAME_BYTES } from './layer.js';
import {
  encodeHeader,
  encodeIndex,
  encodeTrailer,
  FRAME_ENTRY_BYTES,
  HEADER_BYTES,
  MAX_INDEX_BYTES,
} from './layerFormat.js';
import {
  CODEC_NONE,
  createFrameTable,
  FRAMES_START,
  type FrameTable,
  type LayerIndex,
  validateLayerIndex,
} from './layerIndex.js';
import type { Disk, DiskFile } from './os/disk.js';

/** Frames written by one call, in bytes; the header comes on top in the first. */
const BATCH_BYTES = 4 * MAX_FRAME_BYTES;
/** Calls of readRun at a time: as many as libuv has threads by default. */
const READS_IN_FLIGHT = 4;

/**
 * Fills `buffer[at, at + length)` with the bytes of `file` at `offset`; all of them or it throws.
 * Called for parts of the runs, each at most MAX_FRAME_BYTES, several at a time.
 */
export type ReadRun = (
  file: FileId,
  offset: number,
  buffer: Buffer,
  at: number,
  length: number,
) => Promise<void>;

export interface WrittenLayer {
  readonly index: LayerIndex;
  /** Size of the file. */
  readonly objectBytes: number;
  /** Logical bytes of all frames. */
  readonly dataBytes: number;
  /** XXH64 of the index; stands in the trailer, and tells two layers apart. */
  readonly indexChecksum: bigint;
}

/**
 * Leaves a complete layer, fsynced (but for its name), at `path`, which must not exist; the folder
 * must. The bytes of
 * each run take consecutive data offsets, in the order of `runs`, starting at 0.
 * Throws CORRUPT when description, runs or holes break an invariant of layerIndex.ts, UNSUPPORTED
 * when the layer has too many frames, ALREADY_EXISTS, and whatever `disk` or `readRun` throw; then
 * nothing is left at `path` but what was there before.
 */
export async function writeLayer(
  disk: Disk,
  path: string,
  description: LayerDescription,
  runs: readonly LayerRun[],
  holes: readonly LayerHole[],
  readRun: ReadRun,
): Promise<WrittenLayer> {
  const what = `layer ${description.layer}`;
  const index: LayerIndex = { description, frames: planFrames(runs, what), holes };
  const totals = validateLayerIndex(index, what);
  const file = await disk.open(path, 'scratch');
  const body = async (): Promise<WrittenLayer> => {
    const framesEnd = await writeFrames(file, index, readRun);
    const { objectBytes, indexChecksum } = await writeTail(
      file,
      index,
      framesEnd,
      totals.dataBytes,
    );
    await file.dataSync();
    return { index, objectBytes, dataBytes: totals.dataBytes, indexChecksum };
  };
  const written = await settle(body());
  const closed = await settle(file.close());
  if ('value' in written && 'value' in closed) return written.value;
  // The first error is the one to tell; a file that cannot be removed is found by the next start.
  await settle(disk.remove(path));
  throw 'error' in written ? written.error : (closed as Failure).error;
}

interface Failure {
  readonly error: unknown;
}
type Settled<T> = { readonly value: T } | Failure;

/** The outcome as a value: for promises that are awaited later than they may fail. */
async function settle<T>(promise: Promise<T>): Promise<Settled<T>> {
  try {
    return { value: await promise };
  } catch (error) {
    return { error };
  }
}

function isCount(value: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= 1 && value <= max;
}

/** The frame table of runs, all but the checksums. */
function planFrames(runs: readonly LayerRun[], what: string): FrameTable {
  let count = 0;
  for (const run of runs) {
    // Checked here, because the columns of the table would silently wrap them.
    if (!isCount(run.file, 0xffff_ffff) || !isCount(run.length, Number.MAX_SAFE_INTEGER)) {
      throw new OpenduckError('CORRUPT', `${what}: run of ${run.length} bytes in file ${run.file}`);
    }
    count += Math.ceil(run.length / MAX_FRAME_BYTES);
  }
  if (count > MAX_INDEX_BYTES / FRAME_ENTRY_BYTES) {
    throw new OpenduckError('UNSUPPORTED', `${what}: ${count} frames are too many for one layer`);
  }
  const frames = createFrameTable(count);
  let frame = 0;
  let dataOffset = 0;
  for (const run of runs) {
    for (let done = 0; done < run.length; done += MAX_FRAME_BYTES, frame++) {
      const length = Math.min(MAX_FRAME_BYTES, run.length - done);
      frames.file[frame] = run.file;
      frames.codec[frame] = CODEC_NONE;
      frames.fileOffset[frame] = run.offset + done;
      frames.dataOffset[frame] = dataOffset;
      frames.length[frame] = length;
      frames.objectOffset[frame] = FRAMES_START + dataOffset;
      frames.storedLength[frame] = length;
      dataOffset += length;
    }
  }
  return frames;
}

/** Writes header and frames, fills in the checksums; returns the object offset after them. */
async function writeFrames(file: DiskFile, index: LayerIndex, readRun: ReadRun): Promise<number> {
  const { description, frames } = index;
  const buffers = [newBatch(), newBatch()] as const;
  let filling = 0;
  let used = encodeHeader(description).copy(buffers[0]);
  let position = 0;
  let writing: Promise<Settled<void>> = settle(Promise.resolve());
  for (let first = 0, end = 0; first < frames.count || used > 0; first = end) {
    const buffer = buffers[filling]!;
    const filled = await settle(fillBatch(frames, first, buffer, used, readRun));
    // Always awaited before anything is thrown: the buffer is busy, and the file may not be closed.
    const previous = await writing;
    if ('error' in previous) throw previous.error;
    if ('error' in filled) throw filled.error;
    end = filled.value.end;
    writing = settle(file.write(buffer, 0, filled.value.used, position));
    position += filled.value.used;
    filling = 1 - filling;
    used = 0;
  }
  const last = await writing;
  if ('error' in last) throw last.error;
  return position;
}

function newBatch(): Buffer {
  return Buffer.allocUnsafeSlow(HEADER_BYTES + BATCH_BYTES);
}

/**
 * Reads and hashes frames from `first` on into `buffer[used, …)` until it is full. Returns the
 * first frame that did not fit and how much of the buffer is used now.
 */
async function fillBatch(
  frames: FrameTable,
  first: number,
  buffer: Buffer,
  used: number,
  readRun: ReadRun,
): Promise<{ readonly end: number; readonly used: number }> {
  const base = frames.dataOffset[first] ?? 0;
  let end = first;
  let bytes = 0;
  while (end < frames.count && bytes + frames.length[end]! <= BATCH_BYTES) {
    bytes += frames.length[end]!;
    end++;
  }
  await inLanes(end - first, READS_IN_FLIGHT, async (i) => {
    const frame = first + i;
    const at = used + frames.dataOffset[frame]! - base;
    const length = frames.length[frame]!;
    await readRun(frames.file[frame]! as FileId, frames.fileOffset[frame]!, buffer, at, length);
    frames.checksum[frame] = checksum64(buffer.subarray(at, at + length));
  });
  return { end, used: used + bytes };
}

async function writeTail(file: DiskFile, index: LayerIndex, at: number, dataBytes: number) {
  const bytes = encodeIndex(index);
  const indexChecksum = checksum64(bytes);
  const place = { indexOffset: at, indexLength: bytes.length };
  const trailer = encodeTrailer({ ...place, dataBytes, indexChecksum });
  await file.write(bytes, 0, bytes.length, at);
  await file.write(trailer, 0, trailer.length, at + bytes.length);
  return { objectBytes: at + bytes.length + trailer.length, indexChecksum };
}
