/**
 * Looks whether what the metadata promises is there: the metadata's own invariants, and every layer
 * that a snapshot needs, as the object store has it (never a local copy of it). In parts, so that
 * the caller can show how far it is and stop.
 */
import { type Layer, openLayer } from '../layers/layerReader.js';
import type { ObjectStore } from '../layers/objectStore.js';
import type { LayerRecord } from '../metadata/store.js';
import { describeError, type ErrorCode, errorCode } from '../proto/errors.js';
import type { DatabaseId, LayerId, SnapshotId } from '../proto/ids.js';
import type { Engine } from './engine.js';
import { repairLayer } from './repairLayer.js';

/** Of one part: whichever is reached first. */
const PART_LAYERS = 64;
const PART_BYTES = 256 << 20;

export interface MetadataCheck {
  /** Sentences; none is good. */
  readonly findings: readonly string[];
  readonly databases: readonly {
    readonly id: DatabaseId;
    readonly name: string;
    readonly dropped: boolean;
  }[];
}

export interface LayerFinding {
  readonly layer: LayerId;
  /** Of its object. */
  readonly key: string;
  /** The object is not there; has another size; is another layer, or its index is damaged; or a
   * frame of it is. */
  readonly kind: 'missing' | 'size' | 'index' | 'data';
  readonly text: string;
  /** That need it, newest first. */
  readonly snapshots: readonly SnapshotId[];
  /** What was done about it. */
  readonly repaired: string | undefined;
}

export interface LayerCheckRequest {
  readonly database: DatabaseId;
  /** Layers that were checked before. */
  readonly from: number;
  /** Reads and verifies every byte. */
  readonly deep: boolean;
  /** Puts what is damaged aside, and fetches it again from where it is whole. */
  readonly repair: boolean;
  /** A directory with a copy of the object store, to repair from. */
  readonly backup: string | undefined;
}

export interface LayerCheck {
  /** Where the next part begins; `total` when all is done. */
  readonly position: number;
  readonly total: number;
  readonly findings: readonly LayerFinding[];
}

/** Throws UNAVAILABLE, IO. */
export async function checkMetadata({ options }: Engine): Promise<MetadataCheck> {
  const findings = await options.metadata.check();
  const databases = await options.metadata.listEveryDatabase();
  return {
    findings,
    databases: databases.map(({ id, name, droppedAt }) => {
      return { id, name, dropped: droppedAt !== undefined };
    }),
  };
}

/** Throws NOT_FOUND, UNAVAILABLE, IO: the store fails; what an object is to blame for is told. */
export async function checkLayers(engine: Engine, request: LayerCheckRequest): Promise<LayerCheck> {
  const { metadata, objects, storedObjects = objects } = engine.options;
  const { database, from, deep, repair, backup } = request;
  const layers = await metadata.listLayers(database);
  const findings: LayerFinding[] = [];
  let position = from;
  for (let bytes = 0; position < layers.length; position++) {
    if (position - from >= PART_LAYERS || bytes >= PART_BYTES) break;
    const record = layers[position]!;
    const fault = await faultOf(storedObjects, record, deep);
    if (deep) bytes += record.objectBytes;
    if (fault === undefined) continue;
    const snapshots = await metadata.snapshotsOver(database, record.id);
    if (snapshots.length === 0) continue; // retention took the last one since they were listed
    const { id: layer, key } = record;
    const repaired = repair ? await repairLayer(engine, record, fault, backup) : undefined;
    findings.push({ layer, key, ...fault, snapshots, repaired });
  }
  return { position, total: layers.length, findings };
}

export type Fault = Pick<LayerFinding, 'kind' | 'text'>;

/** What an object can be blamed for; everything else is a failure of the store. */
const FAULTS_OF_OBJECTS: ReadonlySet<ErrorCode> = new Set([
  'CORRUPT',
  'UNSUPPORTED',
  'NOT_FOUND',
  'INVALID_ARGUMENT',
]);

/** Throws what a store throws that fails. */
export async function faultOf(
  objects: ObjectStore,
  record: LayerRecord,
  deep: boolean,
): Promise<Fault | undefined> {
  const { key, objectBytes } = record;
  const size = await objects.head(key);
  if (size === undefined) return { kind: 'missing', text: `object ${key} is not there` };
  if (size !== objectBytes) {
    return { kind: 'size', text: `object ${key} has ${size} bytes instead of ${objectBytes}` };
  }
  return blamed('index', async () => {
    const layer = await openLayer(objects, key, { layer: record.id });
    try {
      return checkIndex(layer, record) ?? (deep ? await checkData(layer) : undefined);
    } finally {
      await layer.close();
    }
  });
}

function checkIndex(layer: Layer, { key, indexChecksum, dataBytes }: LayerRecord) {
  const checksum = layer.indexChecksum.toString(16).padStart(16, '0');
  if (checksum === indexChecksum && layer.dataBytes === dataBytes) return undefined;
  const text =
    `object ${key} is another layer: its index has checksum ${checksum} and ` +
    `${layer.dataBytes} bytes of data instead of ${indexChecksum} and ${dataBytes}`;
  return { kind: 'index', text } as const;
}

const checkData = (layer: Layer): Promise<Fault | undefined> =>
  blamed('data', async () => {
    await layer.verifyAll();
    return undefined;
  });

async function blamed(
  kind: Fault['kind'],
  work: () => Promise<Fault | undefined>,
): Promise<Fault | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!FAULTS_OF_OBJECTS.has(errorCode(error))) throw error;
    return { kind, text: describeError(error) };
  }
}
