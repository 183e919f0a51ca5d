/** Ports that take their time, and the bounds of what happens in this process. */
import { join } from 'node:path';
import { readContent } from '../../fs/database/readContent.js';
import type { ObjectReader, ObjectStore } from '../../layers/objectStore.js';
import type { Disk, DiskFile } from '../../layers/os/disk.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { Opcode } from '../../proto/fuse/constants.js';
import { OPEN_IN, READ_IN } from '../../proto/fuse/layout.js';
import type { SeededRandom } from '../harness/seeds.js';
import { sleep } from '../harness/testRun.js';
import { body, FakeMount, handleOf, named, nodeOf } from './fuzzDevice.js';
import {
  commit,
  count,
  type Findings,
  type FuzzWorld,
  openWorld,
  put,
  readWhole,
} from './fuzzWorld.js';

const MIB = 1 << 20;
const CHUNK = 128 << 10;

function slowFile(file: DiskFile, ms: number): DiskFile {
  const later = async <T>(work: () => Promise<T>): Promise<T> => {
    await sleep(ms);
    return work();
  };
  return {
    path: file.path,
    readCached: () => -1,
    read: (buffer, at, length, position) => later(() => file.read(buffer, at, length, position)),
    takesNow: (length) => length <= CHUNK / 2,
    writeNow: (buffer, at, length, position) => file.writeNow(buffer, at, length, position),
    write: (buffer, at, length, position) => later(() => file.write(buffer, at, length, position)),
    dataSync: () => later(() => file.dataSync()),
    beginWriteback: () => false,
    truncate: (size) => later(() => file.truncate(size)),
    size: () => later(() => file.size()),
    close: () => file.close(),
  };
}

/** Every operation waits; the page cache never has anything. */
export const slowDisk = (ms: number): Disk => ({
  ...nodeDisk,
  open: async (path, mode) => {
    await sleep(ms);
    return slowFile(await nodeDisk.open(path, mode), ms);
  },
});

const slowReader = (reader: ObjectReader, ms: number): ObjectReader => ({
  key: reader.key,
  size: reader.size,
  readCached: () => -1,
  read: async (buffer, at, length, position) => {
    await sleep(ms);
    await reader.read(buffer, at, length, position);
  },
  close: () => reader.close(),
});

export const slowObjects =
  (ms: number) =>
  (store: ObjectStore): ObjectStore => ({
    url: store.url,
    putFile: async (key, path) => {
      await sleep(ms);
      await store.putFile(key, path);
    },
    open: async (key) => {
      await sleep(ms);
      return slowReader(await store.open(key), ms);
    },
    head: (key) => store.head(key),
    list: (prefix) => store.list(prefix),
    delete: (key) => store.delete(key),
  });

/** The most memory that was resident while `work` ran, above what was before. */
export async function growthDuring(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage.rss();
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Math.max(most, process.memoryUsage.rss()) - before;
}

const readBody = (handle: number, offset: number): Buffer =>
  body(READ_IN.SIZE, [
    [READ_IN.fh, handle, 8],
    [READ_IN.offset, offset, 8],
    [READ_IN.size, CHUNK, 4],
  ]);

interface Load {
  readonly world: FuzzWorld;
  readonly whole: Buffer;
  readonly reads: number;
  readonly commits: number;
}

async function readsAndCommits(load: Load, random: SeededRandom): Promise<string[]> {
  const { world, whole, reads, commits } = load;
  const mount = new FakeMount(world);
  const wrong: string[] = [];
  const looked = await mount.ask(Opcode.LOOKUP, 1, named('read.duckdb'));
  const node = nodeOf(looked);
  const handle = handleOf(await mount.ask(Opcode.OPEN, node, body(OPEN_IN.SIZE, [])));
  const read = async (): Promise<void> => {
    const offset = random.int(0, whole.length - CHUNK);
    const answer = await mount.ask(Opcode.READ, node, readBody(handle, offset));
    if (answer.error !== 0) wrong.push(`a slow READ answers ${answer.error}`);
    else if (!answer.body.equals(whole.subarray(offset, offset + CHUNK))) {
      wrong.push(`a slow READ at ${offset} gives wrong bytes`);
    }
  };
  const write = async (): Promise<void> => {
    const entry = await world.engine.findOrCreate('written');
    for (let i = 0; i < commits; i++) {
      await put(entry, '.duckdb', i * CHUNK, random.bytes(CHUNK));
      await commit(entry);
      if (i % 10 === 9) await world.engine.commands.takeSnapshot('written', undefined);
    }
  };
  const all = await Promise.allSettled([write(), ...Array.from({ length: reads }, read)]);
  for (const one of all) if (one.status === 'rejected') wrong.push(`${one.reason}`);
  await mount.close();
  return wrong;
}

