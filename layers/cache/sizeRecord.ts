/**
 * Bytes of the file that remembers how large an object is, so that it can be opened while the
 * store is away. Integers are little-endian, texts a u16 length and UTF-8.
 *
 *   magic (8): `ODSIZE` and two zero bytes · format version (u32): 1 · size (u64) · URL · key ·
 *   XXH64 of all before (u64)
 */
import { ByteReader, ByteWriter } from '../../proto/byteCursor.js';
import { checksum64 } from '../checksum.js';
import type { ObjectIdentity } from './names.js';

/** More than URL and key can take. */
export const MAX_SIZE_RECORD_BYTES = 16 << 10;

const MAGIC = Buffer.from('ODSIZE\0\0', 'latin1');
const FORMAT_VERSION = 1;
const CHECKSUM_BYTES = 8;

export function encodeSizeRecord({ url, key, size }: ObjectIdentity): Buffer {
  const writer = new ByteWriter().raw(MAGIC).u32(FORMAT_VERSION).u64(size).text(url).text(key);
  return writer.u64(checksum64(writer.finish())).finish();
}

/** The size of the object; undefined when the bytes are not the record of it. */
export function decodeSizeRecord(bytes: Buffer, url: string, key: string): number | undefined {
  const end = bytes.length - CHECKSUM_BYTES;
  if (end < 0 || bytes.readBigUInt64LE(end) !== checksum64(bytes.subarray(0, end))) {
    return undefined;
  }
  try {
    const reader = new ByteReader(bytes, 'size record', 0, end);
    if (!reader.slice(MAGIC.length).equals(MAGIC)) return undefined;
    if (reader.u32() !== FORMAT_VERSION) return undefined;
    const size = reader.count('size');
    return reader.text() === url && reader.text() === key && reader.remaining === 0
      ? size
      : undefined;
  } catch {
    return undefined; // ends early: a record of another kind
  }
}
