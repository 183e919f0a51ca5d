/**
 * Golden bytes of every request body, written by hand from the structs of
 * include/uapi/linux/fuse.h, one line per field, and what they decode to.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { LOCK_END_OF_FILE, Opcode } from '../../proto/fuse/constants.js';
import * as files from '../../proto/fuse/requests/files.js';
import {
  decodeHeader,
  newRequestHeader,
  type RequestHeader,
} from '../../proto/fuse/requests/header.js';
import * as names from '../../proto/fuse/requests/names.js';
import * as nodes from '../../proto/fuse/requests/nodes.js';
import * as session from '../../proto/fuse/requests/session.js';

/** Hex digits in strings, spaces ignored. */
const hex = (...parts: string[]) => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex');
const text = (value: string) => Buffer.from(value, 'latin1').toString('hex');

/** A request: a header made here, byte by byte, and the body. */
function request(opcode: number, body: Buffer): { buffer: Buffer; header: RequestHeader } {
  const length = (40 + body.length).toString(16).padStart(4, '0');
  const head = hex(
    `${length.slice(2)}${length.slice(0, 2)}0000`, // len
    `${opcode.toString(16).padStart(2, '0')}000000`, // opcode
    '78563412 f0debc9a', // unique
    '0201000000000000', // nodeid 258
    'e8030000', // uid 1000
    '64000000', // gid 100
    '39300000', // pid 12345
    '0000 0000', // total_extlen, padding
  );
  const header = newRequestHeader();
  const buffer = Buffer.concat([head, body, Buffer.alloc(8, 0xee)]); // stale bytes behind
  decodeHeader(buffer, head.length + body.length, header);
  return { buffer, header };
}

function decodes<T>(
  decode: (buffer: Buffer, header: RequestHeader) => T,
  opcode: number,
  body: Buffer,
  expected: T,
): void {
  const { buffer, header } = request(opcode, body);
  assert.deepEqual(decode(buffer, header), expected);
}

const code = (expected: string) => (error: unknown) =>
  (error as { code: string }).code === expected;

test('header', () => {
  const { header } = request(Opcode.LOOKUP, hex('6100'));
  const expected: RequestHeader = {
    length: 42,
    opcode: 1,
    uniqueLow: 0x12345678,
    uniqueHigh: 0x9abcdef0,
    nodeId: 258,
    uid: 1000,
    gid: 100,
    pid: 12345,
    bodyEnd: 42,
  };
  assert.deepEqual(header, expected);
});

test('header: lengths, extensions and large node ids', () => {
  const { buffer, header } = request(Opcode.LOOKUP, hex('6100', '0800000020000000'));
  assert.throws(() => decodeHeader(buffer, 39, header), code('CORRUPT'));
  assert.throws(() => decodeHeader(buffer, 49, header), code('CORRUPT'));
  assert.throws(() => decodeHeader(buffer, 51, header), code('CORRUPT'));
  assert.throws(() => decodeHeader(buffer.subarray(0, 45), 50, header), code('CORRUPT'));
  buffer.writeUInt16LE(1, 36); // one extension of 8 bytes
  decodeHeader(buffer, 50, header);
  assert.equal(header.bodyEnd, 42);
  buffer.writeUInt16LE(2, 36);
  assert.throws(() => decodeHeader(buffer, 50, header), code('CORRUPT'));
  buffer.writeUInt16LE(0, 36);
  buffer.writeBigUInt64LE(2n ** 53n - 1n, 16);
  decodeHeader(buffer, 50, header);
  assert.equal(header.nodeId, Number.MAX_SAFE_INTEGER);
  buffer.writeBigUInt64LE(2n ** 53n, 16);
  header.uniqueLow = 0;
  assert.throws(() => decodeHeader(buffer, 50, header), code('CORRUPT'));
  assert.equal(header.uniqueLow, 0x12345678); // an error can still be answered
});

