/** Small layers for tests: files of known bytes, and a store that tells what was read. */
import type { LayerDescription, LayerFile, LayerHole, LayerRun } from '../../layers/layer.js';
import { type ReadRun, type WrittenLayer, writeLayer } from '../../layers/layerWriter.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import type { ObjectStore } from '../../layers/objectStore.js';
import type { Disk } from '../../layers/os/disk.js';
import {
  databaseId,
  type FileId,
  fileId,
  layerId,
  snapshotId,
  versionNumber,
  wallTime,
} from '../../proto/ids.js';

export const LAYER = layerId('01900000-0000-7000-8000-0000000000a1');

export function layerFile(id: number, suffix: string, size: number): LayerFile {
  const owner = { mode: 0o640, uid: 1000, gid: 100 };
  return { id: fileId(id), suffix, size, ...owner, modified: wallTime(1_700_000_000_123) };
}

export function describe(files: readonly LayerFile[]): LayerDescription {
  return {
    layer: LAYER,
    database: databaseId('d0000000-0000-4000-8000-0000000000d1'),
    databaseName: 'tiny',
    snapshot: snapshotId('01900000-0000-7000-8000-0000000000b1'),
    parent: undefined,
    sequence: 3,
    version: versionNumber(17),
    commitTime: wallTime(1_700_000_000_456),
    nextFileId: 9,
    full: true,
    files,
  };
}

/** The byte of a file at an offset: differs from its neighbours and from other files. */
export function byteAt(file: number, offset: number): number {
  return (Math.imul(offset + 1, 2654435761) >>> 13) ^ (file * 37) ^ (offset >>> 8);
}

/** The bytes of a run, or of a part of it. */
export function bytesOf(file: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = byteAt(file, offset + i);
  return bytes;
}

export const readRun: ReadRun = async (file, offset, buffer, at, length) => {
  await new Promise((resolve) => setImmediate(resolve));
  bytesOf(file, offset, length).copy(buffer, at);
};

export function run(file: number, offset: number, length: number): LayerRun & LayerHole {
  return { file: fileId(file), offset, length };
}

/** All bytes of the runs, one after another: what the data offsets address. */
export function dataOf(runs: readonly LayerRun[]): Buffer {
  return Buffer.concat(runs.map(({ file, offset, length }) => bytesOf(file, offset, length)));
}

/** Files just large enough for the runs and holes. */
export function filesFor(ranges: readonly LayerRun[]): LayerFile[] {
  const sizes = new Map<FileId, number>();
  for (const { file, offset, length } of ranges) {
    sizes.set(file, Math.max(sizes.get(file) ?? 0, offset + length));
  }
  return [...sizes].map(([id, size]) => layerFile(id, `.duckdb.${id}`, size));
}

export interface StoredLayer {
  readonly store: ObjectStore;
  readonly key: string;
  readonly written: WrittenLayer;
}

/** Writes a layer of the runs and stores it as `db/layer` below `directory`. */
export async function storeLayer(
  disk: Disk,
  directory: string,
  runs: readonly LayerRun[],
  holes: readonly LayerHole[] = [],
): Promise<StoredLayer> {
  const store = await openLocalObjectStore(disk, `${directory}/objects`);
  const path = `${directory}/staged`;
  const description = describe(filesFor([...runs, ...holes]));
  const written = await writeLayer(disk, path, description, runs, holes, readRun);
  await store.putFile('db/layer', path);
  return { store, key: 'db/layer', written };
}

export interface SpiedRead {
  readonly position: number;
  readonly length: number;
}

/** The same store, noting each waiting read and how many were under way at once. */
export function spyOn(store: ObjectStore) {
  const spy = { reads: [] as SpiedRead[], running: 0, most: 0 };
  const open: ObjectStore['open'] = async (key) => {
    const object = await store.open(key);
    return {
      key,
      size: object.size,
      readCached: object.readCached.bind(object),
      close: () => object.close(),
      read: async (buffer, at, length, position) => {
        spy.reads.push({ position, length });
        spy.most = Math.max(spy.most, ++spy.running);
        try {
          await object.read(buffer, at, length, position);
        } finally {
          spy.running--;
        }
      },
    };
  };
  const head = store.head.bind(store);
  const list = store.list.bind(store);
  const putFile = store.putFile.bind(store);
  const spied: ObjectStore = { url: store.url, open, head, list, putFile, delete: store.delete };
  return { store: spied, spy };
}
