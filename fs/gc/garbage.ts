/** Retention and garbage collection of one engine: on request, and by itself now and then. */
import { join } from 'node:path';
import type { ObjectStore } from '../../layers/objectStore.js';
import type { DatedSnapshot } from '../../metadata/retention/policy.js';
import type { RetentionStore } from '../../metadata/retention/port.js';
import type { DatabaseRecord, MetadataStore } from '../../metadata/store.js';
import { DAEMON } from '../../proto/audit.js';
import { describeError, errorCode, OpenduckError } from '../../proto/errors.js';
import type { LayerId, SnapshotId } from '../../proto/ids.js';
import type { Clock, Logger } from '../../proto/ports.js';
import { hasUnpublished, type LogDirectories } from '../database/logDirectory.js';
import type { EngineDatabase } from '../engineOptions.js';
import { auditCollection } from './auditCollection.js';
import { Collection, type CollectorPorts } from './collector.js';
import { Holds } from './holds.js';
import { OpenObjects } from './openObjects.js';
import { Pinner } from './pinner.js';
import { type CollectOptions, type CollectReport, MIN_AGE_MS, UNDROP_WITHIN_MS } from './report.js';
import { Restacker, type RestackLimits } from './restack.js';

/** How often it is looked whether a collection is due: hosts share the work. */
const LONGEST_LOOK_MS = 300_000;
const SCAN_EVERY_MS = 86_400_000;

export interface GarbageOptions {
  /** From one collection to the next; undefined: only on request. */
  readonly intervalMs: number | undefined;
  readonly undropWithinMs: number;
  /** Left out: as in restack.ts. */
  readonly restack?: RestackLimits;
}

export interface GarbagePorts {
  /** undefined: nothing is collected. */
  readonly retention: RetentionStore | undefined;
  readonly options: GarbageOptions;
  readonly objects: ObjectStore;
  readonly metadata: MetadataStore;
  readonly dataDir: string;
  readonly holder: string;
  readonly shared: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly directories: LogDirectories;
  readonly databases: () => Iterable<EngineDatabase>;
  /**
   * What nobody uses is let go: what the kernel only remembers of old versions, and databases
   * that were dropped a moment ago.
   */
  readonly letGoUnused: () => Promise<void>;
}

export class Garbage {
  /** To be used instead of the one that was given. */
  readonly objects: OpenObjects;
  readonly holds: Holds;
  readonly #ports: GarbagePorts;
  readonly #pinner: Pinner | undefined;
  readonly #restacker: Restacker;
  #cancel: (() => void) | undefined;
  #running: Promise<unknown> | undefined;
  #ending = false;

