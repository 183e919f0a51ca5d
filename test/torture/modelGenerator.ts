/** Chooses the next operation of the model test: mostly one that can work, but not always. */
import type { SeededRandom } from '../harness/seeds.js';
import { type Action, LockType, type Name, OpenFlag, type Operation } from './modelOperations.js';
import type { Reference } from './modelReference.js';
import type { ModelHandle } from './modelState.js';

export const CLIENTS = 3;
const DATABASES = 3;
const SLOTS = 6;
const STAY = 0.82;

const SUFFIXES: readonly (readonly [string, number])[] = [
  ['.duckdb', 50],
  ['.duckdb.wal', 28],
  ['.duckdb.wal.checkpoint', 10],
  ['.duckdb.wal.recovery', 4],
  ['.duckdb.bak', 8],
];

const WITH_HANDLE: readonly (readonly [Action['op'], number])[] = [
  ['read', 16],
  ['write', 24],
  ['fsync', 7],
  ['close', 9],
  ['fstat', 4],
  ['ftruncate', 4],
  ['lock', 5],
  ['getlk', 2],
];

const WITH_NAME: readonly (readonly [Action['op'], number])[] = [
  ['open', 40],
  ['stat', 14],
  ['rename', 5],
  ['unlink', 4],
  ['truncate', 4],
  ['chmod', 3],
  ['utimes', 3],
  ['readdir', 2],
  ['snapshot', 1],
  ['die', 0.15],
];

const WRITE_FLAGS: readonly number[] = [
  OpenFlag.RDWR,
  OpenFlag.RDWR | OpenFlag.CREAT,
  OpenFlag.RDWR | OpenFlag.CREAT,
  OpenFlag.RDWR | OpenFlag.CREAT | OpenFlag.TRUNC,
  OpenFlag.RDWR | OpenFlag.TRUNC,
  OpenFlag.WRONLY | OpenFlag.CREAT | OpenFlag.APPEND,
  OpenFlag.WRONLY | OpenFlag.CREAT,
  OpenFlag.RDWR | OpenFlag.APPEND,
  OpenFlag.WRONLY | OpenFlag.CREAT | OpenFlag.TRUNC,
  OpenFlag.WRONLY,
  OpenFlag.RDWR | OpenFlag.CREAT | OpenFlag.EXCL,
];

const MODES = [0o644, 0o600, 0o666, 0o444, 0o640];

export class Generator {
  readonly #random: SeededRandom;
  readonly #reference: Reference;
  #client = 0;
  #tag = 1;
  #refs = 0;

  constructor(random: SeededRandom, reference: Reference) {
    this.#random = random;
    this.#reference = reference;
  }

  next(): Operation {
    const random = this.#random;
    if (random.next() > STAY) this.#client = random.int(0, CLIENTS - 1);
    const client = this.#client;
    const handles = this.#reference.handles.filter((handle) => handle.client === client);
    const full = handles.length >= SLOTS;
    const onHandle = handles.length > 0 && random.next() < (full ? 0.95 : 0.72);
    const action = onHandle ? this.#onHandle(random.pick(handles)) : this.#onName(client);
    return { client, action };
  }

