/**
 * Requests that are refused. First names picked by hand, then truncated and damaged requests: every
 * decoder either decodes them or throws an OpenduckError of code CORRUPT or INVALID_NAME. Replayed
 * with OPENDUCK_TEST_SEED.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { OpenduckError } from '../../proto/errors.js';
import { Opcode, opcodeName } from '../../proto/fuse/constants.js';
import * as layout from '../../proto/fuse/layout.js';
import * as files from '../../proto/fuse/requests/files.js';
import {
  decodeHeader,
  newRequestHeader,
  type RequestHeader,
} from '../../proto/fuse/requests/header.js';
import * as names from '../../proto/fuse/requests/names.js';
import * as nodes from '../../proto/fuse/requests/nodes.js';
import * as session from '../../proto/fuse/requests/session.js';
import { testSeed } from '../harness/seeds.js';

type Decode = (buffer: Buffer, header: RequestHeader) => unknown;

/** Opcode, decoder, bytes of the fixed part (of small numbers), what follows it. */
type Shape = readonly [opcode: number, decode: Decode, fixedSize: number, tail: string];

const readRequest = files.newReadRequest();
const writeRequest = files.newWriteRequest();
const shapes: readonly Shape[] = [
  [Opcode.LOOKUP, names.decodeLookup, 0, 'näme\0'],
  [Opcode.UNLINK, names.decodeUnlink, 0, 'name\0'],
  [Opcode.RMDIR, names.decodeRmdir, 0, 'name\0'],
  [Opcode.MKNOD, names.decodeMknod, layout.MKNOD_IN.SIZE, 'name\0'],
  [Opcode.MKDIR, names.decodeMkdir, layout.MKDIR_IN.SIZE, 'name\0'],
  [Opcode.RENAME, names.decodeRename, layout.RENAME_IN.SIZE, 'old\0new\0'],
  [Opcode.RENAME2, names.decodeRename, layout.RENAME2_IN.SIZE, 'öld\0new\0'],
  [Opcode.LINK, names.decodeLink, layout.LINK_IN.SIZE, 'name\0'],
  [Opcode.SYMLINK, names.decodeSymlink, 0, 'name\0a/target\0'],
  [Opcode.READ, (b, h) => files.decodeRead(b, h, readRequest), layout.READ_IN.SIZE, ''],
  [Opcode.WRITE, (b, h) => files.decodeWrite(b, h, writeRequest), layout.WRITE_IN.SIZE, 'data'],
  [Opcode.OPEN, files.decodeOpen, layout.OPEN_IN.SIZE, ''],
  [Opcode.CREATE, files.decodeCreate, layout.CREATE_IN.SIZE, 'name\0'],
  [Opcode.RELEASE, files.decodeRelease, layout.RELEASE_IN.SIZE, ''],
  [Opcode.FLUSH, files.decodeFlush, layout.FLUSH_IN.SIZE, ''],
  [Opcode.FSYNC, files.decodeFsync, layout.FSYNC_IN.SIZE, ''],
  [Opcode.LSEEK, files.decodeLseek, layout.LSEEK_IN.SIZE, ''],
  [Opcode.FALLOCATE, files.decodeFallocate, layout.FALLOCATE_IN.SIZE, ''],
  [Opcode.COPY_FILE_RANGE, files.decodeCopyFileRange, layout.COPY_FILE_RANGE_IN.SIZE, ''],
  [Opcode.IOCTL, files.decodeIoctl, layout.IOCTL_IN.SIZE, ''],
  [Opcode.FORGET, nodes.decodeForget, layout.FORGET_IN.SIZE, ''],
  [Opcode.BATCH_FORGET, nodes.decodeBatchForget, layout.BATCH_FORGET_IN.SIZE, '\0'.repeat(48)],
  [Opcode.GETATTR, nodes.decodeGetattr, layout.GETATTR_IN.SIZE, ''],
  [Opcode.SETATTR, nodes.decodeSetattr, layout.SETATTR_IN.SIZE, ''],
  [Opcode.ACCESS, nodes.decodeAccess, layout.ACCESS_IN.SIZE, ''],
  [Opcode.GETXATTR, nodes.decodeGetxattr, layout.GETXATTR_IN.SIZE, 'user.näme\0'],
  [Opcode.LISTXATTR, nodes.decodeListxattr, layout.GETXATTR_IN.SIZE, ''],
  [Opcode.SETXATTR, nodes.decodeSetxattr, layout.SETXATTR_IN.SIZE, 'user.name\0value'],
  [Opcode.REMOVEXATTR, nodes.decodeRemovexattr, 0, 'user.name\0'],
  [Opcode.INIT, session.decodeInit, layout.INIT_IN.SIZE, ''],
  [Opcode.INTERRUPT, session.decodeInterrupt, layout.INTERRUPT_IN.SIZE, ''],
  [Opcode.SETLK, session.decodeLk, layout.LK_IN.SIZE, ''],
];

