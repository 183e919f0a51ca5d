/**
 * Cuts the power of a simulated machine at sync boundaries and in between, recovers what is left,
 * and compares it with a model; then goes on with what was recovered, and cuts again.
 */
import { describeError } from '../../proto/errors.js';
import { type SeededRandom, seededRandom } from '../harness/seeds.js';
import { Actions, type Subject } from './crashActions.js';
import { Collections, collectRecovered } from './crashCollect.js';
import { CrashDisk } from './crashDisk.js';
import { CrashMetadata } from './crashMetadata.js';
import { snapshotsOf } from './crashMetadataState.js';
import { DatabaseModel, WorldModel } from './crashModel.js';
import { type CrashImage, type RecoveredWorld, verifyImage } from './crashVerify.js';
import { crashedMetadata, killWorld, makeWorld, type World } from './crashWorld.js';
import type { TortureHarness, TortureOptions, TortureResult } from './harness.js';

const GENERATIONS = 4;
const NAMES = ['ant', 'bee', 'cat'] as const;
/** Chance of an image at a step of the disk. */
const IMAGE_CHANCE: Readonly<Record<string, number>> = {
  synced: 0.06,
  dataSync: 0.1,
  truncate: 0.3, // a segment that was left behind is synced
  link: 0.03,
  remove: 0.05,
  open: 0.02,
};
const OTHERWISE = 0.003;
const MOST_WAITING = 2;

