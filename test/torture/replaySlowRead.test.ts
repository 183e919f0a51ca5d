/**
 * Found by capture and replay: a READ of the live file that waits for a buffer while a seal moves
 * what it reads into a layer. The segment is gone then and its number may belong to another source:
 * the answer has to come from where the bytes are now.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { openEngine } from '../../fs/engine.js';
import type { FileSystem } from '../../fs/fileSystem.js';
import { read } from '../../fs/operations/content.js';
import { BODY, type Call } from '../../fs/session/call.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import type { Disk } from '../../layers/os/disk.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { openSqliteStore } from '../../metadata/sqlite/open.js';
import { READ_IN } from '../../proto/fuse/layout.js';
import { newRequestHeader } from '../../proto/fuse/requests/header.js';
import { wallTime } from '../../proto/ids.js';
import { silentLogger, systemClock, systemRandom } from '../../proto/ports.js';
import { removeTempDir } from '../harness/leakCheck.js';
import { makeTempDir } from '../harness/testRun.js';

const IN_HEADER_BYTES = 40;
const HEADROOM = 48;
/** More than what a seal leaves in its segment. */
const SIZE = 5 << 20;

/** Nothing is in its page cache. */
const coldDisk: Disk = {
  ...nodeDisk,
  open: async (path, mode) => {
    const file = await nodeDisk.open(path, mode);
    file.readCached = () => -1;
    return file;
  },
};

function readCall(size: number, takeBuffer: () => Promise<void>): Call {
  const request = Buffer.alloc(IN_HEADER_BYTES + READ_IN.SIZE);
  request.writeUInt32LE(size, IN_HEADER_BYTES + READ_IN.size);
  const header = { ...newRequestHeader(), bodyEnd: request.length, nodeId: 7 };
  return { header, request, out: Buffer.alloc(BODY + size), keepRequest() {}, takeBuffer };
}

test('a slow read of the live file follows a seal that overtakes it', async (t) => {
  const dataDir = await makeTempDir();
  t.after(() => removeTempDir(dataDir));
  const metadata = await openSqliteStore(join(dataDir, 'metadata.db'), systemClock, silentLogger);
  const engine = await openEngine({
    dataDir,
    disk: coldDisk,
    objects: await openLocalObjectStore(coldDisk, join(dataDir, 'objects')),
    metadata,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    publishIntervalMs: 1e9,
    writerWaitMs: 0,
    readOnly: false,
  });
  const entry = await engine.findOrCreate('x');
  const { database, publisher } = entry;
  const attributes = { mode: 0o644, uid: 0, gid: 0, modified: wallTime(1) };
  const file = await database.create('.duckdb', attributes);
  const payload = Buffer.alloc(SIZE, 'live');
  await database.write(file, 0, Buffer.concat([Buffer.alloc(HEADROOM), payload]), HEADROOM, SIZE);
  await database.commit(file);

  const node = { kind: 'live', id: 7, entry, file };
  const fs = { nodes: { get: () => node } } as unknown as FileSystem;
  const [first] = database.segments.keys();
  const call = readCall(SIZE, async () => {
    await publisher.publish('manual');
  });
  assert.equal(await read(fs, call), SIZE);
  assert.ok(!database.segments.has(first!), 'the seal has given the segment up');
  assert.ok(call.out.subarray(BODY).equals(payload));
  await engine.close();
  await metadata.close();
});
