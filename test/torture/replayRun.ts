/**
 * Feeds one recording to an engine, operation by operation, and lets everything happen to it in
 * between that may happen: publishing, relocation, compaction, kills, clean restarts.
 */
import { describeError } from '../../proto/errors.js';
import { type SeededRandom, seededRandom } from '../harness/seeds.js';
import type { ImageLanes } from './replayImages.js';
import { Model, type ModelVersion } from './replayModel.js';
import { type Call, describeOperation, type Operation, type Recording } from './replayRecording.js';
import { Subject } from './replaySubject.js';
import { Witness } from './replayWitness.js';

const MAX_PROBLEMS = 3;
const MAX_KNOWN_VERSIONS = 500;
/** Operations that make a version: those that are killed in the middle. */
const ATOMIC: readonly Operation['op'][] = ['create', 'rename', 'unlink', 'commit', 'commitAll'];

const RARE_FACTOR = 12;
/** As in fs/database/publisher.ts. */
const ROLL_AT_SEAL_BYTES = 4 << 20;

/** How often what happens, per operation. */
interface Rates {
  readonly image: number;
  readonly publish: number;
  readonly kill: number;
  readonly hold: number;
}

const SHORT: Rates = { image: 0.2, publish: 0.03, kill: 0.006, hold: 0.02 };
const LONG: Rates = { image: 1, publish: 0.05, kill: 0.015, hold: 0.03 };

/** A recording of a bulk load has so many operations that each of them gets less. */
function ratesFor(operations: number, thorough: boolean): Rates {
  const { image, publish, kill, hold } = thorough ? LONG : SHORT;
  const most = (rate: number, times: number) =>
    Math.min(rate, (thorough ? 8 : 1) * (times / operations));
  return { image, publish: most(publish, 9), kill: most(kill, 1.5), hold: most(hold, 8) };
}

export interface ReplayOptions {
  readonly recording: Recording;
  readonly seed: number;
  /** After every operation, instead of a sample. */
  readonly thorough: boolean;
  /** Does not exist yet. */
  readonly directory: string;
  readonly lanes: ImageLanes;
  readonly counts: Record<string, number>;
}

/** Enough is known about what is wrong. */
class Enough extends Error {}

interface UnderWay {
  readonly operation: Operation;
  readonly created: number | undefined;
  readonly done: Promise<void>;
}

class Replay {
  readonly problems: string[] = [];
  readonly #options: ReplayOptions;
  readonly #random: SeededRandom;
  readonly #rates: Rates;
  readonly #subject: Subject;
  readonly #witness: Witness;
  readonly #created = new Map<number, number>();
  readonly #underWay = new Map<number, UnderWay>();
  readonly #known = new Map<number, ModelVersion>();
  #model = new Model();
  #publishing: Promise<void> | undefined;
  /** The log holds a rare kind of record, which only a kill before the next seal brings back. */
  #rare = false;
  #acknowledged = -1;
  #begun = -1;
  #place = 'the beginning';

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    const calls = options.recording.entries.filter(({ kind }) => kind === 'call').length;
    this.#rates = ratesFor(calls, options.thorough);
    const random = seededRandom(this.#random.int(0, 2 ** 31));
    const here = () => {
      const place = this.#place;
      return (text: string): void => {
        this.problems.push(`${place}: ${text}`);
      };
    };
    this.#subject = new Subject(options.directory, random, (text) => here()(text));
    this.#witness = new Witness(this.#subject, options.lanes, this.#random, here);
  }

