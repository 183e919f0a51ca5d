/** Files that are closed behind the back of who has them open, and nobody notices. */
import assert from 'node:assert/strict';
import { openSync, readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { FilePool, poolLimit } from '../../layers/os/filePool.js';
import { NodeFile } from '../../layers/os/nodeFile.js';
import { errorCode } from '../../proto/errors.js';

const LIMIT = 4;

interface Files {
  readonly pool: FilePool;
  make(keep?: boolean): NodeFile;
  /** How many descriptors this process has in the directory. */
  open(): number;
}

async function withFiles(work: (files: Files) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'openduck-pool-'));
  const pool = new FilePool(LIMIT);
  const made: NodeFile[] = [];
  const make = (keep = false): NodeFile => {
    const path = join(directory, String(made.length));
    const file = new NodeFile(path, openSync(path, 'wx+'), { writable: true, keep, pool });
    made.push(file);
    return file;
  };
  const linkOf = (fd: string): string => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // the one that listed them
    }
  };
  const open = (): number =>
    readdirSync('/proc/self/fd').filter((fd) => linkOf(fd).startsWith(directory)).length;
  try {
    await work({ pool, make, open });
    for (const file of made) await file.close();
    assert.equal(open(), 0);
    assert.equal(pool.size, 0);
  } finally {
    await rm(directory, { recursive: true });
  }
}

const textOf = (i: number): Buffer => Buffer.from(`content of file ${i}`);

suite('file pool', () => {
  test('more files than may be open are all readable and writable', () =>
    withFiles(async ({ make, open }) => {
      const files = Array.from({ length: 20 }, () => make());
      for (const [i, file] of files.entries()) {
        const bytes = textOf(i);
        if (i % 2 === 0) file.writeNow(bytes, 0, bytes.length, 0);
        else await file.write(bytes, 0, bytes.length, 0);
        await file.dataSync(i % 3 === 0);
        assert.ok(open() <= LIMIT, `${open()} are open`);
      }
      for (let round = 0; round < 3; round++) {
        for (const [i, file] of files.entries()) {
          const bytes = Buffer.alloc(textOf(i).length);
          if (round === 1) assert.equal(file.readCached(bytes, 0, bytes.length, 0), bytes.length);
          else assert.equal(await file.read(bytes, 0, bytes.length, 0), bytes.length);
          assert.deepEqual(bytes, textOf(i));
          assert.equal(await file.size(), bytes.length);
        }
        assert.ok(open() <= LIMIT, `${open()} are open`);
      }
    }));

  test('what is not synced stays open, and so does what is to be kept', () =>
    withFiles(async ({ make, open }) => {
      const dirty = Array.from({ length: 6 }, () => make());
      for (const file of dirty) file.writeNow(textOf(0), 0, 5, 0);
      const kept = Array.from({ length: 3 }, () => make(true));
      for (let i = 0; i < 20; i++) await make().size();
      assert.ok(open() >= dirty.length + kept.length, `${open()} are open`);
      for (const file of dirty) await file.dataSync();
      for (let i = 0; i < 20; i++) await make().size();
      assert.ok(open() <= LIMIT + kept.length, `${open()} are open`);
    }));

  test('many calls at a time, more than may be open', () =>
    withFiles(async ({ make, open }) => {
      const files = Array.from({ length: 30 }, () => make());
      const work = async (file: NodeFile, i: number): Promise<void> => {
        for (let n = 0; n < 20; n++) {
          await file.write(textOf(i), 0, 15, n * 15);
          await file.dataSync();
          const bytes = Buffer.alloc(15);
          await file.read(bytes, 0, 15, n * 15);
          assert.deepEqual(bytes, textOf(i).subarray(0, 15));
        }
      };
      await Promise.all(files.map(work));
      await make().size();
      assert.ok(open() <= LIMIT + 1, `${open()} are open`);
    }));

  test('a closed file stays closed, and close waits for what is under way', () =>
    withFiles(async ({ make }) => {
      const file = make();
      const bytes = Buffer.alloc(1 << 20, 7);
      const writing = file.write(bytes, 0, bytes.length, 0);
      await Promise.all([file.close(), writing]);
      await assert.rejects(file.read(bytes, 0, 1, 0), (error) => errorCode(error) === 'IO');
      assert.throws(
        () => file.writeNow(bytes, 0, 1, 0),
        (error) => errorCode(error) === 'IO',
      );
      assert.equal(file.readCached(bytes, 0, 1, 0), -1);
    }));

  test('the limit is half of what the process may have open', () => {
    assert.equal(poolLimit('Max open files            1024                 4096   files\n'), 512);
    assert.equal(poolLimit('Max open files            100                  100    files\n'), 64);
    assert.equal(poolLimit('Max open files            1048576              1048576 files\n'), 4096);
    assert.equal(poolLimit('nothing of the kind'), 4096);
  });
});
