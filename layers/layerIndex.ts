/**
 * The index of a layer in memory, and what must hold of it.
 *
 * Invariants, checked by `validateLayerIndex` after every decode and before every write:
 * - frames ascend by data offset, start at 0 and leave no gap; their object offsets start right
 *   after the header and leave no gap either, so every byte of an object is under a checksum;
 * - frames ascend by (file, offset) too and are disjoint; holes likewise; no hole meets a frame;
 * - a frame holds 1 … MAX_FRAME_BYTES logical bytes; frames and holes end within their file;
 * - file ids are unique, ≥ 1 and below `nextFileId`; suffixes are unique;
 * - every quantity is a whole number that a double holds exactly.
 */
import { OpenduckError } from '../proto/errors.js';
import type { LayerDescription, LayerFile, LayerHole } from './layer.js';
import { MAX_FRAME_BYTES } from './layer.js';

/** Stored bytes are the logical bytes. */
export const CODEC_NONE = 0;
/** Reserved: a zstd frame. No version reads it yet. */
export const CODEC_ZSTD = 1;

/** Object offset of the first frame: the length of the header in bytes. */
export const FRAMES_START = 64;

const MAX_U32 = 0xffff_ffff;
const MAX_TEXT_BYTES = 0xffff;
const NIL_UUID = '00000000-0000-0000-0000-000000000000';

/** One column per field, one row per frame: there may be millions. Offsets and lengths: bytes. */
export interface FrameTable {
  readonly count: number;
  /** FileId. */
  readonly file: Uint32Array;
  readonly codec: Uint8Array;
  /** Where the frame's first byte stands in its file. */
  readonly fileOffset: Float64Array;
  /** Where it stands in the concatenation of all uncompressed frames. */
  readonly dataOffset: Float64Array;
  /** Logical (uncompressed) bytes. */
  readonly length: Uint32Array;
  readonly objectOffset: Float64Array;
  /** Bytes in the object; equals `length` with CODEC_NONE. */
  readonly storedLength: Uint32Array;
  /** XXH64 of the stored bytes. */
  readonly checksum: BigUint64Array;
}

export interface LayerIndex {
  readonly description: LayerDescription;
  readonly frames: FrameTable;
  readonly holes: readonly LayerHole[];
}

/** What the frames add up to. */
export interface FrameTotals {
  /** Logical bytes of all frames; the end of the data offsets. */
  readonly dataBytes: number;
  /** Object offset after the last frame; where the index begins. */
  readonly framesEnd: number;
}

/** A table of `count` frames, all zeros. */
export function createFrameTable(count: number): FrameTable {
  return {
    count,
    file: new Uint32Array(count),
    codec: new Uint8Array(count),
    fileOffset: new Float64Array(count),
    dataOffset: new Float64Array(count),
    length: new Uint32Array(count),
    objectOffset: new Float64Array(count),
    storedLength: new Uint32Array(count),
    checksum: new BigUint64Array(count),
  };
}

