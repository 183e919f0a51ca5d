/**
 * A tar archive in memory, in the ustar format (POSIX.1-2017, pax, "ustar Interchange Format"):
 * regular files with short names, for their owner alone.
 */
import { assert } from '../../proto/errors.js';

export interface TarEntry {
  /** At most 100 bytes. */
  readonly name: string;
  readonly content: Buffer;
}

const BLOCK = 512;
/** Offset and length of the fields; numbers are octal digits that end in a zero byte. */
const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  magic: [257, 8],
} as const;

function header({ name, content }: TarEntry, seconds: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const text = ([at, length]: readonly [number, number], value: string): void => {
    assert(Buffer.byteLength(value) <= length, `a field of tar: ${value}`);
    block.write(value, at);
  };
  const octal = (field: readonly [number, number], value: number): void =>
    text(field, value.toString(8).padStart(field[1] - 1, '0'));
  text(FIELD.name, name);
  octal(FIELD.mode, 0o600);
  octal(FIELD.uid, 0);
  octal(FIELD.gid, 0);
  octal(FIELD.size, content.length);
  octal(FIELD.mtime, seconds);
  text(FIELD.type, '0');
  text(FIELD.magic, 'ustar\x0000');
  // The sum counts its own field as eight spaces.
  text(FIELD.checksum, ' '.repeat(8));
  const sum = block.reduce((total, byte) => total + byte, 0);
  text(FIELD.checksum, `${sum.toString(8).padStart(6, '0')}\0 `);
  return block;
}

/** `seconds`: since 1970, of every file. */
export function tarOf(entries: readonly TarEntry[], seconds: number): Buffer {
  const blocks: Buffer[] = [];
  for (const entry of entries) {
    const { length } = entry.content;
    blocks.push(header(entry, seconds), entry.content);
    blocks.push(Buffer.alloc((BLOCK - (length % BLOCK)) % BLOCK));
  }
  blocks.push(Buffer.alloc(2 * BLOCK));
  return Buffer.concat(blocks);
}