test('names: LOOKUP, UNLINK, RMDIR, MKNOD, MKDIR, LINK, SYMLINK', () => {
  const name = hex(text('a.duckdb'), '00');
  decodes(names.decodeLookup, Opcode.LOOKUP, name, 'a.duckdb');
  decodes(names.decodeUnlink, Opcode.UNLINK, name, 'a.duckdb');
  decodes(names.decodeRmdir, Opcode.RMDIR, name, 'a.duckdb');
  const mknod = hex(
    'a4810000', // mode 0100644
    '01080000', // rdev 0x801
    '12000000', // umask 022
    '00000000', // padding
    '7800', // "x"
  );
  const node = { name: 'x', mode: 0o100644, rdev: 0x801, umask: 0o22 };
  decodes(names.decodeMknod, Opcode.MKNOD, mknod, node);
  const mkdir = hex('ed010000', '12000000', '6400'); // mode 0755, umask 022, "d"
  decodes(names.decodeMkdir, Opcode.MKDIR, mkdir, { name: 'd', mode: 0o755, umask: 0o22 });
  const link = hex('0700000000000000', '6200'); // oldnodeid 7, "b"
  decodes(names.decodeLink, Opcode.LINK, link, { oldNodeId: 7, newName: 'b' });
  const symlink = hex('6c00', text('../t'), '00');
  decodes(names.decodeSymlink, Opcode.SYMLINK, symlink, { name: 'l', target: '../t' });
});

test('names: RENAME and RENAME2', () => {
  const rename = hex('0900000000000000', '6100', '626300'); // newdir 9, "a", "bc"
  const expected = { oldName: 'a', newName: 'bc', newParentId: 9, flags: 0 };
  decodes(names.decodeRename, Opcode.RENAME, rename, expected);
  const rename2 = hex(
    '0900000000000000', // newdir
    '01000000', // flags RENAME_NOREPLACE
    '00000000', // padding
    '6100', // old name
    '626300', // new name
  );
  decodes(names.decodeRename, Opcode.RENAME2, rename2, { ...expected, flags: 1 });
});

const readBody = [
  '0500000000000000', // fh 5
  '0010000001000000', // offset 2^32 + 4096
  '00000400', // size 256 KiB
  '02000000', // read_flags / write_flags: LOCKOWNER
  'ffffffffffffffff', // lock_owner
  '00800000', // flags O_LARGEFILE
  '00000000', // padding
];

test('files: READ and WRITE', () => {
  const read = request(Opcode.READ, hex(...readBody));
  const intoRead = files.newReadRequest();
  files.decodeRead(read.buffer, read.header, intoRead);
  const offset = 2 ** 32 + 4096;
  const common = { handle: 5, offset, openFlags: 0x8000 };
  assert.deepEqual(intoRead, { ...common, size: 262144, readFlags: 2 });

  const body = hex(...readBody, 'c0ffee');
  body.writeUInt32LE(3, 16);
  const write = request(Opcode.WRITE, body);
  const intoWrite = files.newWriteRequest();
  files.decodeWrite(write.buffer, write.header, intoWrite);
  assert.deepEqual(intoWrite, { ...common, size: 3, writeFlags: 2, dataOffset: 80 });
  assert.equal(write.buffer.toString('hex', 80, 83), 'c0ffee');

  write.buffer.writeUInt32LE(4, 56); // one byte more than there is
  const again = () => files.decodeWrite(write.buffer, write.header, intoWrite);
  assert.throws(again, code('CORRUPT'));
  read.buffer.writeBigUInt64LE(2n ** 53n - 10n, 48); // an end that a double cannot hold
  const readAgain = () => files.decodeRead(read.buffer, read.header, intoRead);
  assert.throws(readAgain, code('CORRUPT'));
});

test('files: OPEN, CREATE, RELEASE, FLUSH, FSYNC', () => {
  const open = hex('02800000', '01000000'); // O_RDWR | O_LARGEFILE, FUSE_OPEN_KILL_SUIDGID
  decodes(files.decodeOpen, Opcode.OPEN, open, { flags: 0x8002, killFlags: 1 });
  const create = hex(
    '42800000', // flags O_RDWR | O_CREAT | O_LARGEFILE
    'a4810000', // mode 0100644
    '12000000', // umask 022
    '00000000', // open_flags
    '7700', // "w"
  );
  const created = { name: 'w', flags: 0x8042, mode: 0o100644, umask: 0o22 };
  decodes(files.decodeCreate, Opcode.CREATE, create, created);
  const release = hex(
    '0600000000000000', // fh
    '02800000', // flags
    '03000000', // release_flags FLUSH | FLOCK_UNLOCK
    'efcdab8967452301', // lock_owner
  );
  const lockOwner = 0x0123_4567_89ab_cdefn;
  const released = { handle: 6, flags: 0x8002, releaseFlags: 3, lockOwner };
  decodes(files.decodeRelease, Opcode.RELEASE, release, released);
  const flush = hex('0600000000000000', '00000000', '00000000', 'efcdab8967452301');
  decodes(files.decodeFlush, Opcode.FLUSH, flush, { handle: 6, lockOwner });
  const fsync = hex('0600000000000000', '01000000', '00000000'); // fh, fsync_flags, padding
  decodes(files.decodeFsync, Opcode.FSYNC, fsync, { handle: 6, dataOnly: true });
});

