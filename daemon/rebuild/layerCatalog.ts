/**
 * Everything in an object store that is a layer: each object's trailer, index and header are read
 * and verified. A key tells nothing but where the object is.
 */
import { inLanes } from '../../layers/lanes.js';
import type { LayerDescription } from '../../layers/layer.js';
import {
  decodeHeader,
  decodeIndex,
  decodeTrailer,
  HEADER_BYTES,
  TRAILER_BYTES,
} from '../../layers/layerFormat.js';
import { openLayer } from '../../layers/layerReader.js';
import type { ObjectReader, ObjectStore } from '../../layers/objectStore.js';
import type { LayerRecord } from '../../metadata/store.js';
import { describeError, errorCode, OpenduckError } from '../../proto/errors.js';
import type { LayerId } from '../../proto/ids.js';

export interface FoundLayer {
  readonly record: LayerRecord;
  readonly description: LayerDescription;
}

export interface UnusableObject {
  readonly key: string;
  readonly reason: string;
}

export interface LayerCatalog {
  /** By layer id. */
  readonly layers: readonly FoundLayer[];
  /** Named like layers, and damaged, of an unknown format, or a second copy. */
  readonly unusable: readonly UnusableObject[];
  /** How many other objects there are. */
  readonly foreign: number;
}

export interface CatalogOptions {
  /** Reads and checks every byte, not only what describes the layers. */
  readonly verify: boolean;
  progress(done: number, total: number): void;
}

const LAYER_KEY = /\.layer$/;
const LANES = 8;

/** What an object can be blamed for; everything else is a failure of the store. */
const FAULTS_OF_OBJECTS = new Set(['CORRUPT', 'UNSUPPORTED', 'NOT_FOUND', 'INVALID_ARGUMENT']);

/** Read at once: the trailer, mostly the index, and all of a small layer. */
const TAIL_BYTES = 64 * 1024;

type ReadRange = (start: number, length: number) => Promise<Buffer>;

/** Ranges of an object whose tail was read already. */
async function rangesOf(object: ObjectReader): Promise<ReadRange> {
  const tailStart = Math.max(0, object.size - TAIL_BYTES);
  const readAnew: ReadRange = async (start, length) => {
    const bytes = Buffer.allocUnsafeSlow(length);
    await object.read(bytes, 0, length, start);
    return bytes;
  };
  const tail = await readAnew(tailStart, object.size - tailStart);
  return async (start, length) => {
    if (start < tailStart) return readAnew(start, length);
    return tail.subarray(start - tailStart, start - tailStart + length);
  };
}

async function describeLayer(object: ObjectReader): Promise<FoundLayer> {
  const { key, size } = object;
  const what = `object ${key}`;
  if (size < HEADER_BYTES + TRAILER_BYTES) {
    throw new OpenduckError('CORRUPT', `${what}: too short for a layer`);
  }
  const read = await rangesOf(object);
  const trailer = decodeTrailer(await read(size - TRAILER_BYTES, TRAILER_BYTES), size, what);
  const indexBytes = await read(trailer.indexOffset, trailer.indexLength);
  const { description } = decodeIndex(indexBytes, trailer, `${what}: index`);
  const header = decodeHeader(await read(0, HEADER_BYTES), what);
  if (header.layer !== description.layer || header.database !== description.database) {
    throw new OpenduckError('CORRUPT', `${what}: header and index name different layers`);
  }
  const record: LayerRecord = {
    id: description.layer,
    database: description.database,
    key,
    objectBytes: size,
    dataBytes: trailer.dataBytes,
    indexChecksum: trailer.indexChecksum.toString(16).padStart(16, '0'),
  };
  return { record, description };
}

async function verifyFrames(store: ObjectStore, { key, id }: LayerRecord): Promise<void> {
  const layer = await openLayer(store, key, { layer: id });
  try {
    await layer.verifyAll();
  } finally {
    await layer.close();
  }
}

async function readLayer(store: ObjectStore, key: string, verify: boolean): Promise<FoundLayer> {
  const object = await store.open(key);
  let found: FoundLayer;
  try {
    found = await describeLayer(object);
  } finally {
    await object.close();
  }
  if (verify) await verifyFrames(store, found.record);
  return found;
}

/** Throws when the store fails; an object that is at fault itself is only told. */
export async function readCatalog(
  store: ObjectStore,
  { verify, progress }: CatalogOptions,
): Promise<LayerCatalog> {
  const keys = await store.list('');
  const candidates = keys.filter((key) => LAYER_KEY.test(key));
  const byId = new Map<LayerId, FoundLayer>();
  const unusable: UnusableObject[] = [];
  let done = 0;
  await inLanes(candidates.length, LANES, async (i) => {
    const key = candidates[i]!;
    try {
      const found = await readLayer(store, key, verify);
      const same = byId.get(found.record.id);
      if (same === undefined) byId.set(found.record.id, found);
      else unusable.push({ key, reason: `the same layer as ${same.record.key}` });
    } catch (error) {
      if (!FAULTS_OF_OBJECTS.has(errorCode(error))) throw error;
      unusable.push({ key, reason: describeError(error) });
    }
    progress(++done, candidates.length);
  });
  const layers = [...byId.values()].sort((a, b) => (a.record.id < b.record.id ? -1 : 1));
  unusable.sort((a, b) => (a.key < b.key ? -1 : 1));
  return { layers, unusable, foreign: keys.length - candidates.length };
}
