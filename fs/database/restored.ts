/**
 * The content of an older snapshot becomes the head: a new snapshot with the layers of the old one,
 * published on top of the present head and then followed as if another host had published it. No
 * byte is copied, and no history is lost.
 */
import type { SnapshotRecord } from '../../metadata/store.js';
import { errorCode } from '../../proto/errors.js';
import { type Epoch, type SnapshotId, snapshotId, versionNumber } from '../../proto/ids.js';
import { uuidV7 } from '../../proto/ports.js';
import { filesAs } from '../names.js';
import type { Published } from './compaction.js';
import type { Database } from './database.js';
import { type FollowPorts, follow } from './follow.js';
import { endLogHere } from './leaveLog.js';
import type { Ownership } from './ownership.js';

/** On top of `parent`; newer than everything that the database has, published or not. */
export function restoredSnapshot(
  { id, name, head, ports }: Database,
  from: SnapshotRecord,
  parent: SnapshotRecord,
  epoch: Epoch,
): SnapshotRecord {
  const now = ports.clock.now();
  return {
    id: snapshotId(uuidV7(ports.clock, ports.random)),
    database: id,
    parent: parent.id,
    sequence: parent.sequence + 1,
    version: versionNumber(Math.max(head.number, parent.version) + 1),
    commitTime: now,
    publishedAt: now,
    reason: 'restore',
    name: undefined,
    files: filesAs(name, from.files),
    epoch,
  };
}

export class Restored {
  readonly #database: Database;
  readonly #ports: FollowPorts;
  readonly #ownership: Ownership;
  /** May be the head by now, which is not followed yet. */
  #uncertain: SnapshotId | undefined;

  constructor(database: Database, ports: FollowPorts, ownership: Ownership) {
    this.#database = database;
    this.#ports = ports;
    this.#ownership = ownership;
  }

  /** May be the metadata's head. */
  get uncertain(): SnapshotId | undefined {
    return this.#uncertain;
  }

  /**
   * Nobody writes, and everything is published. Resolves to the new head, as it is in use here.
   * Throws NOT_FOUND, CORRUPT, LEASE_LOST, UNAVAILABLE, IO; see `settle`.
   */
  async put(published: Published, from: SnapshotRecord): Promise<Published> {
    const database = this.#database;
    const epoch = await this.#ownership.epoch();
    await endLogHere(database, published);
    const snapshot = restoredSnapshot(database, from, published.snapshot, epoch);
    this.#uncertain = snapshot.id;
    try {
      await this.#ports.metadata.restoreSnapshot(snapshot, from.id);
    } catch (error) {
      if (errorCode(error) === 'LEASE_LOST') this.#ownership.lost(error);
      const now = await this.settle(published);
      if (now === undefined) throw error;
      return now;
    }
    return this.#follow(published, snapshot.id);
  }

  /**
   * Comes to the end of what the metadata may have done. Resolves to the new head, or to undefined
   * when there is none. Throws UNAVAILABLE, IO: it stays uncertain, and nobody may write.
   */
  async settle(published: Published | undefined): Promise<Published | undefined> {
    const id = this.#uncertain;
    if (id === undefined) return undefined;
    await this.#ownership.fence();
    const { head } = await this.#ports.metadata.getDatabase(this.#database.id);
    if (head === id) return this.#follow(published, id);
    this.#uncertain = undefined;
    return undefined;
  }

  async #follow(published: Published | undefined, head: SnapshotId): Promise<Published> {
    const now = await follow(this.#database, this.#ports, published, head);
    this.#uncertain = undefined;
    return now;
  }
}
