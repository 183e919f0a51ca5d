/** The local object store: the common suite, then crashes and faults on a disk in memory. */
import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { errorCode } from '../../proto/errors.js';
import { diskError, MemoryDisk } from './memoryDisk.js';
import { objectStoreSuite, pattern, rejectsWith, type StoreUnderTest } from './objectStoreSuite.js';

async function onNodeDisk(): Promise<StoreUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), 'openduck-store-'));
  let count = 0;
  return {
    store: await openLocalObjectStore(nodeDisk, join(directory, 'objects')),
    stage: async (bytes) => {
      const path = join(directory, `staged-${count++}`);
      const handle = await open(path, 'wx');
      await handle.writeFile(bytes);
      await handle.sync();
      await handle.close();
      return path;
    },
    staged: (path) => readFile(path).catch(() => undefined),
    close: () => rm(directory, { recursive: true }),
  };
}

/** `farAway`: the staged files are on another file system. */
async function onMemoryDisk(farAway: boolean): Promise<StoreUnderTest> {
  const disk = new MemoryDisk();
  if (farAway) refuseLinks(disk);
  let count = 0;
  return {
    store: await openLocalObjectStore(disk, '/objects'),
    stage: async (bytes) => {
      const path = `/far/staged-${count++}`;
      disk.poke(path, bytes);
      return path;
    },
    staged: async (path) => disk.peek(path),
    close: async () => assert.equal(disk.openFiles, 0),
  };
}

/** Files outside of the store cannot be linked into it: the first link after each put is EXDEV. */
function refuseLinks(disk: MemoryDisk): void {
  const link = disk.link.bind(disk);
  disk.link = async (from, to) => {
    if (from.startsWith('/far/') && disk.peek(from) !== undefined) {
      throw diskError('EXDEV', 'link', to);
    }
    return link(from, to);
  };
}

objectStoreSuite('local, real disk', onNodeDisk);
objectStoreSuite('local, in memory', () => onMemoryDisk(false));
objectStoreSuite('local, from another file system', () => onMemoryDisk(true));

suite('local object store', () => {
  for (const farAway of [false, true]) {
    const from = farAway ? 'another file system' : 'the same file system';

    test(`putFile from ${from}: a crash after any failing step leaves all or nothing`, async () => {
      const bytes = pattern(2_500_000);
      for (let fail = 0, done = false; !done; fail++) {
        const disk = new MemoryDisk();
        if (farAway) refuseLinks(disk);
        disk.poke('/far/layer', bytes);
        const store = await openLocalObjectStore(disk, '/objects');
        let count = 0;
        disk.fault = (operation, path) =>
          count++ === fail ? diskError('EIO', operation, path) : undefined;
        const result = await store.putFile('db/layer', '/far/layer').then(
          () => 'stored',
          (error) => errorCode(error),
        );
        done = count <= fail;
        assert.equal(disk.openFiles, 0);
        const after = disk.crash();
        const again = await openLocalObjectStore(after, '/objects');
        const keys = await again.list('');
        if (result === 'stored') assert.deepEqual(keys, ['db/layer'], `fault ${fail}`);
        else assert.deepEqual(after.peek('/far/layer'), bytes, `fault ${fail}: source lost`);
        if (keys.length > 0) assert.deepEqual(after.peek('/objects/db/layer'), bytes);
        assert.deepEqual(await after.list('/objects/.incoming'), []);
      }
    });
  }

  test('a full disk is DISK_FULL and leaves no copy behind', async () => {
    const disk = new MemoryDisk();
    refuseLinks(disk);
    disk.poke('/far/layer', pattern(100));
    const store = await openLocalObjectStore(disk, '/objects');
    disk.fault = (operation, path) =>
      operation === 'write' ? diskError('ENOSPC', 'write', path) : undefined;
    await rejectsWith('DISK_FULL', store.putFile('layer', '/far/layer'));
    assert.deepEqual(await disk.list('/objects/.incoming'), []);
    assert.deepEqual(await store.list(''), []);
  });

  test('open removes what a crash left, and nothing else', async () => {
    const disk = new MemoryDisk();
    disk.poke('/objects/.incoming/0123456789abcdef-7', pattern(10));
    disk.poke('/objects/db/layer', pattern(10));
    const store = await openLocalObjectStore(disk, '/objects');
    assert.deepEqual(await disk.list('/objects/.incoming'), []);
    assert.deepEqual(await store.list(''), ['db/layer']);
  });

  test('the folder of copies is no place for objects', async () => {
    const store = await openLocalObjectStore(new MemoryDisk(), '/objects');
    await rejectsWith('INVALID_ARGUMENT', store.head('.incoming/x'));
    await rejectsWith('INVALID_ARGUMENT', store.list('.incoming/'));
  });

  test('a key below an object is INVALID_ARGUMENT', async () => {
    const disk = new MemoryDisk();
    disk.poke('/objects/a', pattern(1));
    disk.poke('/staged', pattern(1));
    const store = await openLocalObjectStore(disk, '/objects');
    await rejectsWith('INVALID_ARGUMENT', store.putFile('a/b', '/staged'));
    await rejectsWith('INVALID_ARGUMENT', store.putFile('a/b/c', '/staged'));
    assert.deepEqual(disk.peek('/staged'), pattern(1));
  });

  test('the url is shown as file:', async () => {
    const store = await openLocalObjectStore(new MemoryDisk(), '/var/my objects');
    assert.equal(store.url, 'file:///var/my%20objects');
  });
});
