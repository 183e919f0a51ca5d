/** What can be asked of an engine: the databases, their snapshots, what was set aside. */

import { DEFAULT_POLICY, type RetentionPolicy } from '../metadata/retention/policy.js';
import type { DatabaseRecord, SnapshotRecord } from '../metadata/store.js';
import { OpenduckError } from '../proto/errors.js';
import { clone, undrop } from './branches.js';
import {
  checkLayers,
  checkMetadata,
  type LayerCheck,
  type LayerCheckRequest,
  type MetadataCheck,
} from './checking.js';
import type { Database } from './database/database.js';
import { type AsideLog, hasUnpublished } from './database/logDirectory.js';
import { publishLagMs } from './database/publishLag.js';
import { takeSnapshot } from './database/takeSnapshot.js';
import { diffSnapshots, type SnapshotDiff } from './diffSnapshots.js';
import type { Engine } from './engine.js';
import type {
  AsideSummary,
  DatabaseStorage,
  DatabaseSummary,
  DroppedSummary,
  EngineCommands,
  EngineStatus,
  SnapshotStorage,
  SnapshotSummary,
} from './engineCommands.js';
import type { EngineDatabase } from './engineOptions.js';
import { resolveHeld } from './gc/holds.js';
import type { CollectOptions, CollectReport, RetentionSummary } from './gc/report.js';
import { type BegunImport, type ImportRequest, Imports } from './imports.js';
import { requireDatabaseName } from './names.js';
import { recoverAside } from './recoverAside.js';
import { reset, restore } from './restore.js';
import { filesOfSnapshot, readSnapshot, type SnapshotContent } from './snapshotContent.js';
import { allSnapshots } from './snapshotPages.js';
import { databaseStorage, snapshotStorage } from './storageCommands.js';
import { type WarmProgress, warm } from './warm.js';