  #weighted<T>(choices: readonly (readonly [T, number])[]): T {
    let left = this.#random.next() * choices.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [choice, weight] of choices) {
      left -= weight;
      if (left < 0) return choice;
    }
    return choices[0]![0];
  }

  /** Mostly small, often around a page, sometimes more than a request takes. */
  #length(): number {
    const random = this.#random;
    const kind = random.next();
    if (kind < 0.6) return random.int(1, 300);
    if (kind < 0.85) return 4096 * random.int(0, 3) + random.int(1, 4096);
    if (kind < 0.985) return random.int(4096, 100_000);
    return random.int(100_000, 1_300_000);
  }

  #offset(handle: ModelHandle): number {
    const size = handle.source.content.length;
    const kind = this.#random.next();
    if (kind < 0.4) return this.#random.int(0, size);
    if (kind < 0.6) return Math.floor(this.#random.int(0, size) / 4096) * 4096;
    if (kind < 0.9) return Math.max(0, size - this.#random.int(0, 200));
    return size + this.#random.int(0, 10_000);
  }

  #onHandle(handle: ModelHandle): Action {
    const { slot } = handle;
    const random = this.#random;
    const op = this.#weighted(WITH_HANDLE);
    const at = random.next() < 0.6 ? { at: this.#offset(handle) } : {};
    // Files stay small enough to be compared often.
    const large = handle.source.content.length > 300_000;
    switch (op) {
      case 'write': {
        if (large) return { op: 'ftruncate', slot, size: random.int(0, 5000) };
        return { op, slot, tag: this.#tag++, length: this.#length(), ...at };
      }
      case 'ftruncate':
        return { op, slot, size: this.#offset(handle) };
      case 'fsync':
      case 'close':
      case 'fstat':
        return { op, slot };
      case 'lock':
        return {
          op,
          slot,
          type: this.#weighted([
            [LockType.WRITE, 5],
            [LockType.READ, 2],
            [LockType.UNLOCK, 4],
          ]),
        };
      case 'getlk':
        return { op, slot, type: random.pick([LockType.READ, LockType.WRITE]) };
      default:
        return {
          op: 'read',
          slot,
          length: random.next() < 0.4 ? 2_000_000 : this.#length(),
          ...at,
        };
    }
  }

  /** A name that exists, or any. */
  #name(): Name {
    const random = this.#random;
    const { databases } = this.#reference;
    if (databases.size > 0 && random.next() < 0.8) {
      const [database, { files, snapshots }] = random.pick([...databases]);
      if (snapshots.size > 0 && random.next() < 0.1) {
        const [ref, version] = random.pick([...snapshots]);
        if (version.size > 0) return { database, ref, suffix: random.pick([...version.keys()]) };
      }
      const present = SUFFIXES.filter(([suffix]) => files.has(suffix));
      if (present.length > 0) return { database, suffix: this.#weighted(present) };
    }
    const database = random.int(0, DATABASES - 1);
    const suffix = this.#weighted(SUFFIXES);
    if (this.#refs > 0 && random.next() < 0.05) {
      return { database, suffix, ref: random.int(1, this.#refs) };
    }
    return { database, suffix };
  }

  #onName(client: number): Action {
    const random = this.#random;
    const op = this.#weighted(WITH_NAME);
    const name = this.#name();
    switch (op) {
      case 'rename':
        return { op, name, to: this.#target(name) };
      case 'truncate':
        return { op, name, size: random.int(0, 9000) };
      case 'chmod':
        return { op, name, mode: random.pick(MODES) };
      case 'utimes':
        return { op, name, seconds: random.int(1, 2_000_000_000) };
      case 'unlink':
      case 'stat':
        return { op, name };
      case 'readdir':
      case 'die':
        return { op };
      case 'snapshot':
        return { op, database: name.database, ref: ++this.#refs };
      default:
        return this.#open(client, name);
    }
  }

  #target(name: Name): Name {
    const { databases } = this.#reference;
    const kind = this.#random.next();
    if (kind < 0.25) return { ...name, database: this.#random.int(0, DATABASES - 1) };
    if (kind < 0.85) return { database: name.database, suffix: this.#weighted(SUFFIXES) };
    return databases.size > 0 ? this.#name() : name;
  }

  #open(client: number, name: Name): Action {
    const random = this.#random;
    const { handles } = this.#reference;
    const taken = new Set(handles.filter((h) => h.client === client).map((h) => h.slot));
    const free = Array.from({ length: SLOTS }, (_, i) => i).filter((slot) => !taken.has(slot));
    const slot = free[0] ?? 0;
    const kind = random.next();
    const mode = random.pick(MODES);
    if (kind < 0.42) return { op: 'open', slot, name, flags: 0, mode };
    if (kind < 0.45) return { op: 'open', slot, name, flags: OpenFlag.CREAT, mode };
    if (kind < 0.46) return { op: 'open', slot, name, flags: OpenFlag.TRUNC, mode };
    return { op: 'open', slot, name, flags: random.pick(WRITE_FLAGS), mode };
  }
}

/** At the end: everything is closed, and then every client reads every file. */
export function* epilogue(reference: Reference): Operations {
  for (const { client, slot } of [...reference.handles]) {
    yield { client, action: { op: 'close', slot } };
  }
  for (let client = 0; client < CLIENTS; client++) {
    yield { client, action: { op: 'readdir' } };
    for (const [database, { files, snapshots }] of reference.databases) {
      const names: Name[] = [...files.keys()].map((suffix) => ({ database, suffix }));
      for (const [ref, version] of snapshots) {
        for (const suffix of version.keys()) names.push({ database, suffix, ref });
      }
      names.sort((a, b) => a.suffix.length - b.suffix.length); // the database before its files
      for (const name of names) yield* readAll(client, name);
    }
  }
}

type Operations = Iterable<Operation>;

function* readAll(client: number, name: Name): Operations {
  yield { client, action: { op: 'stat', name } };
  yield { client, action: { op: 'open', slot: 0, name, flags: 0, mode: 0 } };
  yield { client, action: { op: 'read', slot: 0, length: 3_000_000, at: 0 } };
  yield { client, action: { op: 'close', slot: 0 } };
}
