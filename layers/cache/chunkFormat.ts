/**
 * Bytes of a chunk file: the chunk's content, then a trailer. Integers are little-endian.
 *
 *   offset  size  field
 *   0       8     magic: `ODCHUNK` and a zero byte
 *   8       4     format version: 1
 *   12      4     bytes of content before the trailer, never zero
 *   16      8     XXH64 of the content, seeded with the XXH64 of what the chunk is
 *
 * What a chunk is: URL, key and size of its object, and its number. So a whole file that is in
 * another one's place does not hold.
 */
import { ByteWriter } from '../../proto/byteCursor.js';
import { checksum64 } from '../checksum.js';
import { chunkLength, type ObjectIdentity } from './names.js';

export const CHUNK_TRAILER_BYTES = 24;

const MAGIC = Buffer.from('ODCHUNK\0', 'latin1');
const FORMAT_VERSION = 1;

function seedOf(object: ObjectIdentity, chunk: number): bigint {
  const { url, key, size } = object;
  return checksum64(Buffer.from(`${url}\0${key}\0${size}\0${chunk}`, 'utf8'));
}

/** What follows the content in the file. */
export function encodeChunkTrailer(object: ObjectIdentity, chunk: number, content: Buffer): Buffer {
  const writer = new ByteWriter(CHUNK_TRAILER_BYTES);
  writer.raw(MAGIC).u32(FORMAT_VERSION).u32(content.length);
  return writer.u64(checksum64(content, seedOf(object, chunk))).finish();
}

/** The content, a view of `file`, when the whole file is this chunk; else undefined. */
export function decodeChunk(
  object: ObjectIdentity,
  chunk: number,
  file: Buffer,
): Buffer | undefined {
  const length = chunkLength(object.size, chunk);
  if (file.length !== length + CHUNK_TRAILER_BYTES) return undefined;
  const content = file.subarray(0, length);
  const trailer = encodeChunkTrailer(object, chunk, content);
  return trailer.equals(file.subarray(length)) ? content : undefined;
}