/** All reads at once: buffers bound what they take, however slow the disk is. */
export async function slowPorts(
  random: SeededRandom,
  directory: string,
  reads: number,
  findings: Findings,
): Promise<void> {
  const whole = random.bytes(8 * MIB);
  const dataDir = join(directory, 'slow');
  await nodeDisk.makeDirectory(dataDir);
  const first = await openWorld(dataDir);
  const entry = await first.engine.findOrCreate('read');
  for (let at = 0; at < whole.length; at += MIB) {
    await put(entry, '.duckdb', at, whole.subarray(at, at + MIB));
  }
  await commit(entry);
  await first.engine.commands.takeSnapshot('read', undefined);
  await first.close();
  const world = await openWorld(dataDir, { disk: slowDisk(5), slow: slowObjects(20) });
  let wrong: string[] = [];
  const start = performance.now();
  const growth = await growthDuring(async () => {
    wrong = await readsAndCommits({ world, whole, reads, commits: 30 }, random);
  });
  count(findings, 'slow reads', reads);
  count(findings, 'slow: ms', Math.round(performance.now() - start));
  count(findings, 'slow: MiB grown', Math.round(growth / MIB));
  findings.failures.push(...new Set(wrong));
  // The answers wait in this process too, which plays the kernel; a daemon does not have those.
  const bound = 150 * MIB + reads * CHUNK;
  if (growth > bound) findings.failures.push(`slow ports: ${growth >> 20} MiB more resident`);
  const written = await readWhole(world.engine.get('written'));
  if (written?.length !== 30 * CHUNK) findings.failures.push('slow ports: a commit is missing');
  await world.close();
}

/** Bytes that tell where they were written last. */
const markOf = (place: number): Buffer => {
  const mark = Buffer.alloc(16);
  mark.writeDoubleLE(place, 0);
  mark.writeDoubleLE(-place, 8);
  return mark;
};

/** A file of as many extents as writes. */
export async function manyExtents(
  random: SeededRandom,
  directory: string,
  writes: number,
  findings: Findings,
): Promise<void> {
  const dataDir = join(directory, 'extents');
  await nodeDisk.makeDirectory(dataDir);
  const world = await openWorld(dataDir);
  const entry = await world.engine.findOrCreate('scattered');
  const step = 1009; // a prime: every place once, neighbours never one after another
  const places = writes % step === 0 ? writes + 1 : writes;
  const start = performance.now();
  let wrote = 0;
  const growth = await growthDuring(async () => {
    for (let i = 0; i < writes; i++) {
      const place = (i * step) % places;
      await put(entry, '.duckdb', place * 4096, markOf(place));
      if (i % 50_000 === 49_999) await commit(entry);
    }
    await commit(entry);
    wrote = performance.now();
    await world.engine.commands.takeSnapshot('scattered', undefined);
  });
  const end = performance.now();
  count(findings, 'extents', entry.database.head.files.get('.duckdb')!.map.extentCount);
  count(findings, 'extents: ms written', Math.round(wrote - start));
  count(findings, 'extents: ms published', Math.round(end - wrote));
  count(findings, 'extents: MiB grown', Math.round(growth / MIB));
  const bound = 250 * MIB + writes * 700;
  if (growth > bound) findings.failures.push(`extents: ${growth >> 20} MiB more resident`);
  await world.close();
  const again = await openWorld(dataDir);
  const { database } = again.engine.get('scattered');
  const image = database.head.files.get('.duckdb')!;
  const mark = Buffer.alloc(16);
  for (let i = 0; i < 2000; i++) {
    const place = (random.int(0, writes - 1) * step) % places;
    await readContent(database.sources, image, place * 4096, mark, 0, 16);
    if (mark.equals(markOf(place))) continue;
    findings.failures.push(`extents: wrong bytes at place ${place} of ${writes} writes`);
    break;
  }
  await again.close();
}
