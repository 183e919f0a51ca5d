/**
 * Bytes of a layer object ⇄ values. Pure; the tables are in docs/formats.md. All integers are
 * little-endian.
 *
 *   header (64 bytes) · frames, back to back · index · trailer (64 bytes)
 *
 * Every byte of an object is covered by exactly one checksum: the header's, a frame's, the index's
 * or the trailer's. A decoder checks the checksum first and believes nothing before.
 */
import { ByteReader, ByteWriter } from '../proto/byteCursor.js';
import { OpenduckError } from '../proto/errors.js';
import type { DatabaseId, LayerId, WallTime } from '../proto/ids.js';
import { databaseId, fileId, layerId, snapshotId, versionNumber, wallTime } from '../proto/ids.js';
import { uuidBytes, uuidText } from '../proto/uuid.js';
import { checksum64 } from './checksum.js';
import type { LayerDescription, LayerFile, LayerHole } from './layer.js';
import {
  createFrameTable,
  FRAMES_START,
  type FrameTable,
  type LayerIndex,
  validateLayerIndex,
} from './layerIndex.js';

export const LAYER_FORMAT_VERSION = 1;
export const HEADER_BYTES = 64;
export const TRAILER_BYTES = 64;
export const FRAME_ENTRY_BYTES = 48;
export const HOLE_ENTRY_BYTES = 24;
/** A longer index is refused by writer and reader: it would not fit into memory decently. */
export const MAX_INDEX_BYTES = 1024 * 1024 * 1024;

const MAGIC = Buffer.from('ODLAYER\0', 'latin1');
const HEADER_CHECKSUM_AT = 56;
const TRAILER_CHECKSUM_AT = 48;
const FLAG_FULL = 1;
const NIL_UUID = Buffer.alloc(16);

/** Positions within a frame's entry in the index. */
const FRAME = {
  file: 0, // u32
  codec: 4, // u8, then 3 zeros
  fileOffset: 8, // u64
  dataOffset: 16, // u64
  length: 24, // u32
  storedLength: 28, // u32
  objectOffset: 32, // u64
  checksum: 40, // u64
} as const;

if (HEADER_BYTES !== FRAMES_START || FRAME.checksum + 8 !== FRAME_ENTRY_BYTES) {
  throw new OpenduckError('INTERNAL', 'layer format: the sizes do not add up');
}

export interface LayerHeader {
  readonly database: DatabaseId;
  readonly layer: LayerId;
}

export interface LayerTrailer {
  /** Bytes from the object's start; also where the frames end. */
  readonly indexOffset: number;
  /** Bytes. */
  readonly indexLength: number;
  /** Logical bytes of all frames. */
  readonly dataBytes: number;
  /** XXH64 of the index. */
  readonly indexChecksum: bigint;
}

function corrupt(what: string, message: string): OpenduckError {
  return new OpenduckError('CORRUPT', `${what}: ${message}`);
}

/** The bytes between the fields of this version: anything but zeros is not ours. */
function skipZeros(reader: ByteReader, length: number, what: string): void {
  if (reader.slice(length).some((byte) => byte !== 0)) throw corrupt(what, 'reserved bytes set');
}

function checkVersion(version: number, what: string): void {
  if (version === LAYER_FORMAT_VERSION) return;
  throw new OpenduckError('UNSUPPORTED', `${what}: layer format ${version} is not known`, {
    hint: 'The layer was written by a newer openduck-fuse; upgrade this host.',
  });
}

/** HEADER_BYTES bytes. */
export function encodeHeader(header: LayerHeader): Buffer {
  const writer = new ByteWriter(HEADER_BYTES);
  writer.raw(MAGIC).u32(LAYER_FORMAT_VERSION).u32(HEADER_BYTES);
  writer.raw(uuidBytes(header.database)).raw(uuidBytes(header.layer)).zeros(8);
  return writer.u64(checksum64(writer.finish())).finish();
}

/** Decodes the first HEADER_BYTES of an object. Throws CORRUPT or UNSUPPORTED. */
export function decodeHeader(bytes: Buffer, what: string): LayerHeader {
  const reader = new ByteReader(bytes, what);
  if (!reader.slice(MAGIC.length).equals(MAGIC)) throw corrupt(what, 'not a layer header');
  const checksum = new ByteReader(bytes, what, HEADER_CHECKSUM_AT).u64();
  if (checksum !== checksum64(bytes.subarray(0, HEADER_CHECKSUM_AT))) {
    throw corrupt(what, 'header checksum mismatch');
  }
  checkVersion(reader.u32(), what);
  if (reader.u32() !== HEADER_BYTES) throw corrupt(what, 'header of another length');
  const database = uuidText(reader.slice(16));
  const layer = uuidText(reader.slice(16));
  skipZeros(reader, 8, what);
  return { database: databaseId(database), layer: layerId(layer) };
}