test('files: LSEEK, FALLOCATE, COPY_FILE_RANGE, IOCTL', () => {
  const lseek = hex('0600000000000000', '0010000000000000', '04000000', '00000000');
  decodes(files.decodeLseek, Opcode.LSEEK, lseek, { handle: 6, offset: 4096, whence: 4 });
  const fallocate = hex(
    '0600000000000000', // fh
    '0010000000000000', // offset
    '0020000000000000', // length
    '03000000', // mode KEEP_SIZE | PUNCH_HOLE
    '00000000', // padding
  );
  const allocated = { handle: 6, offset: 4096, length: 8192, mode: 3 };
  decodes(files.decodeFallocate, Opcode.FALLOCATE, fallocate, allocated);
  const copy = hex(
    '0100000000000000', // fh_in
    '0200000000000000', // off_in
    '0300000000000000', // nodeid_out
    '0400000000000000', // fh_out
    '0500000000000000', // off_out
    '0600000000000000', // len
    '0000000000000000', // flags
  );
  decodes(files.decodeCopyFileRange, Opcode.COPY_FILE_RANGE, copy, {
    handleIn: 1,
    offsetIn: 2,
    nodeIdOut: 3,
    handleOut: 4,
    offsetOut: 5,
    length: 6,
  });
  const ioctl = hex(
    '0600000000000000', // fh
    '10000000', // flags FUSE_IOCTL_DIR
    '01660880', // cmd FS_IOC_GETFLAGS
    '0000000000000000', // arg
    '00000000 08000000', // in_size, out_size
  );
  const command = { handle: 6, command: 0x80086601, flags: 0x10 };
  decodes(files.decodeIoctl, Opcode.IOCTL, ioctl, command);
});

test('nodes: FORGET, BATCH_FORGET, GETATTR, ACCESS', () => {
  decodes(nodes.decodeForget, Opcode.FORGET, hex('0300000000000000'), 3);
  const batch = hex(
    '02000000 00000000', // count, dummy
    '0a00000000000000 0100000000000000', // nodeid 10, nlookup 1
    '0b00000000000000 0200000000000000', // nodeid 11, nlookup 2
  );
  const forgotten = [
    { nodeId: 10, lookups: 1 },
    { nodeId: 11, lookups: 2 },
  ];
  decodes(nodes.decodeBatchForget, Opcode.BATCH_FORGET, batch, forgotten);
  const short = request(Opcode.BATCH_FORGET, batch);
  short.buffer.writeUInt32LE(3, 40);
  assert.throws(() => nodes.decodeBatchForget(short.buffer, short.header), code('CORRUPT'));
  const getattr = hex('01000000 00000000', '0800000000000000'); // FUSE_GETATTR_FH, dummy, fh
  decodes(nodes.decodeGetattr, Opcode.GETATTR, getattr, { handle: 8 });
  getattr[0] = 0;
  decodes(nodes.decodeGetattr, Opcode.GETATTR, getattr, { handle: undefined });
  decodes(nodes.decodeAccess, Opcode.ACCESS, hex('04000000', '00000000'), 4);
});

