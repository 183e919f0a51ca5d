/** A spill file has to behave as any file does, whoever reads and writes it behind the scenes. */
import assert from 'node:assert/strict';
import { describe, run } from './proc.js';

/** Works in the spill directory given to it, and throws at the first surprise. */
const SCRIPT = `
const fs = require('node:fs');
const assert = require('node:assert/strict');
const directory = process.argv[1];
fs.mkdirSync(directory);
const path = directory + '/duckdb_temp_storage-0.tmp';
const MIB = 1 << 20;
const bytes = Buffer.alloc(3 * MIB);
for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 7919) >> 3;
const sizes = (size) => {
  assert.equal(fs.fstatSync(fd).size, size);
  assert.equal(fs.statSync(path).size, size);
};
const holds = (from, to) => {
  const read = Buffer.alloc(to - from);
  assert.equal(fs.readSync(fd, read, 0, read.length, from), read.length);
  assert.deepEqual(read, bytes.subarray(from, to));
};
let fd = fs.openSync(path, 'w+');
sizes(0);
for (let at = 0; at < bytes.length; at += 100_000) {
  fs.writeSync(fd, bytes, at, Math.min(100_000, bytes.length - at), at);
}
sizes(bytes.length);
holds(0, bytes.length);
fs.ftruncateSync(fd, MIB + 5);
sizes(MIB + 5);
holds(MIB, MIB + 5);
fs.writeSync(fd, bytes, 2 * MIB, MIB, 2 * MIB);
sizes(3 * MIB);
holds(2 * MIB, 3 * MIB);
const hole = Buffer.alloc(100, 1);
fs.readSync(fd, hole, 0, 100, MIB + 50);
assert.ok(hole.equals(Buffer.alloc(100)), 'what was cut off is back');
const second = fs.openSync(path, 'r+');
fs.writeSync(second, Buffer.from('second'), 0, 6, 10);
const seen = Buffer.alloc(6);
fs.readSync(fd, seen, 0, 6, 10);
assert.equal(seen.toString(), 'second');
fs.closeSync(second);
fs.closeSync(fd);
fd = fs.openSync(path, 'w+');
sizes(0);
fs.writeSync(fd, bytes, 0, 10, 0);
fs.fsyncSync(fd);
fs.unlinkSync(path);
assert.deepEqual(fs.readdirSync(directory), []);
holds(0, 10);
fs.closeSync(fd);
fs.rmdirSync(directory);
assert.ok(!fs.existsSync(directory));
console.log('as it should be');
`;

/** `directory`: a name of a spill directory in a mount, e.g. `x.duckdb.tmp`. */
export async function checkSpillFiles(directory: string, uid?: number): Promise<void> {
  const as = uid === undefined ? {} : { uid };
  const result = await run(process.execPath, ['-e', SCRIPT, directory], as);
  assert.equal(result.stdout.trim(), 'as it should be', describe(result));
}
