/**
 * What the faults harness does while something fails: a list of steps, each of which can be
 * repeated after it failed, with what every database must hold before and after it.
 */
import type { EngineDatabase } from '../../fs/engineOptions.js';
import { RECORD_HEADER_BYTES } from '../../layers/segmentFormat.js';
import { wallTime } from '../../proto/ids.js';
import { seededRandom } from '../harness/seeds.js';
import type { SetState } from './crashModel.js';
import type { World } from './crashWorld.js';

/** What every database holds, by name. */
export type Holdings = ReadonlyMap<string, SetState>;

export interface Step {
  readonly name: string;
  /** May run again after it failed anywhere. */
  readonly run: (world: World) => Promise<void>;
  /** States between the one before the step and `after`. */
  readonly between: readonly Holdings[];
  readonly after: Holdings;
  /** What the step shows to readers is durable. */
  readonly durable?: boolean;
  /** The machine loses power first, and comes up again in `run`. */
  readonly powerCut?: boolean;
  /** A database is loaded: what cannot be read then needs another mount. */
  readonly loads?: boolean;
}

const ATTRIBUTES = { mode: 0o644, uid: 0, gid: 0, modified: wallTime(1) };

/** Deterministic bytes. */
export const bytesOf = (seed: number, length: number): Buffer => seededRandom(seed).bytes(length);

export async function writeFile(
  { database }: EngineDatabase,
  suffix: string,
  offset: number,
  bytes: Buffer,
): Promise<void> {
  await database.prepareForWriting();
  const file = database.files.get(suffix) ?? (await database.create(suffix, ATTRIBUTES));
  const buffer = Buffer.concat([Buffer.alloc(RECORD_HEADER_BYTES), bytes]);
  await database.write(file, offset, buffer, RECORD_HEADER_BYTES, bytes.length);
}

export async function commitFile({ database }: EngineDatabase, suffix: string): Promise<void> {
  await database.commit(database.files.get(suffix)!);
}

function overwritten(before: Buffer | undefined, offset: number, bytes: Buffer): Buffer {
  const after = Buffer.alloc(Math.max(before?.length ?? 0, offset + bytes.length));
  before?.copy(after);
  bytes.copy(after, offset);
  return after;
}

/** Builds the list; the holdings follow from what the steps do. */
class Script {
  readonly steps: Step[] = [];
  #now: Holdings;
  /** Of named snapshots, by `DATABASE@NAME`. */
  readonly #named = new Map<string, SetState>();
  readonly #dropped = new Map<string, SetState>();

  constructor(start: Holdings) {
    this.#now = start;
  }

  #files(name: string): Map<string, Buffer> {
    return new Map(this.#now.get(name) ?? []);
  }

  #with(name: string, files: SetState): Holdings {
    return new Map(this.#now).set(name, files);
  }

  step(name: string, run: Step['run'], after = this.#now, between: Holdings[] = []): void {
    this.steps.push({ name, run, after, between });
    this.#now = after;
  }