  constructor(ports: GarbagePorts) {
    this.#ports = ports;
    this.objects = new OpenObjects(ports.objects);
    const { retention, shared } = ports;
    this.#restacker = new Restacker(ports.options.restack);
    this.holds = new Holds(ports);
    if (retention === undefined || !shared) return;
    this.#pinner = new Pinner({
      ...ports,
      retention,
      isOpen: (key) => this.objects.isOpen(key),
      heldHere: () => this.#heldHere(),
      leave: (layers) => this.#leave(layers),
    });
  }

  /** Throws UNSUPPORTED. */
  get retention(): RetentionStore {
    const { retention } = this.#ports;
    if (retention !== undefined) return retention;
    throw new OpenduckError('UNSUPPORTED', 'this metadata has no garbage collection');
  }

  start(): void {
    this.#pinner?.start();
    this.#schedule();
  }

  #schedule(): void {
    const { intervalMs } = this.#ports.options;
    if (intervalMs === undefined || this.#ports.retention === undefined || this.#ending) return;
    const pause = Math.min(LONGEST_LOOK_MS, intervalMs);
    this.#cancel = this.#ports.clock.after(pause, () => {
      void this.collectIfDue(intervalMs).finally(() => this.#schedule());
    });
  }

  /** Tells of failures in the log: the next one goes on. */
  async collectIfDue(intervalMs: number): Promise<void> {
    const { logger, options } = this.#ports;
    const { undropWithinMs } = options;
    try {
      const { now, scannedAt } = await this.retention.lastScan();
      const isScanDue = now - scannedAt >= SCAN_EVERY_MS;
      const all = { database: undefined, dryRun: false, undropWithinMs, minAgeMs: MIN_AGE_MS };
      const report = await this.#run(all, isScanDue, intervalMs);
      if (report !== undefined) auditCollection(logger, DAEMON, report);
    } catch (error) {
      const fields = { code: errorCode(error), error: describeError(error) };
      if (!this.#ending) logger.warn(fields, 'garbage collection did not finish; it goes on later');
    }
  }

  /** Throws BUSY, NOT_FOUND, UNSUPPORTED, UNAVAILABLE, IO. */
  async collect(options: CollectOptions): Promise<CollectReport> {
    return (await this.#run(options, true, undefined))!;
  }

  /** One at a time. */
  #run(
    options: CollectOptions,
    scan: boolean,
    intervalMs: number | undefined,
  ): Promise<CollectReport | undefined> {
    const before = this.#running ?? Promise.resolve();
    const running = before
      .catch(() => {})
      .then(() => new Collection(this.#collectorPorts(), options, scan).run(intervalMs));
    this.#running = running;
    return running;
  }

  #collectorPorts(): CollectorPorts {
    return {
      retention: this.retention,
      objects: this.objects,
      holder: this.#ports.holder,
      letGo: () => this.#letGo(),
      heldHere: () => this.#heldHere(),
      isEnding: () => this.#ending,
      forget: async (database, snapshots) => this.#forget(database, snapshots),
      restack: (database, kept, goOn) => this.#restack(database, kept, goOn),
    };
  }

  async #restack(
    { id }: DatabaseRecord,
    kept: readonly DatedSnapshot[],
    goOn: () => Promise<void>,
  ): Promise<number> {
    const entry = [...this.#ports.databases()].find(({ database }) => database.id === id);
    if (entry === undefined) return 0; // another host has just made it, or somebody drops it
    const { metadata, dataDir } = this.#ports;
    const stagingDirectory = join(dataDir, 'staging');
    const countReferences = this.retention.countReferences.bind(this.retention);
    const ports = { metadata, objects: this.objects, stagingDirectory, countReferences, goOn };
    return this.#restacker.run(ports, entry, kept);
  }

  async #letGo(): Promise<void> {
    await this.#ports.letGoUnused();
    for (const { snapshots } of [...this.#ports.databases()]) await snapshots.dropIdle();
  }

  /** What is open by reference, and what commits that were set aside belong on top of. */
  async #heldHere(): Promise<Set<SnapshotId>> {
    const held = new Set<SnapshotId>();
    for (const { snapshots } of this.#ports.databases()) {
      for (const id of await snapshots.inUse()) held.add(id);
    }
    for (const aside of await this.#ports.directories.listAside()) {
      if (aside.base !== undefined && hasUnpublished(aside)) held.add(aside.base);
    }
    return held;
  }

  #forget({ id }: DatabaseRecord, gone: readonly SnapshotId[]): void {
    for (const { database, snapshots } of this.#ports.databases()) {
      if (database.id === id) snapshots.forget(gone);
    }
  }

  /** The newest versions move over to the layers that the metadata has for them. */
  async #leave(layers: ReadonlySet<LayerId>): Promise<void> {
    for (const { publisher, ownership } of [...this.#ports.databases()]) {
      if (ownership.held || ownership.isLost || publisher.snapshot === undefined) continue;
      if (publisher.reads(layers)) await publisher.follow(publisher.snapshot.id);
    }
  }

  async close(): Promise<void> {
    this.#ending = true;
    this.#cancel?.();
    await this.#pinner?.stop();
    await this.#running?.catch(() => {});
    await this.holds.letGo().catch(() => {}); // they expire
  }
}

export const GARBAGE_DEFAULTS: GarbageOptions = {
  intervalMs: undefined,
  undropWithinMs: UNDROP_WITHIN_MS,
};
