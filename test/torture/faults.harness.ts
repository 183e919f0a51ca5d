/**
 * Fails the N-th operation of the disk, of the object store and of the metadata in a whole
 * scenario, for every N that there is, in a random order: the short form takes some of them.
 */
import { describeError, errorCode } from '../../proto/errors.js';
import { seededRandom } from '../harness/seeds.js';
import { CrashDisk } from './crashDisk.js';
import { CrashMetadata } from './crashMetadata.js';
import { type MetadataState, snapshotsOf } from './crashMetadataState.js';
import { difference } from './crashModel.js';
import {
  killWorld,
  makeWorld,
  readHead,
  readSnapshot,
  SimulatedClock,
  type World,
} from './crashWorld.js';
import {
  armDisk,
  armMetadata,
  FAULT_KINDS,
  type FaultKind,
  Fuse,
  faultyObjects,
} from './faultsPorts.js';
import {
  bytesOf,
  commitFile,
  type Holdings,
  type Step,
  scenario,
  writeFile,
} from './faultsScenario.js';
import type { TortureHarness, TortureOptions, TortureResult } from './harness.js';

/** One more, and the stack is merged. */
const LAYERS_BEFORE = 16;
const MOST_ATTEMPTS = 4;
/** Snapshots are read this often after the failure; and at the end. */
const MOST_LOOKS = 2;

/** A machine that was shut down properly, to begin every run with. */
interface Base {
  readonly disk: CrashDisk;
  readonly metadata: MetadataState;
  readonly holdings: Holdings;
}

async function makeBase(seed: number): Promise<Base> {
  const disk = new CrashDisk(seededRandom(seed));
  const metadata = new CrashMetadata();
  const world = await makeWorld({ disk, metadata, seed });
  await world.engine.load();
  const entry = await world.engine.findOrCreate('duck');
  for (let n = 0; n < LAYERS_BEFORE; n++) {
    await writeFile(entry, '.duckdb', n * 100, bytesOf(seed + n, 300));
    await commitFile(entry, '.duckdb');
    await world.engine.commands.takeSnapshot('duck', n === 3 ? 'first' : undefined);
  }
  const holdings = new Map([['duck', await readHead(entry)]]);
  await world.engine.close();
  return { disk, metadata: metadata.states()[0]!, holdings };
}

function fail(text: string): never {
  throw new Error(text);
}

/** One pass through the scenario with one failure. */
class Run {
  readonly #seed: number;
  readonly #fuse: Fuse;
  readonly #base: Base;
  #world!: World;
  #clock: SimulatedClock | undefined;
  #now: Holdings;
  /** Contents of snapshots by id, as they were first seen. */
  readonly #snapshots = new Map<string, ReadonlyMap<string, Buffer>>();
  #remounts = 0;
  #looks = 0;
  attempts = 0;

  constructor(base: Base, fuse: Fuse, seed: number) {
    this.#base = base;
    this.#fuse = fuse;
    this.#seed = seed;
    this.#now = base.holdings;
  }