test('nodes: SETATTR', () => {
  const body = hex(
    '7f060000', // valid: MODE UID GID SIZE ATIME MTIME FH LOCKOWNER CTIME
    '00000000', // padding
    '0600000000000000', // fh
    '0000000001000000', // size 4 GiB
    'efcdab8967452301', // lock_owner
    'e803000000000000', // atime 1000 s
    'ffffffffffffffff', // mtime −1 s
    '0200000000000000', // ctime 2 s
    '40420f00', // atimensec 1 ms
    '80b2e60e', // mtimensec 250 ms
    '00000000', // ctimensec
    'a4810000', // mode 0100644
    '00000000', // unused4
    'e8030000', // uid 1000
    '64000000', // gid 100
    '00000000', // unused5
  );
  decodes(nodes.decodeSetattr, Opcode.SETATTR, body, {
    mode: 0o100644,
    uid: 1000,
    gid: 100,
    size: 2 ** 32,
    atime: 1_000_001,
    mtime: -750,
    ctimeMs: 2000,
    handle: 6,
    lockOwner: 0x0123_4567_89ab_cdefn,
    valid: 0x67f,
  });
  body.writeUInt32LE(0x1b0, 0); // ATIME ATIME_NOW MTIME MTIME_NOW
  body.fill(0xff, 16, 24); // a size that is not meant is not looked at
  const now = request(Opcode.SETATTR, body);
  const decoded = nodes.decodeSetattr(now.buffer, now.header);
  const meant = Object.entries(decoded).filter(([, value]) => value !== undefined);
  assert.deepEqual(Object.fromEntries(meant), { atime: 'now', mtime: 'now', valid: 0x1b0 });
});

test('nodes: extended attributes', () => {
  const name = hex(text('user.a/b'), '00');
  const get = hex('40000000 00000000', name.toString('hex')); // size 64, padding
  decodes(nodes.decodeGetxattr, Opcode.GETXATTR, get, { name: 'user.a/b', size: 64 });
  decodes(nodes.decodeListxattr, Opcode.LISTXATTR, hex('40000000 00000000'), 64);
  decodes(nodes.decodeRemovexattr, Opcode.REMOVEXATTR, name, 'user.a/b');
  const set = hex('02000000 01000000', name.toString('hex'), '7600'); // size 2, XATTR_CREATE
  const expected = { name: 'user.a/b', flags: 1, size: 2, valueOffset: 57 };
  decodes(nodes.decodeSetxattr, Opcode.SETXATTR, set, expected);
  set[0] = 3;
  const short = request(Opcode.SETXATTR, set);
  assert.throws(() => nodes.decodeSetxattr(short.buffer, short.header), code('CORRUPT'));
});

test('session: INIT of 7.45, 7.35 and another major; INTERRUPT', () => {
  const init = hex(
    '07000000', // major
    '2d000000', // minor 45
    '00000200', // max_readahead 128 KiB
    'fbffff73', // flags, with INIT_EXT
    'ff060000', // flags2
    '00'.repeat(44), // unused
  );
  const offer = { major: 7, minor: 45, maxReadahead: 131072, flags: 0x73fffffb, flags2: 0x6ff };
  decodes(session.decodeInit, Opcode.INIT, init, offer);
  const old = init.subarray(0, 16);
  const truncated = request(Opcode.INIT, old);
  assert.throws(() => session.decodeInit(truncated.buffer, truncated.header), code('CORRUPT'));
  old.writeUInt32LE(0x83ff_fffb, 12); // no INIT_EXT; the top bit must not turn negative
  const plain = { ...offer, flags: 0x83ff_fffb, flags2: 0 };
  decodes(session.decodeInit, Opcode.INIT, old, plain);
  const eight = { major: 8, minor: 1, maxReadahead: 0, flags: 0, flags2: 0 };
  decodes(session.decodeInit, Opcode.INIT, hex('08000000', '01000000'), eight);
  const interrupted = { uniqueLow: 0x12345678, uniqueHigh: 0x80000001 };
  decodes(session.decodeInterrupt, Opcode.INTERRUPT, hex('78563412', '01000080'), interrupted);
});

test('session: SETLK of a whole file', () => {
  const lock = hex(
    '0500000000000000', // fh
    'efcdab8967452301', // owner
    '0000000000000000', // lk.start
    'ffffffffffffff7f', // lk.end OFFSET_MAX
    '01000000', // lk.type F_WRLCK
    '39300000', // lk.pid 12345
    '01000000', // lk_flags FUSE_LK_FLOCK
    '00000000', // padding
  );
  decodes(session.decodeLk, Opcode.SETLK, lock, {
    handle: 5,
    owner: 0x0123_4567_89ab_cdefn,
    start: 0n,
    end: LOCK_END_OF_FILE,
    type: 1,
    pid: 12345,
    flock: true,
  });
});
