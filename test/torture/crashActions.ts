/**
 * What the crash harness does to databases, each action together with its effect on the model.
 */

import { takeSnapshot } from '../../fs/database/takeSnapshot.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import { RECORD_HEADER_BYTES } from '../../layers/segmentFormat.js';
import type { SnapshotRecord } from '../../metadata/store.js';
import { wallTime } from '../../proto/ids.js';
import type { SeededRandom } from '../harness/seeds.js';
import {
  DatabaseModel,
  difference,
  FileModel,
  type SetState,
  type WorldModel,
} from './crashModel.js';
import { readHead, readLive, type World } from './crashWorld.js';

const LARGEST_FILE = 400_000;
const SUFFIXES = ['.duckdb', '.duckdb.wal', '.duckdb.wal.checkpoint'] as const;
const ATTRIBUTES = { mode: 0o644, uid: 0, gid: 0, modified: wallTime(1) };

/** One database in the engine and in the model. */
export interface Subject {
  readonly entry: EngineDatabase;
  readonly model: DatabaseModel;
}

export class Actions {
  readonly world: World;
  readonly model: WorldModel;
  readonly random: SeededRandom;
  /** What was started and need not be waited for. */
  readonly background = new Set<Promise<unknown>>();

  constructor(world: World, model: WorldModel, random: SeededRandom) {
    this.world = world;
    this.model = model;
    this.random = random;
  }

  subject(): Subject {
    const name = this.random.pick([...this.model.names.keys()]);
    return { entry: this.world.engine.get(name), model: this.model.of(name) };
  }

  async create(name: string): Promise<void> {
    this.model.creating = name;
    const { database } = await this.world.engine.findOrCreate(name);
    this.model.databases.set(database.id, new DatabaseModel(database.id, name));
    this.model.names.set(name, database.id);
    this.model.creating = undefined;
    await database.prepareForWriting();
  }

  async drop(): Promise<void> {
    const { entry, model } = this.subject();
    const names = new Map(this.model.names);
    names.delete(model.name);
    this.model.nextNames = names;
    await this.world.engine.drop(entry);
    this.#named(names);
  }

  async renameDatabase(to: string): Promise<void> {
    const { entry, model } = this.subject();
    const names = new Map(this.model.names);
    names.delete(model.name);
    names.set(to, model.id);
    this.model.nextNames = names;
    await this.world.engine.rename(entry, to);
    model.name = to;
    this.#named(names);
  }

