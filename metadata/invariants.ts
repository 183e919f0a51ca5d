/**
 * What must hold of the metadata, as pure functions.
 *
 * 1. The head of a database is one of its snapshots, and its newest.
 * 2. A snapshot's parent is the snapshot with the sequence before it; sequence 1 has none. Where
 *    retention has left a gap in the sequence, the parent is one that is gone.
 * 3. Versions never go back along that chain.
 * 4. A stack names known layers, each once, at positions 0, 1, 2, … without gaps. Databases may
 *    have layers in common: only a new one belongs to the database that publishes it.
 * 5. A snapshot with bytes has layers.
 * 6. Only the holder of the newest epoch publishes.
 * 7. Databases that are not dropped have different names.
 *
 * `requirePublication`, `requireStack`, `requireFirst` and `requireSameContent` run before the
 * transaction writes; `brokenNames` and `brokenHistory` look at what is there.
 */
import { OpenduckError } from '../proto/errors.js';
import type { DatabaseId, LayerId, SnapshotId } from '../proto/ids.js';
import type {
  DatabaseRecord,
  LayerRecord,
  Lease,
  Publication,
  SnapshotFile,
  SnapshotRecord,
} from './store.js';

/** What the transaction read before it publishes. */
export interface PublicationContext {
  readonly database: DatabaseRecord;
  readonly lease: Lease | undefined;
  /** The record behind `snapshot.parent`, if there is one. */
  readonly parent: SnapshotRecord | undefined;
  /** Those of the stack's ids that the store has. */
  readonly knownLayers: ReadonlySet<LayerId>;
}

/** A stack to be written, and what it is for. */
export interface ProposedStack {
  readonly database: DatabaseRecord;
  readonly snapshot: SnapshotId;
  readonly files: readonly SnapshotFile[];
  readonly newLayers: readonly LayerRecord[];
  readonly stack: readonly LayerId[];
  readonly knownLayers: ReadonlySet<LayerId>;
}

/** The rows under one snapshot, counted. */
export interface StackSummary {
  readonly layers: number;
  readonly lowestPosition: number;
  readonly highestPosition: number;
  readonly unknownLayers: number;
}

/** Everything about one database that `brokenHistory` looks at. */
export interface History {
  readonly database: DatabaseRecord;
  /** By sequence, oldest first. */
  readonly snapshots: readonly SnapshotRecord[];
  /** No entry: an empty stack. */
  readonly stacks: ReadonlyMap<SnapshotId, StackSummary>;
}

function broken(database: DatabaseRecord, what: string): OpenduckError {
  return new OpenduckError('CORRUPT', `database '${database.name}': ${what}`, {
    database: database.name,
  });
}

const hasBytes = (files: readonly SnapshotFile[]) => files.some((file) => file.size > 0);

/** Invariants 4 and 5. Throws CORRUPT. */
export function requireStack(proposed: ProposedStack): void {
  const { database, snapshot, newLayers, stack, knownLayers } = proposed;
  const added = new Set<LayerId>();
  for (const layer of newLayers) {
    if (layer.database !== database.id) {
      throw broken(database, `new layer ${layer.id} belongs to database ${layer.database}`);
    }
    if (added.has(layer.id)) throw broken(database, `new layer ${layer.id} is given twice`);
    added.add(layer.id);
  }
  const seen = new Set<LayerId>();
  for (const layer of stack) {
    if (seen.has(layer)) {
      throw broken(database, `layer ${layer} is twice in the stack of snapshot ${snapshot}`);
    }
    seen.add(layer);
    if (!added.has(layer) && !knownLayers.has(layer)) {
      throw broken(database, `the stack of snapshot ${snapshot} names an unknown layer, ${layer}`);
    }
  }
  for (const layer of added) {
    if (!seen.has(layer)) {
      throw broken(database, `new layer ${layer} is not in the stack of snapshot ${snapshot}`);
    }
  }
  if (stack.length === 0 && hasBytes(proposed.files)) {
    throw broken(database, `snapshot ${snapshot} has files with bytes, but no layers`);
  }
}

function requireLease({ database, lease }: PublicationContext, snapshot: SnapshotRecord): void {
  if (lease?.epoch === snapshot.epoch) return;
  const now = lease === undefined ? 'nobody' : `${lease.holder} with epoch ${lease.epoch}`;
  throw new OpenduckError(
    'LEASE_LOST',
    `database '${database.name}': epoch ${snapshot.epoch} may not publish, ${now} holds the lease`,
    { database: database.name, hint: 'Open the database for writing again.' },
  );
}

function requireParent({ database, parent }: PublicationContext, snapshot: SnapshotRecord): void {
  if (database.head !== snapshot.parent) {
    throw new OpenduckError(
      'BUSY',
      `database '${database.name}': the head is ${database.head ?? 'not there yet'}, ` +
        `not ${snapshot.parent ?? 'none'}, the parent of snapshot ${snapshot.id}`,
      { database: database.name, hint: 'Read the head again and publish on top of it.' },
    );
  }
  if (snapshot.parent !== undefined && parent === undefined) {
    throw broken(database, `head ${snapshot.parent} is not a snapshot of the database`);
  }
  const expected = (parent?.sequence ?? 0) + 1;
  if (snapshot.sequence !== expected) {
    throw broken(database, `sequence ${snapshot.sequence} where ${expected} must follow`);
  }
  if (parent !== undefined && snapshot.version < parent.version) {
    throw broken(
      database,
      `version ${snapshot.version} is older than the parent's ${parent.version}`,
    );
  }
}

