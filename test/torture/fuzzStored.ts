/** Damaged bytes of what is stored: segments of the log, and layer objects. */

import type { AssembledDatabase, AssemblyPorts } from '../../fs/database/assemble.js';
import { Database } from '../../fs/database/database.js';
import { Generation } from '../../fs/database/generation.js';
import { loadDatabase } from '../../fs/database/load.js';
import { LogDirectories } from '../../fs/database/logDirectory.js';
import { openLayer } from '../../layers/layerReader.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import { SourceTable } from '../../layers/sources.js';
import type { MetadataStore } from '../../metadata/store.js';
import { errorCode } from '../../proto/errors.js';
import { databaseId, versionNumber, wallTime } from '../../proto/ids.js';
import { type Clock, silentLogger, systemClock } from '../../proto/ports.js';
import type { SeededRandom } from '../harness/seeds.js';
import { dataOf, run, storeLayer } from '../layers/layerFixture.js';
import { MemoryDisk } from '../layers/memoryDisk.js';
import {
  ATTRIBUTES,
  commit,
  count,
  damagedBytes,
  type Findings,
  NEVER_MS,
  put,
  readWhole,
} from './fuzzWorld.js';

const ID = databaseId('d0000000-0000-4000-8000-0000000000d1');
const DIRECTORY = `/segments/${ID}`;
const SUFFIXES = ['.duckdb', '.duckdb.wal'];

/** Nothing is published, and nothing tries to by itself. */
const stillClock: Clock = { ...systemClock, after: () => () => {} };
const noMetadata = new Proxy({} as MetadataStore, {
  get: (_, name) =>
    name === 'shared'
      ? false
      : () => Promise.reject(new Error(`metadata.${String(name)} is not expected`)),
});

async function portsOn(disk: MemoryDisk, random: SeededRandom): Promise<AssemblyPorts> {
  return {
    disk,
    clock: stillClock,
    random,
    logger: silentLogger,
    metadata: noMetadata,
    objects: await openLocalObjectStore(disk, '/objects'),
    directories: new LogDirectories(disk, '/segments'),
    stagingDirectory: '/staging',
    holder: 'fuzz',
    leaseTtlMs: NEVER_MS,
    writerWaitMs: 0,
    publishIntervalMs: NEVER_MS,
    isQuiet: () => true,
    onLost: () => {},
  };
}

const load = (ports: AssemblyPorts): Promise<AssembledDatabase> => {
  const record = { id: ID, name: 'duck', head: undefined, createdAt: wallTime(1) };
  return loadDatabase({ ...record, droppedAt: undefined, branchedFrom: undefined }, ports);
};

interface Log {
  /** By path. */
  readonly segments: ReadonlyMap<string, Buffer>;
  /** All states that were published, the newest one last; texts of `stateOf`. */
  readonly states: readonly string[];
  /** Bytes that each place of each file has held. */
  readonly versions: readonly ReadonlyMap<string, Buffer>[];
}

const textOf = (files: ReadonlyMap<string, Buffer>): string =>
  [...files].map(([suffix, bytes]) => `${suffix} ${bytes.toString('latin1')}`).join('\n');

async function create(database: Database, suffix: string): Promise<void> {
  await database.prepareForWriting();
  await database.create(suffix, ATTRIBUTES);
}

function newDatabase(ports: AssemblyPorts): Database {
  return new Database(
    {
      id: ID,
      name: 'duck',
      directory: DIRECTORY,
      sources: new SourceTable(),
      generation: new Generation([]),
      files: [],
      version: versionNumber(0),
      committedAt: wallTime(1),
      nextFileId: 1,
      nextSegment: 1,
    },
    ports,
  );
}

/** A log of some commits of two files in one to three segments, with everything acknowledged. */
async function writeLog(random: SeededRandom): Promise<Log> {
  const disk = new MemoryDisk();
  const database = newDatabase(await portsOn(disk, random));
  const versions: Map<string, Buffer>[] = [new Map()];
  const note = async (): Promise<void> => {
    const files = new Map<string, Buffer>();
    for (const suffix of SUFFIXES) {
      const bytes = await readWhole({ database }, suffix);
      if (bytes !== undefined) files.set(suffix, bytes);
    }
    versions.push(files);
  };
  const commits = random.int(2, 8);
  for (let i = 0; i < commits; i++) {
    const suffix = i === 0 ? '.duckdb' : random.pick(SUFFIXES);
    if (!database.files.has(suffix)) await create(database, suffix);
    await note();
    for (let writes = random.int(1, 4); writes > 0; writes--) {
      await put({ database }, suffix, random.int(0, 3000), random.bytes(random.int(1, 900)));
    }
    const file = database.files.get(suffix)!;
    if (random.int(0, 3) === 0) database.truncate(file, random.int(0, file.size));
    await commit({ database }, suffix);
    await note();
    if (random.int(0, 4) === 0) await database.log.roll();
  }
  await database.log.settled();
  const segments = new Map<string, Buffer>();
  for (const name of await disk.list(DIRECTORY)) {
    segments.set(`${DIRECTORY}/${name}`, disk.peek(`${DIRECTORY}/${name}`)!);
  }
  await database.close();
  return { segments, states: versions.map(textOf), versions };
}