/** Number of the frame that holds `dataOffset`; −1 when it lies before the first. Binary search. */
export function frameAt(frames: FrameTable, dataOffset: number): number {
  let low = 0;
  let high = frames.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (frames.dataOffset[middle]! <= dataOffset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * Checks every invariant at the head of this file and returns what the frames add up to. `what`
 * names the layer in errors. Throws CORRUPT, and UNSUPPORTED for a codec that is not known.
 */
export function validateLayerIndex(index: LayerIndex, what: string): FrameTotals {
  const must = (holds: boolean, message: () => string) => {
    if (!holds) throw new OpenduckError('CORRUPT', `${what}: ${message()}`);
  };
  validateDescription(index.description, must);
  const sizes = validateFiles(index.description, must);
  const totals = validateFrames(index.frames, sizes, what, must);
  validateHoles(index, sizes, must);
  return totals;
}

/** The message is a function, because it is built for one of millions of checks, if at all. */
type Must = (holds: boolean, message: () => string) => void;

function isCount(value: number, max = Number.MAX_SAFE_INTEGER): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= max;
}

/** Has a UTF-8 form that fits and reads back as the same text; a lone surrogate has none. */
function isText(text: string): boolean {
  const bytes = Buffer.from(text, 'utf8');
  return bytes.toString('utf8') === text && bytes.length <= MAX_TEXT_BYTES;
}

function validateDescription(description: LayerDescription, must: Must): void {
  const { parent, sequence, version, commitTime, nextFileId, databaseName } = description;
  must(parent !== NIL_UUID, () => 'the nil uuid as parent');
  must(isCount(sequence), () => `sequence ${sequence}`);
  must(isCount(version), () => `version ${version}`);
  must(Number.isSafeInteger(commitTime), () => `commit time ${commitTime}`);
  must(isCount(nextFileId, MAX_U32) && nextFileId >= 1, () => `next file id ${nextFileId}`);
  must(isText(databaseName), () => 'database name cannot be stored');
}

function validateFiles(description: LayerDescription, must: Must): Map<number, number> {
  const sizes = new Map<number, number>();
  const suffixes = new Set<string>();
  for (const file of description.files) {
    const { id, suffix } = file;
    must(Number.isSafeInteger(id) && id >= 1, () => `file id ${id}`);
    must(id < description.nextFileId, () => `file ${id} is not below the next file id`);
    must(!sizes.has(id), () => `two files with id ${id}`);
    must(suffix !== '' && isText(suffix), () => `file ${id}: suffix cannot be stored`);
    must(!suffixes.has(suffix), () => `two files with suffix ${suffix}`);
    must(hasSoundAttributes(file), () => `file ${id}: attributes out of range`);
    must(isCount(file.size), () => `file ${id}: size ${file.size}`);
    sizes.set(id, file.size);
    suffixes.add(suffix);
  }
  return sizes;
}

function hasSoundAttributes(file: LayerFile): boolean {
  const { mode, uid, gid, modified } = file;
  const numbers = isCount(mode, 0o7777) && isCount(uid, MAX_U32) && isCount(gid, MAX_U32);
  return numbers && Number.isSafeInteger(modified);
}

function validateFrames(
  frames: FrameTable,
  sizes: Map<number, number>,
  what: string,
  must: Must,
): FrameTotals {
  let dataBytes = 0;
  let framesEnd = FRAMES_START;
  let file = 0;
  let fileSize = 0;
  let previousEnd = 0;
  for (let i = 0; i < frames.count; i++) {
    const length = frames.length[i]!;
    const offset = frames.fileOffset[i]!;
    if (frames.codec[i] !== CODEC_NONE) {
      throw new OpenduckError('UNSUPPORTED', `${what}: frame ${i}: codec ${frames.codec[i]}`);
    }
    if (frames.file[i] !== file) {
      must(frames.file[i]! > file, () => `frame ${i}: not in ascending order of files`);
      file = frames.file[i]!;
      must(sizes.has(file), () => `frame ${i}: unknown file ${file}`);
      fileSize = sizes.get(file)!;
      previousEnd = 0;
    }
    must(length >= 1 && length <= MAX_FRAME_BYTES, () => `frame ${i}: ${length} bytes`);
    must(frames.storedLength[i] === length, () => `frame ${i}: stored length differs`);
    must(frames.dataOffset[i] === dataBytes, () => `frame ${i}: gap or overlap in the data`);
    must(frames.objectOffset[i] === framesEnd, () => `frame ${i}: gap or overlap in the object`);
    must(isCount(offset), () => `frame ${i}: file offset ${offset}`);
    must(offset >= previousEnd, () => `frame ${i}: overlaps the one before or is out of order`);
    previousEnd = offset + length;
    must(previousEnd <= fileSize, () => `frame ${i}: ends after its file`);
    dataBytes += length;
    framesEnd += length;
  }
  return { dataBytes, framesEnd };
}

function validateHoles(index: LayerIndex, sizes: Map<number, number>, must: Must): void {
  const { frames, holes } = index;
  let file = 0;
  let previousEnd = 0;
  let frame = 0;
  for (const [i, hole] of holes.entries()) {
    const end = hole.offset + hole.length;
    must(sizes.has(hole.file), () => `hole ${i}: unknown file ${hole.file}`);
    must(isCount(hole.offset) && isCount(hole.length), () => `hole ${i}: offset or length`);
    must(hole.length >= 1, () => `hole ${i}: empty`);
    must(hole.file >= file, () => `hole ${i}: not in ascending order of files`);
    if (hole.file !== file) previousEnd = 0;
    must(hole.offset >= previousEnd, () => `hole ${i}: overlaps the one before or is out of order`);
    must(end <= sizes.get(hole.file)!, () => `hole ${i}: ends after its file`);
    while (frame < frames.count && frameEndsBefore(frames, frame, hole)) frame++;
    must(
      frame === frames.count ||
        frames.file[frame] !== hole.file ||
        frames.fileOffset[frame]! >= end,
      () => `hole ${i}: meets frame ${frame}`,
    );
    file = hole.file;
    previousEnd = end;
  }
}

/** Whether the frame lies wholly before the hole, in the order of (file, offset). */
function frameEndsBefore(frames: FrameTable, frame: number, hole: LayerHole): boolean {
  const file = frames.file[frame]!;
  if (file !== hole.file) return file < hole.file;
  return frames.fileOffset[frame]! + frames.length[frame]! <= hole.offset;
}