/** Invariants 1 to 6. Throws LEASE_LOST, BUSY (the parent is not the head) or CORRUPT. */
export function requirePublication(publication: Publication, context: PublicationContext): void {
  const { snapshot, newLayers, stack } = publication;
  const { database, knownLayers } = context;
  requireLease(context, snapshot);
  requireParent(context, snapshot);
  const { id, files } = snapshot;
  requireStack({ database, snapshot: id, files, newLayers, stack, knownLayers });
}

/** Invariants 2, 4 and 5 of the first snapshot of a branch. Throws CORRUPT. */
export function requireFirst(
  database: DatabaseRecord,
  first: SnapshotRecord,
  stack: readonly LayerId[],
): void {
  const { id, files, sequence, parent } = first;
  if (first.database !== database.id || sequence !== 1 || parent !== undefined) {
    throw broken(database, `snapshot ${id} cannot be its first`);
  }
  const knownLayers = new Set(stack);
  requireStack({ database, snapshot: id, files, newLayers: [], stack, knownLayers });
}

/** A snapshot is to have the layers of `from`. Throws CORRUPT. */
export function requireSameContent(
  database: DatabaseRecord,
  from: SnapshotRecord,
  snapshot: SnapshotRecord,
): void {
  const sizes = ({ files }: SnapshotRecord) => files.map(({ size }) => size).join();
  if (sizes(from) === sizes(snapshot)) return;
  throw broken(database, `snapshot ${snapshot.id} has other files than ${from.id}`);
}

/** Invariant 7, as sentences. */
export function brokenNames(databases: readonly DatabaseRecord[]): string[] {
  const owners = new Map<string, DatabaseId>();
  const sentences: string[] = [];
  for (const { id, name, droppedAt } of databases) {
    if (droppedAt !== undefined) continue;
    const owner = owners.get(name);
    if (owner !== undefined) {
      sentences.push(`Databases ${owner} and ${id} are both named '${name}'.`);
    }
    owners.set(name, owner ?? id);
  }
  return sentences;
}

function brokenStack(snapshot: SnapshotRecord, stack: StackSummary | undefined): string[] {
  if (stack === undefined) return hasBytes(snapshot.files) ? ['has bytes, but no layers'] : [];
  const sentences: string[] = [];
  if (stack.unknownLayers > 0) {
    sentences.push(`has ${stack.unknownLayers} unknown layer(s) in its stack`);
  }
  if (stack.lowestPosition !== 0 || stack.highestPosition !== stack.layers - 1) {
    sentences.push(
      `has ${stack.layers} layer(s) at positions ${stack.lowestPosition} to ` +
        `${stack.highestPosition}: some positions are empty`,
    );
  }
  return sentences;
}

function brokenLink(
  snapshot: SnapshotRecord,
  before: SnapshotRecord | undefined,
  byId: ReadonlyMap<SnapshotId, SnapshotRecord>,
): string[] {
  const sentences: string[] = [];
  const { parent, sequence } = snapshot;
  const isGap = sequence > (before?.sequence ?? 0) + 1;
  if (sequence === before?.sequence) {
    sentences.push(`has the same sequence, ${sequence}, as snapshot ${before.id}`);
  }
  if (isGap && parent === undefined) {
    sentences.push(`has sequence ${sequence}, but no parent`);
  } else if (isGap && byId.has(parent!)) {
    sentences.push(`has parent ${parent}, although there is a gap before it`);
  } else if (!isGap && parent !== before?.id) {
    sentences.push(`has parent ${parent ?? 'none'} instead of ${before?.id ?? 'none'}`);
  }
  if (before !== undefined && snapshot.version < before.version) {
    sentences.push(`has version ${snapshot.version}, older than ${before.version} before it`);
  }
  return sentences;
}

/** Invariants 1 to 5 of one database, as sentences; empty is good. */
export function brokenHistory({ database, snapshots, stacks }: History): string[] {
  const name = `Database '${database.name}'`;
  const byId = new Map(snapshots.map((snapshot) => [snapshot.id, snapshot]));
  const sentences: string[] = [];
  const newest = snapshots.at(-1);
  if (database.head !== undefined && !byId.has(database.head)) {
    sentences.push(`${name}: head ${database.head} is not a snapshot of the database.`);
  } else if (database.head !== newest?.id) {
    sentences.push(
      `${name}: head is ${database.head ?? 'none'}, ` +
        `the newest snapshot is ${newest?.id ?? 'none'}.`,
    );
  }
  let before: SnapshotRecord | undefined;
  for (const snapshot of snapshots) {
    const faults = [
      ...brokenLink(snapshot, before, byId),
      ...brokenStack(snapshot, stacks.get(snapshot.id)),
    ];
    for (const fault of faults) sentences.push(`${name}: snapshot ${snapshot.id} ${fault}.`);
    before = snapshot;
  }
  return sentences;
}