/** What readers get of a loaded database: its files, or that they cannot be read. */
async function readAll(loaded: AssembledDatabase): Promise<Map<string, Buffer> | string> {
  const files = new Map<string, Buffer>();
  for (const suffix of SUFFIXES) {
    try {
      const bytes = await readWhole(loaded, suffix);
      if (bytes !== undefined) files.set(suffix, bytes);
    } catch (error) {
      return errorCode(error);
    }
  }
  return files;
}

async function damageSegment(log: Log, random: SeededRandom, findings: Findings): Promise<void> {
  const disk = new MemoryDisk();
  const paths = [...log.segments.keys()];
  const path = random.pick(paths);
  const other = log.segments.get(random.pick(paths))!;
  const { damage, bytes } = damagedBytes(log.segments.get(path)!, other, random);
  for (const [each, whole] of log.segments) disk.poke(each, each === path ? bytes : whole);
  const fail = (what: string): void => {
    findings.failures.push(`segment, ${damage} in ${path} of ${paths.length}: ${what}`);
  };
  let loaded: AssembledDatabase;
  try {
    loaded = await load(await portsOn(disk, random));
  } catch (error) {
    fail(`loadDatabase threw ${errorCode(error)} ${(error as Error).stack}`);
    return;
  }
  const { database } = loaded;
  const told = database.damage.length > 0;
  const read = await readAll(loaded);
  count(findings, told ? 'segments: damage told' : 'segments: right bytes');
  if (typeof read === 'string') {
    if (!told) fail(`no damage told, but reading says ${read}`);
    if (read !== 'CORRUPT') fail(`reading says ${read}`);
  } else {
    const state = log.states.lastIndexOf(textOf(read));
    const last = state === log.states.length - 1;
    if (!told && state < 0) fail('a state that never was, and no damage told');
    if (!told && !last && damage === 'flip') fail(`state ${state} only, and no damage told`);
    if (told && state < 0) count(findings, 'segments: told, and a mixture is readable');
  }
  if (told) {
    const refused = await database.prepareForWriting().then(() => 'accepted', errorCode);
    if (refused !== 'CORRUPT') fail(`damaged, but a writer is ${refused}`);
  }
  await database.close();
}

/** One log, damaged `times` times. */
export async function fuzzSegments(
  random: SeededRandom,
  times: number,
  findings: Findings,
): Promise<void> {
  const log = await writeLog(random);
  for (let i = 0; i < times; i++) {
    await damageSegment(log, random, findings);
    count(findings, 'segments');
  }
}

const REFUSALS: readonly string[] = ['CORRUPT', 'UNSUPPORTED'];

async function examineLayer(bytes: Buffer, right: Buffer): Promise<string> {
  const disk = new MemoryDisk();
  disk.poke('/objects/layer', bytes);
  disk.cached = false;
  const store = await openLocalObjectStore(disk, '/objects');
  try {
    const layer = await openLayer(store, 'layer');
    try {
      const read = Buffer.alloc(layer.dataBytes);
      await layer.read(read, 0, read.length, 0);
      return read.equals(right) ? 'right bytes' : 'wrong bytes';
    } finally {
      await layer.close();
    }
  } catch (error) {
    return errorCode(error);
  }
}

/** One layer object, damaged `times` times. */
export async function fuzzLayers(
  random: SeededRandom,
  times: number,
  findings: Findings,
): Promise<void> {
  const disk = new MemoryDisk();
  const runs = Array.from({ length: random.int(1, 6) }, (_, i) =>
    run(random.int(1, 2), i * 200_000, random.pick([1, 40, 700, 5000, 150_000])),
  ).sort((a, b) => a.file - b.file || a.offset - b.offset);
  await storeLayer(disk, '/fuzz', runs);
  const whole = disk.peek('/fuzz/objects/db/layer')!;
  const right = dataOf(runs);
  for (let i = 0; i < times; i++) {
    const { damage, bytes } = damagedBytes(whole, whole, random);
    const answer = await examineLayer(bytes, right);
    count(findings, 'layers');
    count(findings, `layers: ${answer}`);
    if (answer === 'right bytes' || REFUSALS.includes(answer)) continue;
    findings.failures.push(`layer of ${whole.length} bytes, ${damage}: ${answer}`);
  }
}