  #count(name: string, by = 1): void {
    const { counts } = this.#options;
    counts[name] = (counts[name] ?? 0) + by;
  }

  #chance(rate: number): boolean {
    return this.#random.next() < rate;
  }

  async run(): Promise<void> {
    try {
      await this.#subject.open();
      await this.#feed();
      await this.#end();
    } catch (error) {
      if (!(error instanceof Enough)) this.problems.push(`${this.#place}: ${describe(error)}`);
      await this.#subject.kill().catch(() => {});
    }
    await this.#witness.finish();
    this.#count('images', this.#witness.images);
    this.#count('comparisons', this.#witness.comparisons);
  }

  async #feed(): Promise<void> {
    const { entries } = this.#options.recording;
    for (const entry of entries) {
      if (entry.kind !== 'done') continue;
      if (entry.failed !== undefined) throw new Error(`it failed when recorded: ${entry.failed}`);
      if (entry.file !== undefined) this.#created.set(entry.n, entry.file);
    }
    for (const entry of entries) {
      if (entry.kind === 'call') await this.#call(entry);
      else if (entry.kind === 'done') await this.#done(entry.n);
      else if (entry.kind === 'begin') this.#begun = Math.max(this.#begun, entry.seq);
      else await this.#mark(entry.seq);
      if (this.problems.length >= MAX_PROBLEMS) throw new Enough();
    }
    await this.#drain();
  }

  async #mark(seq: number): Promise<void> {
    this.#acknowledged = Math.max(this.#acknowledged, seq);
    this.#place = `acknowledgement of sequence ${seq}, after ${this.#place}`;
    if (this.#underWay.size === 0 && this.#chance(this.#rates.image)) await this.#look(false);
  }

  async #call({ n, operation }: Call): Promise<void> {
    this.#count('operations');
    if (this.#conflicts(operation)) await this.#drain();
    if (this.#underWay.size === 0) await this.#happen();
    this.#place = `operation ${n} (${describeOperation(operation)})`;
    const created = this.#created.get(n);
    const atomic = ATOMIC.includes(operation.op);
    if (atomic && this.#underWay.size === 0 && this.#chance(2 * this.#rates.kill)) {
      await this.#killDuring(operation, created);
      return;
    }
    const done = this.#subject.start(operation, created);
    done.catch(() => {}); // reported when it is waited for
    this.#underWay.set(n, { operation, created, done });
  }

  /** What may overlap is what touches different files and makes no difference to each other. */
  #conflicts(operation: Operation): boolean {
    if (this.#underWay.size === 0) return false;
    if (!('file' in operation) || operation.op === 'rename' || operation.op === 'unlink') {
      return true;
    }
    return [...this.#underWay.values()].some(
      ({ operation: other }) => !('file' in other) || other.file === operation.file,
    );
  }

  async #drain(): Promise<void> {
    for (const n of [...this.#underWay.keys()]) await this.#done(n);
  }

  async #done(n: number): Promise<void> {
    const underWay = this.#underWay.get(n);
    if (underWay === undefined) return; // waited for already
    const { operation, created, done } = underWay;
    await done;
    this.#underWay.delete(n);
    this.#rare ||= this.#isRare(operation);
    this.#model.apply(operation, created);
    if (this.#underWay.size > 0) {
      this.#count('overlaps');
      return;
    }
    await this.#witness.glance(this.#model, operation);
    this.#know();
    const boundary = operation.op !== 'write' && operation.op !== 'close';
    const rate = boundary ? this.#rates.image : this.#rates.image / 10;
    if (this.#chance(rate)) await this.#look(this.#chance(0.1));
  }

  /** Names that change, and the commit of a truncate. */
  #isRare(operation: Operation): boolean {
    if (operation.op !== 'commit') return operation.op !== 'write' && operation.op !== 'truncate';
    const pending = this.#model.files.get(operation.file)?.pending ?? [];
    return pending.some(({ op }) => op === 'truncate');
  }

  /** Remembers what the newest version is, for snapshots of it. */
  #know(): void {
    this.#known.set(this.#subject.database.head.number, this.#model.version());
    if (this.#known.size <= MAX_KNOWN_VERSIONS) return;
    const versions = [...this.#known.keys()];
    this.#known.delete(this.#random.pick(versions));
  }

  async #look(afresh: boolean): Promise<void> {
    const bounds = { acknowledged: this.#acknowledged, begun: this.#begun };
    await this.#witness.look(this.#model, bounds, afresh);
  }

  /** Between two operations. */
  async #happen(): Promise<void> {
    if (this.#chance(this.#rates.hold)) this.#witness.hold(this.#model);
    if (this.#publishing === undefined) {
      if (this.#chance(this.#rates.publish * (this.#leavesDirt() ? RARE_FACTOR : 1))) {
        this.#publish();
      }
    } else if (this.#chance(0.3)) {
      await this.#publishing;
      this.#publishing = undefined;
      await this.#look(true);
      await this.#witness.compareLive(this.#model);
      await this.#witness.compareHeld();
    }
    if (this.#chance(this.#rates.kill * (this.#rare ? RARE_FACTOR : 1))) await this.#restart();
  }

  /** A seal now would roll the log away from writes that are not committed yet. */
  #leavesDirt(): boolean {
    const { database, publisher } = this.#subject.entry;
    if (!publisher.lagging || (database.log.active?.end ?? 0) < ROLL_AT_SEAL_BYTES) return false;
    return [...database.files.values()].some((file) => file.dirty);
  }

  /** In the background: the next operations overlap with it. */
  #publish(): void {
    this.#rare = false;
    const { publisher } = this.#subject.entry;
    const before = publisher.depth;
    this.#publishing = publisher.publish('manual').then(
      () => {
        this.#count('publishes');
        if (publisher.depth < before) this.#count('compactions');
      },
      (error) => {
        this.problems.push(`${this.#place}: publishing fails: ${describe(error)}`);
      },
    );
  }

  async #restart(): Promise<void> {
    const before = this.#subject.database.head.number;
    const clean = this.#chance(0.15);
    if (clean) {
      this.#place = `a clean restart after ${this.#place}`;
      await this.#publishing;
      await this.#subject.close();
      this.#count('restarts');
    } else {
      this.#place = `a kill after ${this.#place}`;
      await this.#subject.kill();
      this.#count('kills');
    }
    await this.#recover(this.#model.version());
    const { number } = this.#subject.database.head;
    if (number !== before) this.problems.push(`${this.#place}: version ${before} is now ${number}`);
  }

  /** Opens again, compares, and writes again what was never committed. */
  async #recover(expected: ModelVersion | undefined): Promise<void> {
    this.#publishing = undefined;
    this.#rare = false;
    this.#witness.dropHeld();
    if (expected !== undefined) await this.#subject.open();
    await this.#look(true);
    const lost = this.#model.crash();
    await this.#witness.compareLive(this.#model);
    for (const operation of lost) {
      await this.#subject.start(operation, undefined);
      this.#model.apply(operation);
    }
    await this.#witness.compareLive(this.#model);
  }

  /** Kills while the operation is under way: it has happened, or it has not. */
  async #killDuring(operation: Operation, created: number | undefined): Promise<void> {
    this.#place = `a kill during ${this.#place}`;
    this.#count('kills');
    const after = this.#model.clone();
    after.apply(operation, created);
    const done = this.#subject.start(operation, created);
    done.catch(() => {});
    for (let i = this.#random.int(0, 12); i > 0; i--) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await this.#subject.kill();
    await this.#subject.open();
    if (await this.#witness.matches(after.version())) {
      this.#model = after;
      if (operation.op === 'create') this.#subject.adopt(created!, operation.suffix);
      await this.#recover(undefined);
      return;
    }
    await this.#recover(undefined); // which says when it is not as before either
    await this.#subject.start(operation, created);
    this.#model.apply(operation, created);
  }

  async #end(): Promise<void> {
    this.#place = 'the end of the recording';
    await this.#publishing;
    if (this.#chance(0.5)) await this.#restart();
    await this.#subject.entry.publisher.publish('manual');
    this.#count('publishes');
    await this.#look(true);
    this.#count('snapshots', await this.#witness.compareSnapshots(this.#known));
    await this.#subject.close();
    await this.#subject.open();
    await this.#look(true);
    await this.#subject.close();
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? `${describeError(error)} ${error.stack ?? ''}` : `${error}`;
}

/** One sentence for everything that was not as it must be. */
export async function replay(options: ReplayOptions): Promise<readonly string[]> {
  const run = new Replay(options);
  await run.run();
  return run.problems;
}
