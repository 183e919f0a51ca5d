/** Payload of CREATE, RENAME and ATTRIBUTES records: mode, uid, gid (u32 each), then the suffix. */
import type { FileAttributes } from '../../layers/layer.js';
import { ByteReader, ByteWriter } from '../../proto/byteCursor.js';

export interface NamedAttributes {
  readonly suffix: string;
  readonly attributes: Omit<FileAttributes, 'modified'>;
}

export function encodeNamedAttributes(suffix: string, attributes: FileAttributes): Buffer {
  const { mode, uid, gid } = attributes;
  return new ByteWriter(64).u32(mode).u32(uid).u32(gid).text(suffix).finish();
}

/** Throws CORRUPT. */
export function decodeNamedAttributes(payload: Buffer): NamedAttributes {
  const r = new ByteReader(payload, 'a record of file attributes');
  const attributes = { mode: r.u32(), uid: r.u32(), gid: r.u32() };
  return { suffix: r.text(), attributes };
}