/** TRAILER_BYTES bytes. */
export function encodeTrailer(trailer: LayerTrailer): Buffer {
  const writer = new ByteWriter(TRAILER_BYTES);
  writer.u64(trailer.indexOffset).u64(trailer.indexLength).u64(trailer.dataBytes);
  writer.u64(trailer.indexChecksum).u32(LAYER_FORMAT_VERSION).zeros(12);
  return writer.u64(checksum64(writer.finish())).raw(MAGIC).finish();
}

/**
 * Decodes the last TRAILER_BYTES of an object of `objectBytes` bytes. Throws CORRUPT, also when
 * the offsets do not fit the object, or UNSUPPORTED.
 */
export function decodeTrailer(bytes: Buffer, objectBytes: number, what: string): LayerTrailer {
  const reader = new ByteReader(bytes, what);
  const end = new ByteReader(bytes, what, TRAILER_CHECKSUM_AT);
  const checksum = end.u64();
  if (!end.slice(MAGIC.length).equals(MAGIC)) throw corrupt(what, 'not a layer trailer');
  if (checksum !== checksum64(bytes.subarray(0, TRAILER_CHECKSUM_AT))) {
    throw corrupt(what, 'trailer checksum mismatch');
  }
  const [indexOffset, indexLength, dataBytes] = [reader.u64(), reader.u64(), reader.u64()];
  const indexChecksum = reader.u64();
  checkVersion(reader.u32(), what);
  skipZeros(reader, 12, what);
  if (indexOffset + indexLength + BigInt(TRAILER_BYTES) !== BigInt(objectBytes)) {
    throw corrupt(what, `index and trailer do not end the object of ${objectBytes} bytes`);
  }
  if (indexOffset < HEADER_BYTES || indexLength > MAX_INDEX_BYTES || dataBytes >> 53n !== 0n) {
    throw corrupt(what, 'index offset, index length or data bytes out of range');
  }
  return {
    indexOffset: Number(indexOffset),
    indexLength: Number(indexLength),
    dataBytes: Number(dataBytes),
    indexChecksum,
  };
}

/** A signed 64-bit field: times before 1970 are negative. */
function writeTime(writer: ByteWriter, time: WallTime): void {
  writer.u64(BigInt.asUintN(64, BigInt(time)));
}

function readTime(reader: ByteReader, what: string): WallTime {
  const value = Number(BigInt.asIntN(64, reader.u64()));
  if (!Number.isSafeInteger(value)) throw corrupt(what, `time ${value} out of range`);
  return wallTime(value);
}

/**
 * The bytes of an index that holds the invariants of layerIndex.ts. Throws UNSUPPORTED when they
 * are more than MAX_INDEX_BYTES.
 */
export function encodeIndex(index: LayerIndex): Buffer {
  const { description, frames, holes } = index;
  const writer = new ByteWriter(1024);
  writer.raw(uuidBytes(description.layer)).raw(uuidBytes(description.database));
  writer.raw(uuidBytes(description.snapshot));
  writer.raw(description.parent === undefined ? NIL_UUID : uuidBytes(description.parent));
  writer.u64(description.sequence).u64(description.version);
  writeTime(writer, description.commitTime);
  writer.u32(description.nextFileId).u32(description.full ? FLAG_FULL : 0);
  writer.u32(description.files.length).u32(frames.count).u32(holes.length).u32(0);
  writer.text(description.databaseName);
  for (const file of description.files) {
    writer.u32(file.id).u32(file.mode).u32(file.uid).u32(file.gid);
    writeTime(writer, file.modified);
    writer.u64(file.size).text(file.suffix);
  }
  const holesAt = writer.position + frames.count * FRAME_ENTRY_BYTES;
  const length = holesAt + holes.length * HOLE_ENTRY_BYTES;
  if (length > MAX_INDEX_BYTES) {
    const message = `layer ${description.layer}: an index of ${length} bytes is too long`;
    throw new OpenduckError('UNSUPPORTED', message);
  }
  const bytes = Buffer.alloc(length);
  writer.finish().copy(bytes);
  encodeFrames(frames, viewOf(bytes.subarray(writer.position)));
  const view = viewOf(bytes.subarray(holesAt));
  for (const [i, hole] of holes.entries()) {
    const at = i * HOLE_ENTRY_BYTES;
    view.setUint32(at, hole.file, true); // then 4 zeros
    setCount(view, at + 8, hole.offset);
    setCount(view, at + 16, hole.length);
  }
  return bytes;
}

function encodeFrames(frames: FrameTable, view: DataView): void {
  for (let i = 0, at = 0; i < frames.count; i++, at += FRAME_ENTRY_BYTES) {
    view.setUint32(at + FRAME.file, frames.file[i]!, true);
    view.setUint8(at + FRAME.codec, frames.codec[i]!);
    setCount(view, at + FRAME.fileOffset, frames.fileOffset[i]!);
    setCount(view, at + FRAME.dataOffset, frames.dataOffset[i]!);
    view.setUint32(at + FRAME.length, frames.length[i]!, true);
    view.setUint32(at + FRAME.storedLength, frames.storedLength[i]!, true);
    setCount(view, at + FRAME.objectOffset, frames.objectOffset[i]!);
    view.setBigUint64(at + FRAME.checksum, frames.checksum[i]!, true);
  }
}

