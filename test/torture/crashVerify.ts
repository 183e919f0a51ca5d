/**
 * Brings up what a crash left and compares it with what the model allows.
 */
import type { EngineDatabase } from '../../fs/engineOptions.js';
import { describeError } from '../../proto/errors.js';
import type { DatabaseId } from '../../proto/ids.js';
import { type SeededRandom, seededRandom } from '../harness/seeds.js';
import type { CrashDisk } from './crashDisk.js';
import { CrashMetadata } from './crashMetadata.js';
import { type MetadataState, snapshotsOf } from './crashMetadataState.js';
import { type Acceptance, difference, type SetState, type WorldAcceptance } from './crashModel.js';
import {
  killWorld,
  makeWorld,
  readHead,
  readSnapshot,
  SimulatedClock,
  type World,
} from './crashWorld.js';

/** Everything that a crash left, and what of it must be there. */
export interface CrashImage {
  readonly disk: CrashDisk;
  readonly metadata: MetadataState;
  readonly acceptance: WorldAcceptance;
  /** Where it was taken. */
  readonly moment: string;
  /** What the clock showed, ms; it goes on from there. */
  readonly time: number;
}

/** What a database came up with. */
export interface Recovered {
  readonly version: number;
  readonly state: SetState;
}

export interface RecoveredWorld {
  readonly world: World;
  readonly databases: ReadonlyMap<DatabaseId, Recovered>;
}

const SNAPSHOTS_READ = 6;

class Disagreement extends Error {}

function fail(text: string): never {
  throw new Disagreement(text);
}

async function checkHead(entry: EngineDatabase, accepted: Acceptance): Promise<Recovered> {
  const { database } = entry;
  const who = `database ${accepted.name}`;
  if (database.damage.length > 0) fail(`${who} reports damage: ${database.damage.join('; ')}`);
  const version = database.head.number;
  if (version < accepted.acknowledged) {
    fail(`${who}: version ${accepted.acknowledged} was acknowledged, the head is ${version}`);
  }
  const candidates = accepted.versions.get(version);
  if (candidates === undefined) fail(`${who}: version ${version} was never made`);
  const state = await readHead(entry);
  const differences = candidates.map((candidate) => difference(candidate, state));
  if (!differences.includes(undefined)) {
    fail(`${who}, version ${version} (of ${candidates.length} possible): ${differences.at(-1)}`);
  }
  return { version, state };
}

/** Every snapshot is one that was made, and every one that was promised is there. */
async function checkSnapshots(
  world: World,
  id: DatabaseId,
  accepted: Acceptance,
  random: SeededRandom,
): Promise<void> {
  const snapshots = snapshotsOf(world.metadata.states()[0]!, id);
  const who = `database ${accepted.name}`;
  for (const [promised, version] of accepted.published) {
    const found = snapshots.find((snapshot) => snapshot.id === promised);
    if (found?.version !== version) fail(`${who}: snapshot of version ${version} is gone`);
  }
  for (const [name, version] of accepted.named) {
    const found = snapshots.find((snapshot) => snapshot.name === name);
    if (found?.version !== version) fail(`${who}: snapshot '${name}' is not version ${version}`);
  }
  const rest = snapshots.slice(2);
  const chosen = snapshots.slice(0, 2);
  while (rest.length > 0 && chosen.length < SNAPSHOTS_READ) {
    chosen.push(...rest.splice(random.int(0, rest.length - 1), 1));
  }
  for (const snapshot of chosen) {
    const what = `${who}, snapshot ${snapshot.sequence} of version ${snapshot.version}`;
    const candidates = accepted.versions.get(snapshot.version);
    if (candidates === undefined) fail(`${what}: that version was never made`);
    const state = await readSnapshot(world, snapshot);
    const differences = candidates.map((candidate) => difference(candidate, state));
    if (!differences.includes(undefined)) fail(`${what}: ${differences.at(-1)}`);
  }
}

/** Every object that a snapshot of any database needs is there, as a whole. */
export async function checkObjects({ metadata, objects }: World): Promise<void> {
  const { stacks, layers } = metadata.states()[0]!;
  for (const id of new Set([...stacks.values()].flat())) {
    const { key, objectBytes } = layers.get(id)!;
    const size = await objects.head(key);
    if (size !== objectBytes) fail(`object ${key} has ${size} bytes instead of ${objectBytes}`);
  }
}

