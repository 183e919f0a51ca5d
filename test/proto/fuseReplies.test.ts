/**
 * Golden bytes of replies and notifications, written by hand from the structs of
 * include/uapi/linux/fuse.h, one line per field. Every encoder runs on a buffer full of 0xee, so
 * that a byte it leaves out shows.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { DirentType, LOCK_END_OF_FILE } from '../../proto/fuse/constants.js';
import * as replies from '../../proto/fuse/replies.js';

/** What `encode` wrote at `at`, after checking that it wrote nothing else. */
function encoded(at: number, encode: (buffer: Buffer, at: number) => number): string {
  const buffer = Buffer.alloc(at + 512, 0xee);
  const size = encode(buffer, at);
  assert.ok(
    buffer.subarray(0, at).every((byte) => byte === 0xee),
    'nothing before',
  );
  assert.ok(
    buffer.subarray(at + size).every((byte) => byte === 0xee),
    'nothing behind',
  );
  return buffer.toString('hex', at, at + size);
}
const hex = (...parts: string[]) => parts.join('').replaceAll(' ', '');

const attributes: replies.Attributes = {
  ino: 7,
  size: 2 ** 32 + 5,
  blocks: 9,
  atimeMs: 1_000_500,
  mtimeMs: -250,
  ctimeMs: 1_700_000_000_123.25,
  mode: 0o100644,
  nlink: 1,
  uid: 1000,
  gid: 100,
  blockSize: 4096,
};
const attrHex = hex(
  '0700000000000000', // ino
  '0500000001000000', // size
  '0900000000000000', // blocks
  'e803000000000000', // atime 1000 s
  'ffffffffffffffff', // mtime −1 s
  '00f1536500000000', // ctime 1700000000 s
  '0065cd1d', // atimensec 500,000,000
  '8017b42c', // mtimensec 750,000,000
  '50a55807', // ctimensec 123,250,000
  'a4810000', // mode
  '01000000', // nlink
  'e8030000', // uid
  '64000000', // gid
  '00000000', // rdev
  '00100000', // blksize
  '00000000', // flags
);
const entry: replies.Entry = {
  nodeId: 42,
  generation: 3,
  entryTimeoutMs: 0,
  attrTimeoutMs: 1500,
  attributes,
};
const entryHex = hex(
  '2a00000000000000', // nodeid
  '0300000000000000', // generation
  '0000000000000000', // entry_valid
  '0100000000000000', // attr_valid 1 s
  '00000000', // entry_valid_nsec
  '0065cd1d', // attr_valid_nsec 500,000,000
  attrHex,
);
const opened: replies.Opened = { handle: 6, replyFlags: 0x82, backingId: 11 };
const openHex = hex(
  '0600000000000000', // fh
  '82000000', // open_flags KEEP_CACHE | PASSTHROUGH
  '0b000000', // backing_id
);

test('header of a reply and of an error', () => {
  const reply = encoded(0, (b) => replies.outHeader(b, 144, 0, 0x12345678, 0x9abcdef0));
  assert.equal(reply, hex('90000000', '00000000', '78563412 f0debc9a'));
  const error = encoded(0, (b) => replies.outHeader(b, 16, 116, 1, 0));
  assert.equal(error, hex('10000000', '8cffffff', '01000000 00000000')); // −ESTALE
  const negative = () => replies.outHeader(Buffer.alloc(16), 16, -2, 0, 0);
  assert.throws(negative, { code: 'INTERNAL' });
});

test('entry, attributes, open, create', () => {
  assert.equal(
    encoded(16, (b, at) => replies.entryOut(b, at, entry)),
    entryHex,
  );
  assert.equal(
    encoded(16, (b, at) => replies.attrOut(b, at, attributes, 3_600_000)),
    hex('100e000000000000', '00000000', '00000000', attrHex), // attr_valid 3600 s, nsec, dummy
  );
  assert.equal(
    encoded(16, (b, at) => replies.openOut(b, at, opened)),
    openHex,
  );
  assert.equal(
    encoded(16, (b, at) => replies.createOut(b, at, entry, opened)),
    entryHex + openHex,
  );
});

test('times round to a nanosecond below the next second', () => {
  const buffer = Buffer.alloc(104);
  replies.attrOut(buffer, 0, { ...attributes, atimeMs: 999.999_999_9 }, 0);
  assert.equal(buffer.readBigInt64LE(16 + 24), 0n);
  assert.equal(buffer.readUInt32LE(16 + 48), 999_999_999);
  for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => replies.attrOut(buffer, 0, attributes, ms), { code: 'INTERNAL' });
  }
});