/** A valid request: every u32 of the fixed part is 3 at even places and 0 (high words) at odd. */
function validRequest([opcode, , fixedSize, tail]: Shape): Buffer {
  const fixed = Buffer.alloc(fixedSize);
  for (let at = 0; at < fixedSize; at += 8) fixed.writeUInt32LE(3, at);
  const header = Buffer.alloc(layout.IN_HEADER.SIZE);
  const buffer = Buffer.concat([header, fixed, Buffer.from(tail)]);
  buffer.writeUInt32LE(buffer.length, layout.IN_HEADER.len);
  buffer.writeUInt32LE(opcode, layout.IN_HEADER.opcode);
  buffer.writeUInt32LE(1, layout.IN_HEADER.nodeid);
  return buffer;
}

const header = newRequestHeader();
function decode(shape: Shape, buffer: Buffer): void {
  decodeHeader(buffer, buffer.length, header);
  header.opcode = shape[0]; // a flipped opcode would choose another decoder
  shape[1](buffer, header);
}

test('names that are refused, and odd ones that are not', () => {
  const lookup = (hex: string) => {
    const buffer = validRequest([Opcode.LOOKUP, names.decodeLookup, 0, '.'.repeat(hex.length / 2)]);
    buffer.write(hex, layout.IN_HEADER.SIZE, 'hex');
    // Bytes of an earlier request behind this one, with a NUL, must not be looked at.
    const stale = Buffer.concat([buffer, Buffer.from('stale\0')]);
    decodeHeader(stale, buffer.length, header);
    return names.decodeLookup(stale, header);
  };
  const corrupt = ['', '6162']; // no NUL within the request
  // Empty; "a/b"; no UTF-8; '/' in an overlong form; a lone surrogate.
  const invalid = ['00', '612f6200', '61ff00', 'c0af00', 'eda08000'];
  for (const hex of corrupt) assert.throws(() => lookup(hex), { code: 'CORRUPT' }, hex);
  for (const hex of invalid) assert.throws(() => lookup(hex), { code: 'INVALID_NAME' }, hex);
  assert.equal(lookup('c3a400'), 'ä');
  assert.equal(lookup('efbbbf6100'), '\ufeffa'); // not the same name as "a"
});

test('the requests of the fuzz test are valid', () => {
  for (const shape of shapes) {
    assert.doesNotThrow(() => decode(shape, validRequest(shape)), opcodeName(shape[0]));
  }
});

test('damaged requests decode or are refused as CORRUPT or INVALID_NAME', (t) => {
  const seed = testSeed();
  t.diagnostic(`OPENDUCK_TEST_SEED=${seed}`);
  const damage = fc.record({
    shape: fc.constantFrom(...shapes),
    keep: fc.double({ min: 0, max: 1, noNaN: true }),
    truncate: fc.boolean(),
    fixLength: fc.boolean(),
    flips: fc.array(fc.nat(8 * 256), { maxLength: 6 }),
  });
  const outcomes = { decoded: 0, CORRUPT: 0, INVALID_NAME: 0 };
  const property = fc.property(damage, ({ shape, keep, truncate, fixLength, flips }) => {
    const whole = validRequest(shape);
    const buffer = truncate ? whole.subarray(0, Math.floor(keep * whole.length)) : whole;
    for (const bit of flips) {
      const at = (bit >> 3) % whole.length;
      if (at < buffer.length) buffer[at] = buffer[at]! ^ (1 << (bit & 7));
    }
    // Otherwise the header's check of the length would hide what the decoders do.
    if (fixLength && buffer.length >= 4) buffer.writeUInt32LE(buffer.length, 0);
    try {
      decode(shape, buffer);
      outcomes.decoded++;
    } catch (error) {
      assert.ok(error instanceof OpenduckError, String(error));
      assert.ok(error.code === 'CORRUPT' || error.code === 'INVALID_NAME', error.code);
      outcomes[error.code]++;
    }
  });
  fc.assert(property, { seed, numRuns: 50_000 });
  t.diagnostic(JSON.stringify(outcomes));
  for (const [outcome, count] of Object.entries(outcomes)) assert.ok(count > 100, outcome);
});