/**
 * Decodes an index whose trailer is `trailer`, and validates it. `what` names object and byte
 * range in errors. The result does not refer to `bytes`. Throws CORRUPT or UNSUPPORTED.
 */
export function decodeIndex(bytes: Buffer, trailer: LayerTrailer, what: string): LayerIndex {
  if (checksum64(bytes) !== trailer.indexChecksum) throw corrupt(what, 'index checksum mismatch');
  const reader = new ByteReader(bytes, what);
  const { description, frameCount, holeCount } = decodeDescription(reader, what);
  // Before the tables are allocated, so that a hostile count cannot ask for memory.
  const tableBytes = frameCount * FRAME_ENTRY_BYTES + holeCount * HOLE_ENTRY_BYTES;
  if (reader.remaining !== tableBytes) throw corrupt(what, 'tables do not fill the index');
  const frames = decodeFrames(reader, frameCount, what);
  const holes: LayerHole[] = [];
  for (let i = 0; i < holeCount; i++) {
    const file = fileId(reader.u32());
    skipZeros(reader, 4, what);
    holes.push({ file, offset: reader.count('hole'), length: reader.count('hole') });
  }
  const index = { description, frames, holes };
  const totals = validateLayerIndex(index, what);
  if (totals.dataBytes !== trailer.dataBytes || totals.framesEnd !== trailer.indexOffset) {
    throw corrupt(what, 'frames do not add up to what the trailer says');
  }
  return index;
}

function decodeDescription(reader: ByteReader, what: string) {
  const layer = layerId(uuidText(reader.slice(16)));
  const database = databaseId(uuidText(reader.slice(16)));
  const snapshot = snapshotId(uuidText(reader.slice(16)));
  const parentBytes = reader.slice(16);
  const sequence = reader.count('sequence');
  const version = versionNumber(reader.count('version'));
  const commitTime = readTime(reader, what);
  const nextFileId = reader.u32();
  const flags = reader.u32();
  if ((flags & ~FLAG_FULL) !== 0) throw corrupt(what, `unknown flags ${flags}`);
  const [fileCount, frameCount, holeCount] = [reader.u32(), reader.u32(), reader.u32()];
  skipZeros(reader, 4, what);
  const databaseName = reader.text();
  const files: LayerFile[] = [];
  for (let i = 0; i < fileCount; i++) files.push(decodeFile(reader, what));
  const parent = parentBytes.equals(NIL_UUID) ? undefined : snapshotId(uuidText(parentBytes));
  const full = (flags & FLAG_FULL) !== 0;
  const ids = { layer, database, databaseName, snapshot, parent };
  const description: LayerDescription = {
    ...ids,
    sequence,
    version,
    commitTime,
    nextFileId,
    full,
    files,
  };
  return { description, frameCount, holeCount };
}

function decodeFile(reader: ByteReader, what: string): LayerFile {
  const id = fileId(reader.u32());
  const [mode, uid, gid] = [reader.u32(), reader.u32(), reader.u32()];
  const modified = readTime(reader, what);
  const size = reader.count('file size');
  return { id, suffix: reader.text(), size, mode, uid, gid, modified };
}

function decodeFrames(reader: ByteReader, count: number, what: string): FrameTable {
  const frames = createFrameTable(count);
  const view = viewOf(reader.slice(count * FRAME_ENTRY_BYTES));
  for (let i = 0, at = 0; i < count; i++, at += FRAME_ENTRY_BYTES) {
    const codec = view.getUint32(at + FRAME.codec, true);
    if (codec > 0xff) throw corrupt(what, `frame ${i}: reserved bytes set`);
    frames.file[i] = view.getUint32(at + FRAME.file, true);
    frames.codec[i] = codec;
    frames.fileOffset[i] = getCount(view, at + FRAME.fileOffset, what);
    frames.dataOffset[i] = getCount(view, at + FRAME.dataOffset, what);
    frames.length[i] = view.getUint32(at + FRAME.length, true);
    frames.storedLength[i] = view.getUint32(at + FRAME.storedLength, true);
    frames.objectOffset[i] = getCount(view, at + FRAME.objectOffset, what);
    frames.checksum[i] = view.getBigUint64(at + FRAME.checksum, true);
  }
  return frames;
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** u64 without a bigint per field, which would dominate the time of a large table. */
function setCount(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

function getCount(view: DataView, at: number, what: string): number {
  const high = view.getUint32(at + 4, true);
  if (high >= 2 ** 21) throw corrupt(what, `offset at byte ${at} of the frame table out of range`);
  return high * 2 ** 32 + view.getUint32(at, true);
}
