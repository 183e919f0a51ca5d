/**
 * A child of postgresRivals.test.ts: does this and that to databases that its rivals use too, and
 * prints what succeeded, one JSON line each, and what failed in a way that it should not.
 */
import { writeSync } from 'node:fs';
import { openPostgresStore } from '../../metadata/postgres/open.js';
import type { DatabaseRecord, Lease, MetadataStore } from '../../metadata/store.js';
import { assert, describeError, type ErrorCode, errorCode } from '../../proto/errors.js';
import { type DatabaseId, type SnapshotId, versionNumber, wallTime } from '../../proto/ids.js';
import { silentLogger, systemClock } from '../../proto/ports.js';
import { type SeededRandom, seededRandom } from '../harness/seeds.js';
import { dbId, layer, snapId, snapshot } from './fixtures.js';

/** Milliseconds: leases run out all the time. */
export const RIVAL_TTL = 40;
export const NAMES = ['a', 'b', 'c', 'd', 'e'];
/** Layers under a snapshot, so that rows are replaced and not only added. */
const DEPTH = 4;
/** What rivals do to each other. */
const EXPECTED: ReadonlySet<ErrorCode> = new Set(['ALREADY_EXISTS', 'BUSY', 'LEASE_LOST']);

/** Times are of the machine's clock, which is the one of its Postgres too. */
export interface RivalEvent {
  readonly what: 'acquire' | 'renew' | 'release' | 'publish' | 'bad';
  readonly began: number;
  readonly ended: number;
  readonly holder: string;
  readonly database?: DatabaseId;
  readonly epoch?: number;
  readonly snapshot?: SnapshotId;
  readonly error?: string;
}

class Rival {
  readonly #store: MetadataStore;
  readonly #number: number;
  readonly #random: SeededRandom;
  readonly #leases = new Map<DatabaseId, Lease>();
  /** Of snapshots, layers and databases: no rival has the same ones. */
  #next: number;

  constructor(store: MetadataStore, number: number, random: SeededRandom) {
    this.#store = store;
    this.#number = number;
    this.#random = random;
    this.#next = number * 1_000_000;
  }

  get #holder(): string {
    return `rival-${this.#number}`;
  }

  #report(event: Omit<RivalEvent, 'holder' | 'ended'>): void {
    const whole: RivalEvent = { ...event, holder: this.#holder, ended: Date.now() };
    writeSync(1, `${JSON.stringify(whole)}\n`);
  }

  async #publish(database: DatabaseRecord, lease: Lease): Promise<void> {
    const store = this.#store;
    const parent = database.head === undefined ? undefined : await store.getSnapshot(database.head);
    const stack = parent === undefined ? [] : (await store.stackOf(parent.id)).map((l) => l.id);
    const n = ++this.#next;
    const added = layer(n, database.id);
    const { epoch } = lease;
    const publication = {
      snapshot: snapshot(n, {
        database: database.id,
        parent: parent?.id,
        sequence: (parent?.sequence ?? 0) + 1,
        version: versionNumber((parent?.version ?? 0) + 1),
        epoch,
        name: this.#random.int(0, 3) === 0 ? this.#random.pick(NAMES) : undefined,
      }),
      newLayers: [added],
      stack: [...stack, added.id].slice(-DEPTH),
    };
    const began = Date.now();
    await store.publish(publication);
    this.#report({ what: 'publish', began, database: database.id, epoch, snapshot: snapId(n) });
  }

  async #compact({ id, head }: DatabaseRecord): Promise<void> {
    if (head === undefined) return;
    const stack = (await this.#store.stackOf(head)).map((l) => l.id);
    const whole = layer(++this.#next, id);
    await this.#store.replaceStack(head, stack, [whole], [whole.id]);
  }

  async #useLease({ id }: DatabaseRecord): Promise<void> {
    const lease = this.#leases.get(id);
    const began = Date.now();
    if (lease === undefined || this.#random.int(0, 3) === 0) {
      const got = await this.#store.acquireLease(id, this.#holder, RIVAL_TTL);
      this.#leases.set(id, got);
      this.#report({ what: 'acquire', began, database: id, epoch: got.epoch });
    } else if (this.#random.int(0, 4) === 0) {
      // Said before it happens: from now on somebody else may have it.
      this.#report({ what: 'release', began, database: id, epoch: lease.epoch });
      await this.#store.releaseLease(lease);
      this.#leases.delete(id);
    } else {
      await this.#store.renewLease(lease, RIVAL_TTL);
      this.#report({ what: 'renew', began, database: id, epoch: lease.epoch });
    }
  }

  async #step(): Promise<void> {
    const store = this.#store;
    const random = this.#random;
    // Dropped ones too: they can still be leased and published to.
    const database = await store.getDatabase(dbId(random.int(1, NAMES.length)));
    const live = await store.listDatabases();
    const name = random.pick(NAMES);
    const at = wallTime(Date.now());
    const lease = this.#leases.get(database.id);
    const choice = random.int(0, 19);
    if (choice < 7) await this.#useLease(database);
    else if (choice < 14) {
      await (lease ? this.#publish(database, lease) : this.#useLease(database));
    } else if (choice < 16) await this.#compact(database);
    else if (choice < 17) {
      await store.createDatabase({ id: dbId(++this.#next), name, createdAt: at });
    } else if (choice < 19 && live.length > 0) {
      await store.renameDatabase(random.pick(live).id, name, at);
    } else if (database.head) await store.nameSnapshot(database.head, name);
  }

  async run(operations: number): Promise<void> {
    for (let i = 0; i < operations; i++) {
      const began = Date.now();
      try {
        await this.#step();
      } catch (error) {
        const code = errorCode(error);
        // A database that was live when we looked may be dropped when we rename it.
        const dropped = code === 'NOT_FOUND' && describeError(error).includes('was dropped');
        if (EXPECTED.has(code) || dropped) continue;
        this.#report({ what: 'bad', began, error: `${code}: ${describeError(error)}` });
      }
    }
  }
}

const [url, number, seed, operations] = process.argv.slice(2);
if (url !== undefined && process.argv[1]?.endsWith('postgresRival.js')) {
  assert(operations !== undefined, 'URL, number, seed and operations are the arguments');
  const store = await openPostgresStore({ url, clock: systemClock, logger: silentLogger });
  await new Rival(store, Number(number), seededRandom(Number(seed))).run(Number(operations));
  await store.close();
}
