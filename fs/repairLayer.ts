/**
 * Repairs the object of a layer without inventing anything: when a whole copy of it is in the local
 * cache or in a copy of the object store, the damaged object is put aside under `quarantine/`, and
 * the whole one takes its place. When there is none, the damaged object stays where it is: what is
 * sound of it can still be read.
 */
import { join } from 'node:path';
import { openLocalObjectStore } from '../layers/localObjectStore.js';
import type { ObjectStore } from '../layers/objectStore.js';
import type { LayerRecord } from '../metadata/store.js';
import { errorCode, OpenduckError } from '../proto/errors.js';
import { type Fault, faultOf } from './checking.js';
import type { Engine } from './engine.js';

const COPY_BYTES = 1 << 20;
export const QUARANTINE = 'quarantine/';

/** Where a whole copy may be. */
interface Place {
  readonly name: string;
  readonly objects: ObjectStore;
}

async function placesOf(engine: Engine, backup: string | undefined): Promise<Place[]> {
  const { disk, objects, storedObjects = objects } = engine.options;
  const places: Place[] = [];
  if (objects !== storedObjects) places.push({ name: 'the local cache', objects });
  if (backup === undefined) return places;
  if ((await disk.size(backup)) === undefined) {
    throw new OpenduckError('NOT_FOUND', `there is no directory ${backup}`);
  }
  places.push({ name: backup, objects: await openLocalObjectStore(disk, backup) });
  return places;
}

/** A sentence about what was done, or undefined: nothing could be. Throws UNAVAILABLE, IO. */
export async function repairLayer(
  engine: Engine,
  record: LayerRecord,
  fault: Fault,
  backup: string | undefined,
): Promise<string | undefined> {
  const { objects, storedObjects = objects, logger } = engine.options;
  for (const place of await placesOf(engine, backup)) {
    const copy = await wholeCopy(engine, place.objects, record);
    if (copy === undefined) continue;
    const aside = fault.kind === 'missing' ? undefined : await putAside(engine, record.key);
    await storedObjects.putFile(record.key, copy);
    for (const { shelf } of engine.databases()) await shelf.reopen(record);
    const what = `fetched again from ${place.name}`;
    const done = aside === undefined ? what : `${what}; the damaged one is ${aside}`;
    logger.warn({ key: record.key, from: place.name }, `repaired a layer: ${done}`);
    return done;
  }
  return undefined;
}

/** Copies an object to staging; undefined when it is not there as a whole. */
async function wholeCopy(
  engine: Engine,
  from: ObjectStore,
  record: LayerRecord,
): Promise<string | undefined> {
  const { disk, dataDir } = engine.options;
  const directory = join(dataDir, 'staging', `repair-${record.id}`);
  const path = join(directory, 'object');
  await disk.removeTree(directory);
  await disk.makeDirectory(directory);
  try {
    await copyObject(engine, from, record.key, path);
    // Looked at as what it is to become: an object of a store.
    const here = await openLocalObjectStore(disk, directory);
    if ((await faultOf(here, { ...record, key: 'object' }, true)) === undefined) return path;
  } catch (error) {
    if (errorCode(error) !== 'NOT_FOUND' && errorCode(error) !== 'CORRUPT') throw error;
  }
  await disk.removeTree(directory);
  return undefined;
}

async function copyObject(
  engine: Engine,
  from: ObjectStore,
  key: string,
  path: string,
): Promise<void> {
  const object = await from.open(key);
  try {
    const file = await engine.options.disk.open(path, 'scratch');
    try {
      const buffer = Buffer.allocUnsafeSlow(COPY_BYTES);
      for (let at = 0; at < object.size; at += COPY_BYTES) {
        const length = Math.min(COPY_BYTES, object.size - at);
        await object.read(buffer, 0, length, at);
        await file.write(buffer, 0, length, at);
      }
      await file.dataSync();
    } finally {
      await file.close();
    }
  } finally {
    await object.close();
  }
}

/** Resolves to the key under which it is from now on. */
async function putAside(engine: Engine, key: string): Promise<string> {
  const { objects, storedObjects = objects, dataDir, disk, clock } = engine.options;
  const path = join(dataDir, 'staging', 'quarantine');
  await disk.remove(path);
  await copyObject(engine, storedObjects, key, path);
  const aside = `${QUARANTINE}${key}.${clock.now()}`;
  await storedObjects.putFile(aside, path);
  await storedObjects.delete(key);
  return aside;
}