test('numbers that do not fit are refused', () => {
  const buffer = Buffer.alloc(256);
  for (const size of [-1, 0.5, 2 ** 53, Number.NaN]) {
    const encode = () => replies.attrOut(buffer, 0, { ...attributes, size }, 0);
    assert.throws(encode, { code: 'INTERNAL' });
  }
});

test('WRITE, STATFS, GETLK, LSEEK', () => {
  const write = encoded(16, (b, at) => replies.writeOut(b, at, 262144));
  assert.equal(write, hex('00000400', '00000000')); // size, padding
  const statistics = {
    blocks: 1000,
    blocksFree: 600,
    blocksAvailable: 500,
    files: 70,
    filesFree: 60,
    blockSize: 65536,
    nameMax: 255,
    fragmentSize: 4096,
  };
  assert.equal(
    encoded(16, (b, at) => replies.statfsOut(b, at, statistics)),
    hex(
      'e803000000000000', // blocks
      '5802000000000000', // bfree
      'f401000000000000', // bavail
      '4600000000000000', // files
      '3c00000000000000', // ffree
      '00000100', // bsize
      'ff000000', // namelen
      '00100000', // frsize
      '00'.repeat(28), // padding, spare
    ),
  );
  const lock = { start: 1n, end: LOCK_END_OF_FILE, type: 1, pid: 12345 };
  assert.equal(
    encoded(16, (b, at) => replies.lkOut(b, at, lock)),
    hex('0100000000000000', 'ffffffffffffff7f', '01000000', '39300000'), // start, end, type, pid
  );
  const seek = encoded(16, (b, at) => replies.lseekOut(b, at, 2 ** 52));
  assert.equal(seek, hex('0000000000001000'));
});

test('INIT', () => {
  const init: replies.InitReply = {
    major: 7,
    minor: 45,
    maxReadahead: 1 << 20,
    flags: 0x8000_0001 | 0, // signed, as `&` leaves it
    flags2: 0x30,
    maxBackground: 64,
    congestionThreshold: 48,
    maxWrite: 1 << 20,
    timeGranularity: 1,
    maxPages: 256,
    maxStackDepth: 1,
  };
  assert.equal(
    encoded(16, (b, at) => replies.initOut(b, at, init)),
    hex(
      '07000000', // major
      '2d000000', // minor
      '00001000', // max_readahead
      '01000080', // flags
      '4000', // max_background
      '3000', // congestion_threshold
      '00001000', // max_write
      '01000000', // time_gran
      '0001', // max_pages
      '0000', // map_alignment
      '30000000', // flags2
      '01000000', // max_stack_depth
      '0000', // request_timeout
      '00'.repeat(22), // unused
    ),
  );
});

test('directory entries pad to 8 bytes and stop at the limit', () => {
  const add = (limit: number, name: string) => (b: Buffer, at: number) =>
    replies.addDirent(b, at, limit, 7, 3, DirentType.REG, Buffer.from(name));
  const fields = hex('0700000000000000', '0300000000000000'); // ino, off
  assert.equal(
    encoded(16, add(48, 'abc')),
    hex(fields, '03000000', '08000000', '616263', '0000000000'), // namelen, type, name, padding
  );
  assert.equal(encoded(16, add(47, 'abc')), '');
  const full = hex(fields, '08000000', '08000000', '6162636465666768');
  assert.equal(encoded(16, add(48, 'abcdefgh')), full); // no padding
  assert.equal(encoded(16, add(55, 'abcdefghi')), '');
});

test('notifications', () => {
  assert.equal(
    encoded(0, (b) => replies.notifyInvalInode(b, 42, 4096, -1)),
    hex(
      '28000000', // len 40
      '02000000', // FUSE_NOTIFY_INVAL_INODE
      '0000000000000000', // unique
      '2a00000000000000', // ino
      '0010000000000000', // off
      'ffffffffffffffff', // len: to the end
    ),
  );
  assert.equal(
    encoded(0, (b) => replies.notifyInvalEntry(b, 1, Buffer.from('a.db'), 1)),
    hex(
      '25000000', // len 37
      '03000000', // FUSE_NOTIFY_INVAL_ENTRY
      '0000000000000000', // unique
      '0100000000000000', // parent
      '04000000', // namelen, without the NUL
      '01000000', // flags FUSE_EXPIRE_ONLY
      '612e646200', // name
    ),
  );
  const small = () => replies.notifyInvalEntry(Buffer.alloc(36), 1, Buffer.from('a.db'), 0);
  assert.throws(small, { code: 'INTERNAL' });
});
