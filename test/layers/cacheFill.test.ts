/** The page cache is filled ahead of readers, a little at a time, and readers wait for it. */
import assert from 'node:assert/strict';
import { closeSync, openSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { CacheFill } from '../../layers/os/cacheFill.js';
import { NodeFile } from '../../layers/os/nodeFile.js';
import { HUGE_PAGE_BYTES, readCached, readHugePage } from '../../layers/os/pageCacheCalls.js';
import { must } from '../harness/proc.js';
import { sleep } from '../harness/testRun.js';
import { inDirectory } from './segmentFixture.js';

const PAGE = HUGE_PAGE_BYTES;
const MIB = 1 << 20;
/** By then, what was begun on pool threads has come back. */
const SETTLED_MS = 1000;

/** A disk that is told when each page has come. */
class SlowDisk {
  readonly begun: number[] = [];
  readonly advised: [position: number, length: number][] = [];
  readonly #running = new Map<number, (done: boolean) => void>();
  readonly fill = new CacheFill({
    readHugePage: (position) => {
      this.begun.push(position / PAGE);
      return new Promise((resolve) => this.#running.set(position / PAGE, resolve));
    },
    advise: (position, length) => this.advised.push([position / PAGE, length / PAGE]),
  });

  get running(): number[] {
    return [...this.#running.keys()];
  }

  async end(page: number, done = true): Promise<void> {
    this.#running.get(page)!(done);
    this.#running.delete(page);
    await new Promise(setImmediate);
  }

  async endAll(done = true): Promise<void> {
    while (this.#running.size > 0) await this.end(this.running[0]!, done);
  }
}

suite('filling the page cache', () => {
  test('in order, whole pages, two at a time for all files', async () => {
    const [a, b] = [new SlowDisk(), new SlowDisk()];
    a.fill.want(1, 4 * PAGE);
    b.fill.want(0, 2 * PAGE);
    assert.deepEqual([a.running, b.running], [[1, 2], []]);
    await a.end(1);
    assert.deepEqual([a.running, b.running], [[2, 3], []], 'it has waited longer');
    await a.end(2);
    assert.deepEqual([a.running, b.running], [[3], [0]]);
    await a.endAll();
    await b.endAll();
    await a.endAll();
    assert.deepEqual(a.begun, [1, 2, 3, 4]);
    assert.deepEqual(b.begun, [0, 1]);
  });

  test('nothing is asked for twice while it is due', async () => {
    const disk = new SlowDisk();
    disk.fill.want(0, 3 * PAGE);
    disk.fill.want(0, 3 * PAGE);
    await disk.endAll();
    assert.deepEqual(disk.begun, [0, 1, 2]);
  });

  test('who needs what is due waits for it, and does not wait for its turn', async () => {
    const disk = new SlowDisk();
    disk.fill.want(0, 10 * PAGE);
    assert.ok(disk.fill.isDue(7 * PAGE + 5, 1));
    assert.ok(!disk.fill.isDue(10 * PAGE, PAGE));
    let isSettled = false;
    const settled = disk.fill.settled(7 * PAGE - 1, 2).then(() => (isSettled = true));
    assert.deepEqual(disk.running, [0, 1, 6]);
    await disk.end(6);
    assert.deepEqual(disk.running, [0, 1, 7]);
    assert.ok(!isSettled);
    await disk.end(7);
    await settled;
    await disk.endAll();
    assert.deepEqual([...disk.begun].sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('what has not begun can be forgotten', async () => {
    const disk = new SlowDisk();
    disk.fill.want(0, 10 * PAGE);
    disk.fill.stop();
    await disk.endAll();
    assert.deepEqual(disk.begun, [0, 1]);
    assert.ok(!disk.fill.isDue(0, 10 * PAGE));
  });

  test('where there are no large folios, single pages are asked for at once', async () => {
    const disk = new SlowDisk();
    disk.fill.want(0, 16 * PAGE);
    await disk.endAll(false);
    assert.deepEqual(
      disk.advised,
      disk.begun.map((n) => [n, 1]),
    );
    disk.fill.want(16 * PAGE, 10 * PAGE);
    assert.deepEqual(disk.advised.at(-1), [16, 10]);
    assert.equal(disk.begun.length, 16);
    assert.ok(!disk.fill.isDue(0, 30 * PAGE));
  });

  test('where it has worked, it goes on although others have read pieces of some', async () => {
    const disk = new SlowDisk();
    disk.fill.want(0, 40 * PAGE);
    for (let n = 0; n < 40; n++) await disk.end(n, n === 2);
    assert.equal(disk.begun.length, 40);
    assert.deepEqual(
      disk.advised.map(([n]) => n),
      [0, 1, ...Array.from({ length: 37 }, (_, i) => i + 3)],
    );
  });

  test('the kernel reads a huge page of a real file at once; a file that ends in it too', (t) =>
    inDirectory(async (directory) => {
      const path = join(directory, 'file');
      writeFileSync(path, 'x');
      truncateSync(path, 5 * MIB + 1); // the rest is a hole, which nobody has in memory
      const fd = openSync(path, 'r');
      const buffer = Buffer.alloc(MIB);
      try {
        if (await readHugePage(fd, 2 * PAGE)) {
          assert.equal(readCached(fd, buffer, 0, MIB, 4 * MIB), MIB);
          assert.equal(readCached(fd, buffer, 0, MIB, 5 * MIB), 1);
        } else {
          t.diagnostic('this kernel or file system has no large folios');
        }
        assert.equal(await readHugePage(fd, 3 * PAGE), false, 'behind the end of the file');
      } finally {
        closeSync(fd);
      }
      assert.equal(await readHugePage(fd, 0), false, 'a descriptor that is closed');
    }));

  test('the kernel has what lies ahead of who reads a file in order', () =>
    inDirectory(async (directory) => {
      const path = join(directory, 'file');
      writeFileSync(path, Buffer.alloc(128 * MIB, 1));
      await must('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0']);
      const file = new NodeFile(path, openSync(path, 'r'), { writable: false, keep: false });
      const buffer = Buffer.alloc(MIB);
      for (let i = 0; i < 32; i++) await file.read(buffer, 0, MIB, i * MIB);
      await sleep(SETTLED_MS);
      // Twice as far as was read, where the kernel by itself does not go; asking makes it go there.
      assert.equal(file.readCached(buffer, 0, MIB, 61 * MIB), MIB);
      await file.close();
    }));

  test('a file is read in order, on several tracks, with the right bytes everywhere', () =>
    inDirectory(async (directory) => {
      const path = join(directory, 'file');
      const count = 96;
      const content = Buffer.alloc(count * MIB);
      for (let i = 0; i < count; i++) content.fill(i + 1, i * MIB, (i + 1) * MIB);
      writeFileSync(path, content);
      const file = new NodeFile(path, openSync(path, 'r'), { writable: false, keep: false });
      const read = async (first: number): Promise<void> => {
        for (let i = first; i < count; i += 3) {
          const buffer = Buffer.alloc(MIB);
          const n = file.readCached(buffer, 0, MIB, i * MIB);
          if (n !== MIB) assert.equal(await file.read(buffer, 0, MIB, i * MIB), MIB);
          assert.ok(buffer.equals(content.subarray(i * MIB, (i + 1) * MIB)), `MiB ${i}`);
        }
      };
      await Promise.all([0, 1, 2].map(read));
      await file.close();
      assert.equal(file.readCached(Buffer.alloc(1), 0, 1, 0), -1);
    }));
});