  powerCut(): void {
    const run = (world: World) => world.engine.load();
    this.steps.push({ name: 'recovery', run, after: this.#now, between: [], powerCut: true });
  }

  write(name: string, suffix: string, offset: number, length: number): void {
    const bytes = bytesOf(this.steps.length, length);
    const files = this.#files(name);
    const created = new Map(files);
    if (!files.has(suffix)) created.set(suffix, Buffer.alloc(0));
    const after = new Map(files).set(suffix, overwritten(files.get(suffix), offset, bytes));
    const run = async ({ engine }: World) => {
      const entry = await engine.findOrCreate(name);
      await writeFile(entry, suffix, offset, bytes);
      await commitFile(entry, suffix);
    };
    const between = [this.#with(name, new Map()), this.#with(name, created)];
    const what = `write ${length} bytes of ${name}${suffix} at ${offset}, commit`;
    if (this.#now.has(name)) between.shift();
    const holdings = this.#with(name, after);
    this.steps.push({ name: what, run, after: holdings, between, durable: true });
    this.#now = holdings;
  }

  /** As a program that never calls fsync. */
  writeAll(name: string, suffix: string, offset: number, length: number): void {
    const bytes = bytesOf(this.steps.length, length);
    const files = this.#files(name);
    const after = files.set(suffix, overwritten(files.get(suffix), offset, bytes));
    const run = async ({ engine }: World) => {
      const entry = engine.get(name);
      await writeFile(entry, suffix, offset, bytes);
      await entry.database.commitAll();
      await entry.database.sync();
    };
    this.step(
      `write ${length} bytes of ${name}${suffix} at ${offset}`,
      run,
      this.#with(name, after),
    );
  }

  truncate(name: string, suffix: string, size: number): void {
    const files = this.#files(name);
    const after = files.set(suffix, Buffer.from(files.get(suffix)!.subarray(0, size)));
    const run = async ({ engine }: World) => {
      const { database } = engine.get(name);
      await database.prepareForWriting();
      database.truncate(database.files.get(suffix)!, size);
      await database.commitAll();
      await database.sync();
    };
    this.step(`truncate ${name}${suffix} to ${size}`, run, this.#with(name, after));
  }

  rename(name: string, from: string, to: string): void {
    const files = this.#files(name);
    const after = files.set(to, files.get(from)!);
    after.delete(from);
    const run = async ({ engine }: World) => {
      const { database } = engine.get(name);
      const file = database.files.get(from);
      if (file !== undefined) await database.rename(file, to);
      await database.sync();
    };
    this.step(`rename ${name}${from} to ${to}`, run, this.#with(name, after));
  }

  unlink(name: string, suffix: string): void {
    const after = this.#files(name);
    after.delete(suffix);
    const run = async ({ engine }: World) => {
      const { database } = engine.get(name);
      const file = database.files.get(suffix);
      if (file !== undefined) await database.unlink(file);
      await database.sync();
    };
    this.step(`unlink ${name}${suffix}`, run, this.#with(name, after));
  }

  publish(name: string, label?: string): void {
    if (label !== undefined) this.#named.set(`${name}@${label}`, this.#now.get(name)!);
    this.step(`snapshot ${label ?? ''} of ${name}`, async ({ engine }) => {
      await engine.commands.takeSnapshot(name, label);
    });
  }

  roll(name: string): void {
    this.step(`roll the log of ${name}`, async ({ engine }) => {
      const { database } = engine.get(name);
      await database.prepareForWriting();
      await database.log.roll();
    });
  }

  renameDatabase(from: string, to: string): void {
    const after = new Map(this.#now).set(to, this.#now.get(from)!);
    after.delete(from);
    const run = async ({ engine }: World) => {
      const entry = engine.find(from);
      if (entry !== undefined) await engine.rename(entry, to);
    };
    this.step(`rename database ${from} to ${to}`, run, after);
  }

  clone(from: string, label: string | undefined, to: string): void {
    const files = label === undefined ? this.#now.get(from) : this.#named.get(`${from}@${label}`);
    const run = async ({ engine }: World) => {
      if (engine.find(to) === undefined) await engine.commands.clone(from, label, to);
    };
    this.step(`clone ${from}@${label ?? ''} as ${to}`, run, this.#with(to, files!));
  }

  restore(name: string, label: string): void {
    const after = this.#with(name, this.#named.get(`${name}@${label}`)!);
    const run = async ({ engine }: World) => {
      await engine.get(name).publisher.settle();
      await engine.commands.restore(name, label, 0);
    };
    this.step(`restore ${name} to ${label}`, run, after);
  }

  reset(name: string, origin: string): void {
    const after = this.#with(name, this.#named.get(origin)!);
    const run = async ({ engine }: World) => {
      await engine.get(name).publisher.settle();
      await engine.commands.reset(name, 0);
    };
    this.step(`reset ${name}`, run, after);
  }

  undrop(name: string): void {
    const after = this.#with(name, this.#dropped.get(name)!);
    const run = async ({ engine }: World) => {
      if (engine.find(name) === undefined) await engine.commands.undrop(name, undefined, name);
    };
    const what = `undrop ${name}`;
    this.steps.push({ name: what, run, after, between: [], loads: true });
    this.#now = after;
  }

  drop(name: string): void {
    this.#dropped.set(name, this.#now.get(name)!);
    const after = new Map(this.#now);
    after.delete(name);
    const run = async ({ engine }: World) => {
      const entry = engine.find(name);
      if (entry !== undefined) await engine.drop(entry);
    };
    this.step(`drop ${name}`, run, after);
  }
}

/** Clones, restores, drops that are taken back; each with changes before and after. */
function branches(script: Script): void {
  script.undrop('third');
  script.write('third', '.duckdb', 100, 500);
  script.clone('duck', 'second', 'branch');
  script.clone('third', undefined, 'other');
  script.write('branch', '.duckdb', 0, 700);
  script.write('duck', '.duckdb', 200, 700);
  script.restore('duck', 'second');
  script.write('duck', '.duckdb.wal', 300, 100);
  script.powerCut();
  script.reset('branch', 'duck@second');
  script.write('branch', '.duckdb', 900, 100);
  script.publish('branch');
  script.powerCut();
  script.write('other', '.duckdb', 0, 50);
}

/** Everything that the storage does, once; `duck` begins with so many layers that it compacts. */
export function scenario(start: Holdings): readonly Step[] {
  const script = new Script(start);
  script.step('load', (world) => world.engine.load());
  script.write('duck', '.duckdb', 100, 5000);
  script.write('duck', '.duckdb.wal', 0, 70_000);
  script.roll('duck');
  script.write('duck', '.duckdb', 3000, 2000);
  script.publish('duck');
  script.write('duck', '.duckdb.wal.checkpoint', 0, 3000);
  script.rename('duck', '.duckdb.wal.checkpoint', '.duckdb.wal');
  script.write('duck', '.duckdb.wal', 1000, 500);
  script.truncate('duck', '.duckdb', 2500);
  script.powerCut();
  script.write('duck', '.duckdb', 2000, 66_000);
  script.writeAll('duck', '.duckdb', 5000, 4000);
  script.publish('duck', 'second');
  script.unlink('duck', '.duckdb.wal');
  script.write('other', '.duckdb', 0, 1000);
  script.write('third', '.duckdb', 0, 1000);
  script.renameDatabase('other', 'third');
  script.write('third', '.duckdb', 500, 1000);
  script.drop('third');
  script.write('duck', '.duckdb', 0, 100);
  script.powerCut();
  script.write('duck', '.duckdb', 50, 100);
  branches(script);
  return script.steps;
}