  async run(): Promise<void> {
    const disk = this.#base.disk.crash(seededRandom(this.#seed));
    await this.#start(disk, this.#base.metadata);
    for (const step of scenario(this.#base.holdings)) {
      if (step.powerCut) await this.#powerCut();
      await this.#complete(step);
      this.#now = step.after;
    }
    await this.#finish();
  }

  async #start(disk: CrashDisk, state: MetadataState): Promise<void> {
    disk.mostTurns = 1;
    const metadata = new CrashMetadata(state);
    armDisk({ disk }, this.#fuse);
    armMetadata({ metadata }, this.#fuse);
    const wrapObjects = (store: World['objects']) => faultyObjects(store, this.#fuse);
    const seed = this.#seed + 100 * ++this.#remounts;
    // Time goes on, so that what is dropped later is so by its time too.
    const clock = new SimulatedClock(this.#clock?.now());
    this.#clock = clock;
    const make = () => makeWorld({ disk, metadata, seed, clock, wrapObjects });
    this.#world = await make().catch((error: unknown) => {
      this.#requireExpected(error);
      return make();
    });
  }

  /** What is not synced goes, or a part of it. */
  async #powerCut(): Promise<void> {
    const { disk, metadata } = this.#world;
    const after = disk.crash(seededRandom(this.#seed + this.#remounts));
    killWorld(this.#world);
    await this.#start(after, metadata.states()[0]!);
  }

  async #complete(step: Step): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.attempts++;
      const error = await step.run(this.#world).then(
        () => undefined,
        (e: unknown) => e ?? fail('an empty error'),
      );
      const damaged = this.#damage();
      if (error === undefined && damaged === undefined) break;
      if (this.#fuse.burnt === undefined || attempt === MOST_ATTEMPTS) {
        fail(`${step.name}: ${damaged ?? describeError(error)}`);
      }
      if (error !== undefined) this.#requireExpected(error);
      // A log that failed, or a database that could not be loaded, needs another mount.
      const loading = step.powerCut || step.name === 'load';
      const accepted = [this.#now, ...step.between, step.after];
      if (loading) await this.#powerCut();
      else if (step.loads && damaged !== undefined) await this.#remount(step, accepted);
      else if (this.#logFailed()) await this.#remount(step, accepted);
      else await this.#check(accepted);
    }
    if (this.#logFailed()) await this.#remount(step, [step.after]);
    await this.#check([step.after]);
  }

  /** After a failed sync; publishing what may be lost must not help. */
  async #remount(step: Step, accepted: readonly Holdings[]): Promise<void> {
    this.#fuse.looking = true;
    const entries = [...this.#world.engine.databases()];
    const shown = await this.#holdings().catch(() => undefined);
    for (const { publisher } of entries) await publisher.publish('manual').catch(() => {});
    this.#fuse.looking = false;
    await this.#powerCut();
    await this.#world.engine.load();
    if (this.#damage() !== undefined) fail(`${step.name}: ${this.#damage()}`);
    if (!step.durable || shown === undefined) return this.#check(accepted);
    // What readers saw of it is durable, so that recovery shows it too.
    const seen = accepted.filter((holdings) => differs(holdings, shown) === undefined);
    if (seen.length === 0) fail(`${step.name}: readers saw ${differs(step.after, shown)}`);
    await this.#check(seen.includes(step.after) ? [step.after] : accepted);
  }

  async #holdings(): Promise<Holdings> {
    const found = new Map<string, ReadonlyMap<string, Buffer>>();
    for (const entry of this.#world.engine.databases()) {
      found.set(entry.database.name, await readHead(entry));
    }
    return found;
  }

  #requireExpected(error: unknown): void {
    const { kind, burnt } = this.#fuse;
    const code = errorCode(error);
    const logFailed = /could not be made durable/.test(describeError(error));
    if (burnt !== undefined && (code === kind.code || (code === 'IO' && logFailed))) return;
    fail(`expected ${kind.code}, got ${code}: ${describeError(error)}`);
  }

  #damage(): string | undefined {
    for (const { database } of this.#world.engine.databases()) {
      if (database.damage.length > 0) return `${database.name} is damaged: ${database.damage[0]}`;
    }
    return undefined;
  }

  #logFailed(): boolean {
    const entries = [...this.#world.engine.databases()];
    return entries.some(({ database }) => database.log.failure !== undefined);
  }

  /** Every database holds what one of the states says. */
  async #check(accepted: readonly Holdings[]): Promise<void> {
    const { looking } = this.#fuse;
    this.#fuse.looking = true;
    const found = await this.#holdings();
    const differences = accepted.map((holdings) => differs(holdings, found));
    if (!differences.includes(undefined)) fail(`found ${differences.at(-1)}`);
    if (this.#fuse.burnt !== undefined && this.#looks++ < MOST_LOOKS) await this.#checkSnapshots();
    this.#fuse.looking = looking;
  }

  /** Those that are there stay, byte for byte. */
  async #checkSnapshots(): Promise<void> {
    const state = this.#world.metadata.states()[0]!;
    for (const id of this.#snapshots.keys()) {
      if (![...state.snapshots.keys()].some((known) => known === id))
        fail(`snapshot ${id} is gone`);
    }
    for (const { id: database } of state.databases.values()) {
      // The newest ones: their stacks have every layer that is in use.
      const entries = [...this.#world.engine.databases()];
      const head = entries.find((entry) => entry.database.id === database);
      for (const snapshot of snapshotsOf(state, database).slice(0, 3)) {
        const content = await readSnapshot(this.#world, snapshot);
        const newest = head !== undefined && head.database.head.number === snapshot.version;
        const expected = newest ? await readHead(head) : this.#snapshots.get(snapshot.id);
        const what = difference(expected ?? content, content);
        if (what !== undefined) fail(`snapshot ${snapshot.sequence} is not what it was: ${what}`);
        this.#snapshots.set(snapshot.id, content);
      }
    }
    const sentences = await this.#world.metadata.check();
    if (sentences.length > 0) fail(sentences.join(' '));
  }

  /** The fault is over: everything gets published, and is there after a power cut. */
  async #finish(): Promise<void> {
    this.#fuse.looking = true;
    this.#world.clock.advance(20_000);
    const { engine } = this.#world;
    const { publisher } = engine.get('duck');
    await publisher.publish('manual');
    if (publisher.lagging) fail('the newest version cannot be published any more');
    if (publisher.depth > LAYERS_BEFORE) fail(`${publisher.depth} layers are not merged any more`);
    const newest = await engine.commands.resolveSnapshot('duck', '~0');
    if (newest.id !== publisher.snapshot?.id) fail('the metadata has another head');
    await this.#check([this.#now]);
    this.#looks = 0;
    await engine.close();
    await this.#powerCut();
    await this.#world.engine.load();
    if (this.#damage() !== undefined) fail(`at last ${this.#damage()}`);
    await this.#check([this.#now]);
    killWorld(this.#world);
  }
}

function differs(expected: Holdings, found: Holdings): string | undefined {
  const names = (holdings: Holdings) => [...holdings.keys()].sort().join(' ');
  if (names(expected) !== names(found)) return `${names(found)} instead of ${names(expected)}`;
  for (const [name, state] of expected) {
    const what = difference(state, found.get(name)!);
    if (what !== undefined) return `${name}${what}`;
  }
  return undefined;
}

interface Fault {
  readonly kind: FaultKind;
  /** Which operation of its port fails, from 1. */
  readonly n: number;
}

/** Every operation of a pass without failures, with every way to fail; in any order. */
async function allFaults(base: Base, seed: number): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const kind of FAULT_KINDS) {
    const fuse = new Fuse(kind, Number.POSITIVE_INFINITY);
    await new Run(base, fuse, seed).run();
    for (let n = 1; n <= fuse.asked; n++) faults.push({ kind, n });
  }
  const random = seededRandom(seed);
  for (let i = faults.length - 1; i > 0; i--) {
    const j = random.int(0, i);
    [faults[i], faults[j]] = [faults[j]!, faults[i]!];
  }
  return faults;
}

async function failOnce(base: Base, { kind, n }: Fault, seed: number): Promise<string | undefined> {
  const fuse = new Fuse(kind, n);
  try {
    await new Run(base, fuse, seed).run();
    if (fuse.burnt === undefined) fail('it was not reached');
    return undefined;
  } catch (error) {
    return (
      `faults, seed ${seed}, ${kind.name}, operation ${n} (${fuse.burnt ?? 'none'}): ` +
      `${describeError(error)}. Repeat: OPENDUCK_FAULT='${kind.name}/${n}' ` +
      `OPENDUCK_TEST_SEED=${seed} node --test dist/test/torture/faults.test.js`
    );
  }
}

/** On a machine so slow that the budget ends while the faults are being listed. */
const LEAST_FAULTS = 50;

/** One fault to repeat, from the environment. */
const isWanted = ({ kind, n }: Fault): boolean =>
  (process.env['OPENDUCK_FAULT'] ?? `${kind.name}/${n}`) === `${kind.name}/${n}`;

async function run({ seed, budgetMs, log }: TortureOptions): Promise<TortureResult> {
  const counts = { faults: 0, possible: 0, scenarios: 0, unhandled: 0 };
  const failures: string[] = [];
  const end = Date.now() + budgetMs;
  const unhandled = (reason: unknown): void => {
    counts.unhandled++;
    failures.push(`faults, seed ${seed}: a rejection nobody handles: ${describeError(reason)}`);
  };
  process.on('unhandledRejection', unhandled);
  try {
    // With the next seed, other things are kept and lost at the power cuts.
    for (let next = seed; Date.now() < end && failures.length < 5; next++) {
      const base = await makeBase(next);
      const faults = (await allFaults(base, next)).filter(isWanted);
      counts.possible = faults.length;
      for (const fault of faults) {
        const isOver = Date.now() > end && counts.faults >= LEAST_FAULTS;
        if (isOver || failures.length >= 5) break;
        const failure = await failOnce(base, fault, next);
        if (failure !== undefined) failures.push(failure);
        counts.faults++;
        if (counts.faults % 500 === 0) log(`faults: ${counts.faults}, ${faults.length} in all`);
      }
      counts.scenarios++;
    }
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('unhandledRejection', unhandled);
  }
  return { counts, failures };
}

export const harness: TortureHarness = {
  name: 'faults',
  claim:
    'G4, G5, G7, G8: every operation of disk, object store and metadata fails once, before, in ' +
    'the middle of, or after its effect; the right error comes up, nothing acknowledged is ' +
    'missing, and the work goes on.',
  run,
};
