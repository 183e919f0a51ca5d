/**
 * What the engine must hold, as plain byte arrays: the reference of the crash harness.
 *
 * Buffers here never change after they were made, so that states are cheap to keep.
 */
import { DEFAULT_POLICY, keptBy, type RetentionPolicy } from '../../metadata/retention/policy.js';
import type { SnapshotRecord } from '../../metadata/store.js';
import type { DatabaseId, SnapshotId } from '../../proto/ids.js';

/** Content of each file by suffix. */
export type SetState = ReadonlyMap<string, Buffer>;

/** What a crash at a moment may leave of one database. */
export interface Acceptance {
  readonly name: string;
  /** Oldest version that may be the head. */
  readonly acknowledged: number;
  /** Everything that each version may have been; one that is missing must not exist. */
  readonly versions: ReadonlyMap<number, readonly SetState[]>;
  /** Snapshots that must be there, by id; the version. */
  readonly published: ReadonlyMap<SnapshotId, number>;
  /** Snapshot names that must lead to a version. */
  readonly named: ReadonlyMap<string, number>;
}

/** What a crash at a moment may leave of everything. */
export interface WorldAcceptance {
  readonly databases: ReadonlyMap<DatabaseId, Acceptance>;
  /** Which names may lead to which databases. */
  readonly names: readonly ReadonlyMap<string, DatabaseId>[];
  /** The name of a database that is just being created. */
  readonly creating: string | undefined;
}

export class FileModel {
  /** The content as of the last commit, then after each write or truncate since. */
  states: Buffer[] = [Buffer.alloc(0)];
  /** End of the last large write that is under way. */
  busyTo = 0;
  /** How many of `states` were certainly there before the first of them; it is not yet answered. */
  #answered: number | undefined;

  constructor(content: Buffer = Buffer.alloc(0)) {
    this.states = [content];
  }

  get live(): Buffer {
    return this.states.at(-1)!;
  }

  get committed(): Buffer {
    return this.states[0]!;
  }

