/**
 * Gives a database a new head whose content did not come through its log: a layer of its own, which
 * is published as the next version on top of the present head. One metadata transaction decides.
 *
 * Nobody writes meanwhile (see Usage.exclude), and everything older is published already, so that
 * the old content stays as a snapshot. The log goes on behind the new head: its records up to there
 * count no more, since their versions are not newer than the snapshot's.
 */
import type { LayerRecord, SnapshotRecord } from '../../metadata/store.js';
import { errorCode, OpenduckError } from '../../proto/errors.js';
import type { Epoch } from '../../proto/ids.js';
import type { CompactionPorts, Published } from './compaction.js';
import type { Database } from './database.js';
import type { FollowedVersion } from './followedVersion.js';
import { Generation } from './generation.js';
import { filesOfStack, type ShelvedLayer } from './layerShelf.js';
import { seal } from './leaveLog.js';
import type { Ownership } from './ownership.js';

/** A snapshot that is ready to be published, but for its epoch; its layer is in the store. */
export interface NewHead {
  readonly snapshot: Omit<SnapshotRecord, 'epoch'>;
  readonly layer: LayerRecord;
}

export interface HeadPorts extends CompactionPorts {
  readonly ownership: Ownership;
  /** The database is being closed: what is not known by now is found out at the next start. */
  readonly isClosing: () => boolean;
}

const ASK_AGAIN_MS = 1000;

/**
 * Stores the layer of the next head on top of `parent`, and has verified it when it resolves.
 * Throws as it likes; nothing has happened then.
 */
export type StoreHead = (parent: SnapshotRecord | undefined) => Promise<NewHead>;

/** Throws CORRUPT, LEASE_LOST, UNAVAILABLE, DISK_FULL, IO. */
export async function replaceHead(
  database: Database,
  ports: HeadPorts,
  published: Published | undefined,
  store: StoreHead,
): Promise<Published> {
  const { snapshot: draft, layer } = await store(published?.snapshot);
  const next = new Generation([]);
  try {
    const stack = await ports.shelf.openStack([layer], next);
    const snapshot = { ...draft, epoch: await ports.ownership.epoch() };
    await publish(ports, snapshot, layer, database);
    await adopt(database, snapshot, stack, next);
    published?.version.release();
    return { snapshot, version: database.head.retain(), stack };
  } catch (error) {
    next.release();
    throw error;
  }
}

/** An error may come after the transaction took effect: the metadata alone knows. */
async function publish(
  ports: HeadPorts,
  snapshot: SnapshotRecord,
  layer: LayerRecord,
  database: Database,
): Promise<void> {
  try {
    await ports.metadata.publish({ snapshot, newLayers: [layer], stack: [layer.id] });
  } catch (error) {
    if (errorCode(error) === 'LEASE_LOST') ports.ownership.lost(error);
    if (await tookEffect(ports, snapshot, database)) return;
    await ports.objects.delete(layer.key).catch(() => {}); // nobody refers to it
    throw error;
  }
}

/** Asks until it is known: writers must not go on with what may not be the head any more. */
async function tookEffect(
  { metadata, ownership, isClosing }: HeadPorts,
  { id, epoch }: { readonly id: SnapshotRecord['id']; readonly epoch: Epoch },
  { id: database, ports: { clock }, name }: Database,
): Promise<boolean> {
  for (;;) {
    try {
      await ownership.fence();
      return (await metadata.getDatabase(database)).head === id;
    } catch (cause) {
      if (!isClosing()) {
        await clock.sleep(ASK_AGAIN_MS);
        continue;
      }
      const what = `whether snapshot ${id} (epoch ${epoch}) was published is not known`;
      throw new OpenduckError('UNAVAILABLE', what, { cause, database: name });
    }
  }
}

/** The live files become those of the new head; the active segment stays for what follows. */
async function adopt(
  database: Database,
  snapshot: SnapshotRecord,
  stack: readonly ShelvedLayer[],
  next: Generation,
): Promise<void> {
  const version: FollowedVersion = {
    number: snapshot.version,
    time: snapshot.commitTime,
    nextFileId: stack.at(-1)!.layer.index.description.nextFileId,
    files: [...filesOfStack(stack).values()].map((file) => ({ ...file, changed: true })),
  };
  await database.serially(async () => {
    const { log } = database;
    // Also of a log that nobody has gone on with since it was recovered: what is before counts no
    // more, be it damaged or not.
    if (database.segments.size > 0) await log.ready().catch(() => {});
    const from = log.activeNumber;
    const sealed =
      log.active !== undefined &&
      (await seal(database, snapshot, from).then(
        () => true,
        () => false, // a full disk: the segments stay, and the next seal tells the same
      ));
    for (const [number, held] of database.segments) {
      if (!sealed || number >= from) next.add(held);
    }
    database.resetFirst = database.segments.size > 0;
    database.follow(version, next);
    database.damage = [];
    database.headLost = false;
    database.lostBytes = undefined;
  });
}