export class DatabaseCommands implements EngineCommands {
  readonly #engine: Engine;
  readonly #imports: Imports;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#imports = new Imports(engine);
  }

  async status(): Promise<EngineStatus> {
    const { usage, options } = this.#engine;
    const databases: DatabaseSummary[] = [];
    for (const entry of this.#engine.databases()) databases.push(await this.#summarize(entry));
    databases.sort((a, b) => (a.name < b.name ? -1 : 1));
    const aside = (await this.#engine.directories.listAside()).filter(hasUnpublished);
    const lags = [...this.#engine.databases()].map(({ publisher }) => publishLagMs(publisher));
    const lag = { publishLagMs: Math.max(0, ...lags) };
    const counters = { ...usage.counters(), ...options.counters?.(), ...lag };
    return { databases, aside: aside.map(summarizeAside), counters };
  }

  async #summarize({ database, publisher }: EngineDatabase): Promise<DatabaseSummary> {
    const { head } = database;
    return {
      id: database.id,
      name: database.name,
      size: head.size,
      files: [...head.files].map(([suffix, { size }]) => ({ name: database.name + suffix, size })),
      version: head.number,
      publishedVersion: publisher.snapshot?.version ?? 0,
      head: publisher.snapshot?.id,
      committedAt: head.number === 0 ? undefined : new Date(head.time).toISOString(),
      depth: publisher.depth,
      writer: this.#engine.usage.writerOf(database),
      readers: this.#engine.usage.readersOf(database),
      segmentBytes: await this.#segmentBytes(database),
      damage: database.damage[0] ?? database.lostBytes ?? database.log.failure?.message,
    };
  }

  async takeSnapshot(name: string, label: string | undefined): Promise<SnapshotSummary> {
    const { publisher } = this.#engine.get(name);
    const snapshot = await takeSnapshot(publisher, this.#engine.options.metadata, label);
    if (snapshot === undefined) {
      throw new OpenduckError('NOT_FOUND', `${name} has no commit yet`, { database: name });
    }
    return summarizeSnapshot(name, snapshot);
  }

  async resolveSnapshot(name: string, when: string): Promise<SnapshotSummary> {
    return summarizeSnapshot(name, await resolveHeld(this.#engine, this.#engine.get(name), when));
  }

  async listSnapshots(name: string): Promise<SnapshotSummary[]> {
    const { database } = this.#engine.get(name);
    const snapshots = await allSnapshots(this.#engine.options.metadata, database.id);
    return snapshots.map((snapshot) => summarizeSnapshot(name, snapshot));
  }

  async nameSnapshot(
    name: string,
    when: string,
    label: string | undefined,
  ): Promise<SnapshotSummary> {
    const { id } = await this.#engine.resolve(this.#engine.get(name), when);
    await this.#engine.options.metadata.nameSnapshot(id, label);
    return summarizeSnapshot(name, await this.#engine.options.metadata.getSnapshot(id));
  }

  async recover(aside: string, name: string): Promise<DatabaseSummary> {
    requireDatabaseName(name);
    return this.#summarize(await recoverAside(this.#engine, aside, name));
  }

  warm(name: string, when: string, from: number): Promise<WarmProgress> {
    return warm(this.#engine, name, when, from);
  }

  async clone(name: string, when: string | undefined, newName: string): Promise<DatabaseSummary> {
    return this.#summarize(await clone(this.#engine, name, when, newName));
  }

  async restore(name: string, when: string, waitMs: number): Promise<SnapshotSummary> {
    return summarizeSnapshot(name, await restore(this.#engine, name, when, waitMs));
  }

  async reset(name: string, waitMs: number): Promise<SnapshotSummary> {
    return summarizeSnapshot(name, await reset(this.#engine, name, waitMs));
  }

  async listDropped(): Promise<DroppedSummary[]> {
    const dropped: DroppedSummary[] = [];
    for (const record of await this.#engine.options.metadata.listDropped()) {
      dropped.push(await this.#summarizeDropped(record));
    }
    return dropped;
  }

  async #summarizeDropped({ id, name, head, droppedAt }: DatabaseRecord): Promise<DroppedSummary> {
    const snapshot = head && (await this.#engine.options.metadata.getSnapshot(head));
    return {
      id,
      name,
      droppedAt: new Date(droppedAt!).toISOString(),
      committedAt: snapshot && new Date(snapshot.commitTime).toISOString(),
      head,
      size: snapshot === undefined ? 0 : sizeOf(snapshot),
    };
  }

  async undrop(name: string, id: string | undefined, newName: string): Promise<DatabaseSummary> {
    return this.#summarize(await undrop(this.#engine, name, id, newName));
  }

  async describeSnapshot(name: string, when: string): Promise<SnapshotContent> {
    const snapshot = await resolveHeld(this.#engine, this.#engine.get(name), when);
    const files = await filesOfSnapshot(this.#engine, name, snapshot);
    return { snapshot: summarizeSnapshot(name, snapshot), files };
  }

  readSnapshot(
    name: string,
    when: string,
    suffix: string,
    offset: number,
    length: number,
  ): Promise<Buffer> {
    return readSnapshot(this.#engine, name, when, suffix, offset, length);
  }

  beginImport(request: ImportRequest): Promise<BegunImport> {
    return this.#imports.begin(request);
  }

  appendImport(id: string, suffix: string, offset: number, bytes: Buffer): Promise<void> {
    return this.#imports.append(id, suffix, offset, bytes);
  }

  async finishImport(id: string, checksums: readonly string[]): Promise<SnapshotSummary> {
    const { database, snapshot } = await this.#imports.finish(id, checksums);
    return summarizeSnapshot(database, snapshot);
  }

  abandonImport(id: string): Promise<void> {
    return this.#imports.abandon(id);
  }

  checkMetadata(): Promise<MetadataCheck> {
    return checkMetadata(this.#engine);
  }

  checkLayers(request: LayerCheckRequest): Promise<LayerCheck> {
    return checkLayers(this.#engine, request);
  }

  diffSnapshots(name: string, before: string, after: string, from: number): Promise<SnapshotDiff> {
    return diffSnapshots(this.#engine, name, [before, after], from);
  }

  async removeSnapshot(name: string, when: string, named: boolean): Promise<SnapshotSummary> {
    const snapshot = await this.#engine.resolve(this.#engine.get(name), when);
    await this.#engine.options.metadata.removeSnapshot(snapshot.id, named);
    return summarizeSnapshot(name, snapshot);
  }

  databaseStorage(): Promise<DatabaseStorage[]> {
    return databaseStorage(this.#engine);
  }

  snapshotStorage(name: string): Promise<SnapshotStorage[]> {
    return snapshotStorage(this.#engine, name);
  }

  async retention(name: string): Promise<RetentionSummary> {
    const { id } = this.#engine.get(name).database;
    const policy = await this.#engine.garbage.retention.readPolicy(id);
    return { database: name, policy: policy ?? DEFAULT_POLICY, isDefault: policy === undefined };
  }

  async setRetention(
    name: string,
    change: Partial<RetentionPolicy> | undefined,
  ): Promise<RetentionSummary> {
    const { id } = this.#engine.get(name).database;
    const { policy } = await this.retention(name);
    const next = change === undefined ? undefined : { ...policy, ...change };
    await this.#engine.garbage.retention.writePolicy(id, next);
    return this.retention(name);
  }

  collect(options: CollectOptions): Promise<CollectReport> {
    return this.#engine.garbage.collect(options);
  }

  /** Bytes in segments on this host. */
  async #segmentBytes({ directory }: Database): Promise<number> {
    const { disk } = this.#engine.options;
    let bytes = 0;
    for (const name of await disk.list(directory)) {
      bytes += (await disk.size(`${directory}/${name}`)) ?? 0;
    }
    return bytes;
  }
}

const summarizeAside = (log: AsideLog): AsideSummary => ({
  id: log.id,
  database: log.name,
  commits: log.version - log.publishedVersion,
  base: log.base,
  setAsideAt: log.setAsideAt,
  damaged: log.damaged ?? false,
});

const sizeOf = ({ files }: SnapshotRecord): number =>
  files.reduce((sum, { size }) => sum + size, 0);

export function summarizeSnapshot(database: string, snapshot: SnapshotRecord): SnapshotSummary {
  return {
    id: snapshot.id,
    database,
    name: snapshot.name,
    sequence: snapshot.sequence,
    version: snapshot.version,
    committedAt: new Date(snapshot.commitTime).toISOString(),
    publishedAt: new Date(snapshot.publishedAt).toISOString(),
    reason: snapshot.reason,
    size: sizeOf(snapshot),
  };
}