class Case {
  readonly #random: SeededRandom;
  readonly #images: SeededRandom;
  readonly #model = new WorldModel();
  readonly counts = { crashes: 0, actions: 0, generations: 0, collections: 0 };
  #world!: World;
  #actions!: Actions;
  #collections!: Collections;
  #waiting: CrashImage[] = [];
  /** The image that the next generation goes on with. */
  #last: CrashImage | undefined;
  #crashIn = 0;
  #moment = '';
  #stop!: () => void;
  #stopped!: Promise<void>;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#images = seededRandom(seed ^ 0x5bd1e995);
  }

  async run(): Promise<void> {
    const disk = new CrashDisk(seededRandom(this.#random.int(1, 2 ** 30)));
    const metadata = new CrashMetadata();
    const seed = this.#random.int(1, 2 ** 30);
    this.#world = await makeWorld({ disk, metadata, seed });
    await this.#world.engine.load();
    for (let generation = 1; generation <= GENERATIONS; generation++) {
      await this.#generation(generation);
      this.counts.generations++;
    }
    killWorld(this.#world);
  }

  async #generation(generation: number): Promise<void> {
    this.#actions = new Actions(this.#world, this.#model, this.#random);
    this.#collections = new Collections(this.#world, this.#model, this.#random);
    this.#stopped = new Promise((resolve) => {
      this.#stop = resolve;
    });
    this.#last = undefined;
    this.#crashIn = this.#random.int(200, 4000);
    this.#world.disk.onStep = (step, path) => this.#step(step, path);
    await this.#orStopped(this.#begin());
    const steps = this.#random.int(15, 50);
    for (let step = 1; step <= steps && this.#last === undefined; step++) {
      this.#moment = `generation ${generation}, step ${step}`;
      await this.#orStopped(this.#act());
      this.counts.actions++;
      await this.#verifyWaiting();
    }
    if (this.#last === undefined && this.#random.next() < 0.2) await this.#closeCleanly();
    if (this.#last === undefined) this.#crash('the end');
    await this.#goOn(await this.#verify(this.#last!));
  }

  async #begin(): Promise<void> {
    for (const { database } of this.#world.engine.databases()) await database.prepareForWriting();
    for (const name of NAMES) {
      if (!this.#model.names.has(name) && this.#random.next() < 0.7) {
        await this.#actions.create(name);
      }
    }
    if (this.#model.names.size === 0) await this.#actions.create('ant');
  }

  /** Failures of what runs when the machine stops mean nothing. */
  async #orStopped(work: Promise<void>): Promise<void> {
    await Promise.race([this.#stopped, work]).catch((error: unknown) => {
      if (this.#last === undefined) throw error;
    });
  }

  #step(step: string, path: string): void {
    this.#crashIn--;
    if (this.#crashIn <= 0) {
      this.#crash(`${step} ${path}`);
      return;
    }
    const chance = IMAGE_CHANCE[step] ?? OTHERWISE;
    if (this.#images.next() >= chance || this.#waiting.length >= MOST_WAITING) return;
    this.#waiting.push(this.#image(`${step} ${path}`));
  }

  #image(what: string): CrashImage {
    const { disk, metadata } = this.#world;
    return {
      disk: disk.crash(seededRandom(this.#images.int(1, 2 ** 30))),
      metadata: crashedMetadata(metadata, this.#images),
      acceptance: this.#model.acceptance((id) => snapshotsOf(metadata.states()[0]!, id)),
      moment: `${this.#moment}, at ${what}`,
      time: this.#world.clock.now(),
    };
  }

  #crash(what: string): void {
    this.#last = this.#image(what);
    killWorld(this.#world);
    this.#stop();
  }

  async #verifyWaiting(): Promise<void> {
    for (const image of this.#waiting.splice(0)) {
      const { world } = await this.#verify(image);
      if (this.#images.next() < 0.3) await collectRecovered(world, image);
      killWorld(world);
    }
  }

  #verify(image: CrashImage): Promise<RecoveredWorld> {
    const count = () => {
      this.counts.crashes++;
    };
    return verifyImage(image, { seed: this.#images.int(1, 2 ** 30), depth: 2, count });
  }

  async #closeCleanly(): Promise<void> {
    this.#moment += ', closing';
    await this.#orStopped(
      (async () => {
        await Promise.all(this.#actions.background);
        await this.#world.engine.close();
      })(),
    );
    for (const model of this.#model.databases.values()) {
      if (this.#last === undefined) model.acknowledge(model.head);
    }
    await this.#verifyWaiting();
  }

  async #goOn({ world, databases }: RecoveredWorld): Promise<void> {
    this.#world = world;
    const names = new Map<string, DatabaseModel['id']>();
    for (const { database } of world.engine.databases()) {
      names.set(database.name, database.id);
      const model =
        this.#model.databases.get(database.id) ?? new DatabaseModel(database.id, database.name);
      this.#model.databases.set(database.id, model);
      const { version, state } = databases.get(database.id)!;
      model.name = database.name;
      model.recover(version, state);
    }
    this.#model.names = names;
    this.#model.nextNames = undefined;
    this.#model.creating = undefined;
    new Collections(world, this.#model, this.#random).ended();
    await this.#verifyWaiting();
  }

  /** One step; small ones mostly. */
  async #act(): Promise<void> {
    const { random } = this.#actions;
    const actions = this.#actions;
    if (random.next() < 0.03) return this.#names();
    const subject = actions.subject();
    const { model } = subject;
    if (model.files.size === 0) return actions.createFile(subject);
    const suffix = random.pick([...model.files.keys()]);
    const dice = random.int(1, 100);
    if (dice <= 18) await actions.write(subject, suffix, random.next() < 0.25);
    else if (dice <= 22) actions.truncate(subject, suffix);
    else if (dice <= 45) await actions.commit(subject, suffix);
    else if (dice <= 49) await actions.commitAll(subject);
    else if (dice <= 54) await this.#directory(subject, suffix);
    else if (dice <= 62) await actions.publish(subject);
    else if (dice <= 67) await actions.takeSnapshot(subject);
    else if (dice <= 71) await subject.entry.database.log.roll();
    else if (dice <= 74) this.#world.clock.advance(random.int(1, 20_000));
    else if (dice <= 78) await actions.check(subject);
    else if (dice <= 80) await this.#collect(subject, suffix);
    else if (dice <= 83) await this.#burst(subject, suffix);
    else await this.#storm(subject, suffix);
  }

  async #names(): Promise<void> {
    await Promise.all(this.#actions.background);
    const actions = this.#actions;
    const name = this.#random.pick(NAMES);
    if (!this.#model.names.has(name)) await actions.create(name);
    else if (this.#random.next() < 0.5) await actions.renameDatabase(name);
    else if (this.#model.names.size > 1) await actions.drop();
  }

  async #directory(subject: Subject, suffix: string): Promise<void> {
    const { model } = subject;
    const { random } = this.#actions;
    if (model.files.size < 3 && random.next() < 0.5) await this.#actions.createFile(subject);
    else if (model.files.size > 1 && random.next() < 0.7) {
      const to = random.pick([...model.files.keys()].filter((other) => other !== suffix));
      await this.#actions.rename(subject, suffix, to);
    } else await this.#actions.unlink(subject, suffix);
  }

  /** Other rules now and then; then garbage collection, beside a writer mostly. */
  async #collect(subject: Subject, suffix: string): Promise<void> {
    const { random } = this.#actions;
    if (random.next() < 0.5) await this.#collections.setPolicy(subject);
    // Orphans are old ones, and so are tombstones of which the objects go.
    if (random.next() < 0.3) this.#world.clock.advance(random.int(1, 100) * 3_600_000);
    const collecting = this.#collections.collect();
    if (random.next() < 0.8) await this.#burst(subject, suffix);
    await collecting;
    this.counts.collections++;
  }

  /** Enough snapshots for a compaction. */
  async #burst(subject: Subject, suffix: string): Promise<void> {
    for (let n = this.#random.int(3, 18); n > 0 && this.#last === undefined; n--) {
      await this.#actions.write(subject, suffix, false);
      await this.#actions.commit(subject, suffix);
      await this.#actions.publish(subject);
    }
  }

  /** Many things at once, one commit among them. */
  async #storm(subject: Subject, suffix: string): Promise<void> {
    const actions = this.#actions;
    const { random } = actions;
    const others = [...subject.model.files.keys()];
    const { log } = subject.entry.database;
    let commits = 0;
    const choices = [
      () => actions.write(subject, suffix, true),
      () => actions.write(subject, random.pick(others), random.next() < 0.5),
      () => actions.write(subject, suffix, false),
      () => log.roll(),
      () => actions.publish(subject),
      () => (commits++ === 0 ? actions.commit(subject, suffix) : undefined),
    ];
    const running: (Promise<unknown> | undefined)[] = [];
    const start = (work: Promise<unknown> | undefined): void => {
      work?.catch(() => {}); // waited for below
      running.push(work);
    };
    if (random.next() < 0.3) {
      // Is the segment of a write that takes long still known when it is done?
      start(actions.write(subject, suffix, true));
      start(log.roll());
      for (let n = 6; n > 0; n--) await this.#world.disk.turns();
    }
    for (let n = random.int(3, 8); n > 0; n--) {
      const busy = Math.max(...[...subject.model.files.values()].map((file) => file.busyTo));
      const choice = busy > 0 ? random.pick(choices.slice(2)) : random.pick(choices);
      start(choice());
      if (random.next() < 0.6) await this.#world.disk.turns();
    }
    await Promise.all(running);
  }
}

function describe(seed: number, error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? '').split('\n').slice(1, 4).join(' ') : '';
  return (
    `crash, seed ${seed}: ${describeError(error)}. Repeat: ` +
    `OPENDUCK_TEST_SEED=${seed} node --test dist/test/torture/crash.test.js (${stack.trim()})`
  );
}

async function run({ seed, budgetMs, log }: TortureOptions): Promise<TortureResult> {
  const totals = { cases: 0, crashes: 0, actions: 0, generations: 0, collections: 0 };
  const failures: string[] = [];
  const end = Date.now() + budgetMs;
  for (let next = seed; Date.now() < end && failures.length < 5; next++) {
    const one = new Case(next);
    try {
      await one.run();
    } catch (error) {
      failures.push(describe(next, error));
    }
    totals.cases++;
    totals.crashes += one.counts.crashes;
    totals.actions += one.counts.actions;
    totals.generations += one.counts.generations;
    totals.collections += one.counts.collections;
    if (totals.cases % 50 === 0) log(`crash: ${totals.cases} cases, ${totals.crashes} crashes`);
  }
  return { counts: totals, failures };
}

export const harness: TortureHarness = {
  name: 'crash',
  claim:
    'G4, G5, G6, G7: a simulated disk loses, tears and reorders what is not synced, at sync ' +
    'boundaries and in between; every database must come back as its last acknowledged commit or ' +
    'a later one, every snapshot that retention keeps byte for byte, with every object that one ' +
    'needs, and without a report of damage.',
  run,
};