  #named(names: Map<string, DatabaseModel['id']>): void {
    this.model.names = names;
    this.model.nextNames = undefined;
  }

  /** Whether a suffix has a file, as the model knows it. */
  async createFile({ entry, model }: Subject): Promise<void> {
    const suffix = this.random.pick(SUFFIXES.filter((s) => !model.files.has(s)));
    const state = new Map(model.state()).set(suffix, Buffer.alloc(0));
    await this.#make(model, [state], () => entry.database.create(suffix, ATTRIBUTES));
    model.files.set(suffix, new FileModel());
    model.addVersion(state);
  }

  async rename({ entry, model }: Subject, from: string, to: string): Promise<void> {
    const { database } = entry;
    const state = new Map(model.state()).set(to, model.files.get(from)!.committed);
    state.delete(from);
    await this.#make(model, [state], () => database.rename(database.files.get(from)!, to));
    const file = model.files.get(from)!;
    model.files.delete(from);
    model.files.set(to, file);
    model.addVersion(state);
  }

  async unlink({ entry, model }: Subject, suffix: string): Promise<void> {
    const { database } = entry;
    const state = new Map(model.state());
    state.delete(suffix);
    await this.#make(model, [state], () => database.unlink(database.files.get(suffix)!));
    model.files.delete(suffix);
    model.addVersion(state);
  }

  async #make(model: DatabaseModel, states: SetState[], work: () => Promise<unknown>) {
    model.making = { candidates: () => states };
    await work();
    model.making = undefined;
  }

  /** A promise when the payload is large: it settles with the write. */
  write({ entry, model }: Subject, suffix: string, large: boolean): Promise<void> | undefined {
    const { random } = this;
    const file = model.files.get(suffix)!;
    const length = large ? random.int((64 << 10) + 1, 150_000) : random.int(1, 6000);
    const size = file.live.length;
    let offset = random.int(0, Math.min(size + 2000, LARGEST_FILE - length));
    // What is being written at the same time does not overlap: the kernel sees to that.
    if (file.busyTo > 0) offset = Math.max(offset, file.busyTo);
    const buffer = random.bytes(RECORD_HEADER_BYTES + length);
    const bytes = Buffer.from(buffer.subarray(RECORD_HEADER_BYTES));
    const live = entry.database.files.get(suffix)!;
    const done = entry.database.write(live, offset, buffer, RECORD_HEADER_BYTES, length);
    file.write(offset, bytes);
    if (done === undefined) return undefined;
    return done.then(file.busy(offset + length));
  }

  truncate({ entry, model }: Subject, suffix: string): void {
    const file = model.files.get(suffix)!;
    const size = this.random.int(0, Math.min(LARGEST_FILE, file.live.length + 500));
    entry.database.truncate(entry.database.files.get(suffix)!, size);
    file.truncate(size);
  }

  /** Whatever is written while it runs may be in it or not, but in order. */
  async commit({ entry, model }: Subject, suffix: string): Promise<void> {
    const { database } = entry;
    const file = model.files.get(suffix)!;
    const from = file.answered;
    const before = model.head;
    const candidates = () =>
      file.states.slice(from).map((content) => model.state(new Map([[suffix, content]])));
    model.making = { candidates };
    await database.commit(database.files.get(suffix)!);
    const made = database.head.number - before;
    model.acknowledge(database.head.number);
    if (made === 0 && from === 0) {
      model.making = undefined;
      return;
    }
    const states = candidates();
    const found = await readHead(entry);
    const chosen = states.findIndex((state) => difference(state, found) === undefined);
    if (chosen < 0 || made !== 1) {
      const why = states.map((state) => difference(state, found) ?? 'none').join(', ');
      throw new Error(`after a commit of ${model.name}${suffix}: ${made} versions; ${why}`);
    }
    model.making = undefined;
    file.commit(from + chosen);
    model.addVersion(states[chosen]!);
  }

  /** Nothing else is written meanwhile. */
  async commitAll({ entry, model }: Subject): Promise<void> {
    const contents = new Map([...model.files].map(([suffix, file]) => [suffix, file.live]));
    const state = model.state(contents);
    const dirty = [...model.files.values()].some((file) => file.states.length > 1);
    await this.#make(model, [state], () => entry.database.commitAll());
    if (!dirty) return;
    for (const file of model.files.values()) file.commit(file.states.length - 1);
    model.addVersion(state);
  }

  #published(model: DatabaseModel, snapshot: SnapshotRecord | undefined): void {
    if (snapshot === undefined) return;
    model.published.set(snapshot.id, snapshot);
    model.acknowledge(snapshot.version);
  }

  publish({ entry, model }: Subject): Promise<void> {
    return entry.publisher.publish('manual').then((done) => this.#published(model, done));
  }

  async takeSnapshot({ entry, model }: Subject): Promise<void> {
    if (model.head === 0) return;
    const label = `label ${this.random.next()}`;
    // A snapshot has one name: it may lose the one that it has.
    for (const [name, version] of model.named) {
      if (version === model.head) model.named.delete(name);
    }
    const done = await takeSnapshot(entry.publisher, this.world.metadata, label);
    this.#published(model, done);
    model.named.set(label, done!.version);
  }

  async check(subject: Subject): Promise<void> {
    const { entry, model } = subject;
    const head = difference(model.state(), await readHead(entry));
    if (head !== undefined) throw new Error(`the head of ${model.name}: ${head}`);
    for (const [suffix, file] of model.files) {
      if (file.busyTo > 0) continue;
      const found = await readLive(entry, entry.database.files.get(suffix)!);
      const live = difference(new Map([['', file.live]]), new Map([['', found]]));
      if (live !== undefined) throw new Error(`the live ${model.name}${suffix}: ${live}`);
    }
  }
}