const NEW_DATABASE: Acceptance = {
  name: 'just created',
  acknowledged: 0,
  versions: new Map([[0, [new Map()]]]),
  published: new Map(),
  named: new Map(),
};

function sameNames(
  a: ReadonlyMap<string, DatabaseId>,
  b: ReadonlyMap<string, DatabaseId>,
): boolean {
  return a.size === b.size && [...a].every(([name, id]) => b.get(name) === id);
}

function checkNames(world: World, { names, creating, databases }: WorldAcceptance): void {
  const found = new Map<string, DatabaseId>();
  for (const { database } of world.engine.databases()) found.set(database.name, database.id);
  if (names.some((accepted) => sameNames(accepted, found))) return;
  const made = creating === undefined ? undefined : found.get(creating);
  if (creating !== undefined && made !== undefined && !databases.has(made)) {
    found.delete(creating);
    if (names.some((accepted) => sameNames(accepted, found))) return;
  }
  fail(`databases ${[...found.keys()].join(' ')} are not ${[...names[0]!.keys()].join(' ')}`);
}

export async function compare(world: World, image: CrashImage): Promise<RecoveredWorld> {
  const { acceptance } = image;
  checkNames(world, acceptance);
  const databases = new Map<DatabaseId, Recovered>();
  for (const entry of world.engine.databases()) {
    const accepted = acceptance.databases.get(entry.database.id) ?? NEW_DATABASE;
    databases.set(entry.database.id, await checkHead(entry, accepted));
  }
  const random = seededRandom(databases.size);
  for (const [id, accepted] of acceptance.databases) {
    await checkSnapshots(world, id, accepted, random);
  }
  await checkObjects(world);
  const sentences = await world.metadata.check();
  if (sentences.length > 0) fail(`metadata: ${sentences.join(' ')}`);
  return { world, databases };
}

/** What recovery showed must not change any more. */
function pinned(
  acceptance: WorldAcceptance,
  recovered: ReadonlyMap<DatabaseId, Recovered>,
): WorldAcceptance {
  const databases = new Map(acceptance.databases);
  for (const [id, { version, state }] of recovered) {
    const before = databases.get(id) ?? NEW_DATABASE;
    const versions = new Map([...before.versions].filter(([number]) => number < version));
    databases.set(id, {
      ...before,
      acknowledged: version,
      versions: versions.set(version, [state]),
    });
  }
  return { ...acceptance, databases };
}

export interface VerifyOptions {
  readonly seed: number;
  /** Crashes of recoveries that may follow one another. */
  readonly depth: number;
  /** Counts every image. */
  readonly count: () => void;
}

/**
 * Recovers an image. Throws an Error that says what is wrong. With some chance the recovery itself
 * is crashed as well, at any of its steps, and that is verified first.
 */
export async function verifyImage(
  image: CrashImage,
  { seed, depth, count }: VerifyOptions,
): Promise<RecoveredWorld> {
  count();
  const random = seededRandom(seed);
  let acceptance = image.acceptance;
  let again: CrashImage | undefined;
  const { disk } = image;
  const metadata = new CrashMetadata(image.metadata);
  if (depth > 0 && random.next() < 0.5) {
    let left = random.int(1, 120);
    disk.onStep = (step, path) => {
      left--;
      if (left !== 0) return;
      const moment = `${image.moment}; recovery crashed at ${step} ${path}`;
      const state = random.pick(metadata.states());
      const { time } = image;
      again = {
        disk: disk.crash(seededRandom(seed + 1)),
        metadata: state,
        acceptance,
        moment,
        time,
      };
    };
  }
  try {
    const world = await makeWorld({
      disk,
      metadata,
      seed: seed + 2,
      clock: new SimulatedClock(image.time),
    });
    await world.engine.load();
    const recovered = await compare(world, image);
    acceptance = pinned(acceptance, recovered.databases);
    for (let n = random.int(0, 200); n > 0; n--) await disk.turns();
    disk.onStep = () => {};
    if (again !== undefined) {
      const below = await verifyImage(again, { seed: seed + 3, depth: depth - 1, count });
      killWorld(below.world);
    }
    return recovered;
  } catch (error) {
    if (error instanceof Disagreement) {
      throw new Error(`${error.message} [${image.moment}]`, { cause: error });
    }
    throw error instanceof Error && /\]$/.test(error.message)
      ? error
      : new Error(`recovery failed: ${describeError(error)} [${image.moment}]`, { cause: error });
  }
}