  /** Index of the newest state whose writes were all answered: a commit must have it. */
  get answered(): number {
    return (this.#answered ?? this.states.length) - 1;
  }

  /** Of a write that was not answered at once; call the result when it is. */
  busy(to: number): () => void {
    this.busyTo = to;
    this.#answered ??= this.states.length - 1;
    return () => {
      if (this.busyTo !== to) return;
      this.busyTo = 0;
      this.#answered = undefined;
    };
  }

  /** The state of this index was committed. */
  commit(index: number): void {
    this.states.splice(0, index);
    if (this.#answered !== undefined) this.#answered = Math.max(1, this.#answered - index);
  }

  write(offset: number, bytes: Buffer): void {
    const before = this.live;
    const after = Buffer.alloc(Math.max(before.length, offset + bytes.length));
    before.copy(after);
    bytes.copy(after, offset);
    this.states.push(after);
  }

  truncate(size: number): void {
    const after = Buffer.alloc(size);
    this.live.copy(after);
    this.states.push(after);
  }
}

/** A version that is being made: what it may turn out to be. */
export interface Making {
  candidates(): SetState[];
}

export class DatabaseModel {
  readonly id: DatabaseId;
  name: string;
  /** Those that were made, each with its one content. */
  readonly versions = new Map<number, SetState>([[0, new Map()]]);
  head = 0;
  acknowledged = 0;
  readonly files = new Map<string, FileModel>();
  readonly published = new Map<SnapshotId, SnapshotRecord>();
  readonly named = new Map<string, number>();
  making: Making | undefined;
  /** undefined: the default. */
  policy: RetentionPolicy | undefined;
  /** What garbage collection, which is under way, may take: what no rule keeps, or everything. */
  collecting: 'unkept' | 'all' | undefined;

  constructor(id: DatabaseId, name: string) {
    this.id = id;
    this.name = name;
  }

  /** What the world sees when `changed` is published. */
  state(changed: ReadonlyMap<string, Buffer> = new Map()): SetState {
    const files = new Map<string, Buffer>();
    for (const [suffix, file] of this.files) {
      files.set(suffix, changed.get(suffix) ?? file.committed);
    }
    return files;
  }

  addVersion(state: SetState): void {
    this.head++;
    this.versions.set(this.head, state);
  }

  acknowledge(version: number): void {
    this.acknowledged = Math.max(this.acknowledged, version);
  }

  /**
   * Of what was promised, what garbage collection has to leave. `present`: what the metadata has,
   * that which nobody promised included. Rules count from the newest snapshot back: what they keep
   * now, they also kept when the collection looked, and there were fewer newer ones.
   */
  #kept(present: readonly SnapshotRecord[]): Map<SnapshotId, number> {
    const isThere = new Set(present.map(({ id }) => id));
    const gone = [...this.published.values()].filter(({ id }) => !isThere.has(id));
    const all = [...present, ...gone].sort((a, b) => b.sequence - a.sequence);
    const kept = keptBy(this.policy ?? DEFAULT_POLICY, all);
    for (const { id, name } of present) if (name !== undefined) kept.add(id);
    const must = [...this.published.values()].filter(
      ({ id }) => this.collecting === undefined || (this.collecting === 'unkept' && kept.has(id)),
    );
    return new Map(must.map(({ id, version }) => [id, version]));
  }

  /** A collection has ended, or a crash has ended it. Throws when it took what it may not. */
  collected(present: readonly SnapshotRecord[]): void {
    const isThere = new Set(present.map(({ id }) => id));
    for (const [id, version] of this.#kept(present)) {
      if (!isThere.has(id)) throw new Error(`${this.name}: version ${version} was collected`);
    }
    for (const id of this.published.keys()) if (!isThere.has(id)) this.published.delete(id);
    if (this.collecting === 'all') {
      const names = new Set(present.map(({ name }) => name));
      for (const name of this.named.keys()) if (!names.has(name)) this.named.delete(name);
    }
    this.collecting = undefined;
  }

  acceptance(present: readonly SnapshotRecord[]): Acceptance {
    const versions = new Map<number, readonly SetState[]>();
    for (const [number, state] of this.versions) versions.set(number, [state]);
    if (this.making !== undefined) versions.set(this.head + 1, this.making.candidates());
    return {
      name: this.name,
      acknowledged: this.acknowledged,
      versions,
      published: this.#kept(present),
      named: new Map(this.collecting === 'all' ? [] : this.named),
    };
  }

  /** Recovery showed this version: it is the truth from here on. */
  recover(version: number, state: SetState): void {
    for (const number of this.versions.keys()) if (number > version) this.versions.delete(number);
    this.versions.set(version, state);
    this.head = version;
    this.acknowledged = version;
    this.making = undefined;
    this.files.clear();
    for (const [suffix, content] of state) this.files.set(suffix, new FileModel(content));
  }
}

/** Undefined when they are the same, else where they differ. */
export function difference(expected: SetState, actual: SetState): string | undefined {
  const names = (state: SetState) => [...state.keys()].sort().join(' ') || 'no files';
  if (names(expected) !== names(actual)) {
    return `expected ${names(expected)}, found ${names(actual)}`;
  }
  for (const [suffix, bytes] of expected) {
    const found = actual.get(suffix)!;
    if (bytes.equals(found)) continue;
    const at = bytes.findIndex((byte, i) => found[i] !== byte);
    const where = at < 0 ? Math.min(bytes.length, found.length) : at;
    return `${suffix}: expected ${bytes.length} bytes, found ${found.length}; differ from ${where}`;
  }
  return undefined;
}

export class WorldModel {
  readonly databases = new Map<DatabaseId, DatabaseModel>();
  names = new Map<string, DatabaseId>();
  /** Names as they may be while an operation on them is under way. */
  nextNames: ReadonlyMap<string, DatabaseId> | undefined;
  creating: string | undefined;

  /** `snapshotsOf`: what the metadata has of a database. */
  acceptance(snapshotsOf: (id: DatabaseId) => readonly SnapshotRecord[]): WorldAcceptance {
    const databases = new Map(
      [...this.databases].map(([id, model]) => [id, model.acceptance(snapshotsOf(id))]),
    );
    const names = [new Map(this.names)];
    if (this.nextNames !== undefined) names.push(new Map(this.nextNames));
    return { databases, names, creating: this.creating };
  }

  of(name: string): DatabaseModel {
    return this.databases.get(this.names.get(name)!)!;
  }
}
