/** Puts a database together with its publisher and with the right to change it. */
import type { ObjectStore } from '../../layers/objectStore.js';
import type { MetadataStore } from '../../metadata/store.js';
import { audit, DAEMON } from '../../proto/audit.js';
import { OpenduckError } from '../../proto/errors.js';
import type { Epoch } from '../../proto/ids.js';
import type { Published } from './compaction.js';
import type { Database } from './database.js';
import type { DatabasePorts } from './databaseState.js';
import type { LayerShelf } from './layerShelf.js';
import { LocalLease } from './localLease.js';
import type { LogDirectories } from './logDirectory.js';
import type { Ownership } from './ownership.js';
import { Publisher } from './publisher.js';
import { type LeaseHooks, SharedLease } from './sharedLease.js';

export interface AssemblyPorts extends DatabasePorts {
  readonly metadata: MetadataStore;
  readonly objects: ObjectStore;
  readonly directories: LogDirectories;
  readonly stagingDirectory: string;
  /** Who we are in leases. */
  readonly holder: string;
  readonly leaseTtlMs: number;
  readonly writerWaitMs: number;
  readonly publishIntervalMs: number;
  /** Nobody writes the database, or was promised that he may. */
  readonly isQuiet: (database: Database) => boolean;
  /** Another host has taken the database over. */
  readonly onLost: (database: Database, cause: OpenduckError) => void;
}

export interface AssembledDatabase {
  readonly database: Database;
  readonly shelf: LayerShelf;
  readonly ownership: Ownership;
  readonly publisher: Publisher;
}

export function assemble(
  database: Database,
  shelf: LayerShelf,
  published: Published | undefined,
  ports: AssemblyPorts,
): AssembledDatabase {
  const { metadata, publishIntervalMs } = ports;
  let firstSegment = 0;
  const hooks: LeaseHooks = {
    entered: async () => {
      await catchUp(database, publisher, metadata);
      firstSegment = await firstSegmentOf(database, ports.directories);
    },
    continues: async () => {
      const before = publisher.heads;
      const { head } = await metadata.getDatabase(database.id);
      return [...before, ...publisher.heads].includes(head);
    },
    granted: ({ epoch }, since) =>
      ports.directories.noteLease(database.directory, {
        since,
        epoch,
        base: publisher.snapshot?.id,
        firstSegment,
      }),
    isQuiet: () => ports.isQuiet(database),
    publish: async () => {
      await publisher.publish('close');
    },
    leaveLog: () => publisher.leaveLog(),
    noted: (what, epoch) => auditLease(database, ports, what, epoch),
    lost: (cause) => ports.onLost(database, cause),
  };
  const lease = { ...ports, ttlMs: ports.leaseTtlMs, waitMs: ports.writerWaitMs };
  const ownership = metadata.shared
    ? new SharedLease(database.id, lease, hooks)
    : new LocalLease(database.id, ports);
  const publisherPorts = { ...ports, shelf, intervalMs: publishIntervalMs };
  const publisher = new Publisher(database, publisherPorts, ownership, published);
  return { database, shelf, ownership, publisher };
}

function auditLease(
  { name }: Database,
  { logger, holder }: AssemblyPorts,
  what: 'lease-taken' | 'lease-given-back',
  epoch: Epoch,
): void {
  const how = what === 'lease-taken' ? 'is written by this host now' : 'is free for other hosts';
  audit(logger, what, DAEMON, { database: name, epoch, holder }, `a database ${how}`);
}

/** Throws STALE (dropped by another host), LEASE_LOST (what is here belongs to another past). */
async function catchUp(
  database: Database,
  publisher: Publisher,
  metadata: MetadataStore,
): Promise<void> {
  const { name, id, dropped } = database;
  const { head, droppedAt } = await metadata.getDatabase(id);
  if (droppedAt !== undefined && !dropped) {
    throw new OpenduckError('STALE', `${name} was dropped by another host`, { database: name });
  }
  if ((await publisher.catchUp(head)) === 'followed') return;
  throw new OpenduckError('LEASE_LOST', `${name}: another host has published meanwhile`, {
    database: name,
  });
}

/** A log that was given up begins anew; one that was recovered goes on. Throws CORRUPT, IO. */
async function firstSegmentOf(
  { log, directory }: Database,
  directories: LogDirectories,
): Promise<number> {
  if (log.active === undefined) return log.activeNumber;
  return (await directories.leaseOf(directory))?.firstSegment ?? 0;
}
