/**
 * A week of one-second commits through the real engine, every one of them published, with garbage
 * collection by the default policy every hour: disk and object store in memory, metadata in SQLite,
 * a clock that is told what time it is. Looks at the stack after every commit, and now and then at
 * all of it from another host: what has to be opened, what has to be read, and whether the bytes
 * are right.
 */
import { join } from 'node:path';
import { type Engine, openEngine } from '../../fs/engine.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import { MIN_AGE_MS, UNDROP_WITHIN_MS } from '../../fs/gc/report.js';
import type { MetadataWithRetention } from '../../metadata/retention/port.js';
import { openSqliteStore } from '../../metadata/sqlite/open.js';
import type { LayerRecord, SnapshotRecord } from '../../metadata/store.js';
import { silentLogger, systemRandom } from '../../proto/ports.js';
import { ManualClock } from '../fs/manualClock.js';
import { removeTempDir } from '../harness/leakCheck.js';
import { seededRandom } from '../harness/seeds.js';
import { makeTempDir } from '../harness/testRun.js';
import { MemoryDisk } from '../layers/memoryDisk.js';
import { readWhole } from './fuzzWorld.js';
import type { TortureHarness, TortureOptions, TortureResult } from './harness.js';
import { WeekObjects } from './weekObjects.js';
import { type Kept, keptOf, POLICIES } from './weekRetention.js';
import { WeekWriter } from './weekWriter.js';

const WEEK_COMMITS = 604_800;
const SHORT_COMMITS = 3_000;
const SHORT_MS = 1_000;
const MINUTE_COMMITS = 60;
const HOUR_COMMITS = 3600;
/** Looks from another host, over the run. */
const LOOKS = 8;

/** fs/database/publisher.ts */
const MAX_DEPTH = 16;
/** Bytes under the head ÷ live bytes: what is overwritten waits for a merge that is worth it. */
const MAX_SPACE = 2.5;
/** Bytes fetched for all live bytes once ÷ live bytes: frames are fetched whole. */
const MAX_READ = 3;
/** Bytes put into the object store ÷ bytes committed, after the first load. */
const MAX_WRITE = 16;

interface Highest {
  depth: number;
  space: number;
  read: number;
  opens: number;
  openMs: number;
  stored: number;
  gcMs: number;
}

interface Week {
  readonly metadata: MetadataWithRetention;
  readonly engine: Engine;
  readonly objects: WeekObjects;
  readonly clock: ManualClock;
  readonly entry: EngineDatabase;
  readonly writer: WeekWriter;
  readonly failures: string[];
  readonly highest: Highest;
}

const openOn = (
  disk: MemoryDisk,
  objects: WeekObjects,
  metadata: MetadataWithRetention,
  clock: ManualClock,
): Promise<Engine> =>
  openEngine({
    dataDir: '/data',
    disk,
    objects,
    metadata,
    retention: metadata.retention,
    clock,
    random: systemRandom,
    logger: silentLogger,
    publishIntervalMs: 1000,
    writerWaitMs: 0,
    readOnly: false,
  });

const sizeOf = (stack: readonly LayerRecord[]): number =>
  stack.reduce((sum, { objectBytes }) => sum + objectBytes, 0);

/** One second: a commit, its publication, and a merge when the stack is deep. */
async function second(week: Week): Promise<SnapshotRecord> {
  const { writer, entry, clock, highest, failures } = week;
  await writer.commit();
  clock.advance(1000);
  const snapshot = await entry.publisher.publish('interval');
  const { depth } = entry.publisher;
  highest.depth = Math.max(highest.depth, depth);
  if (depth > MAX_DEPTH) failures.push(`${depth} layers at sequence ${snapshot?.sequence}`);
  return snapshot!;
}

/** What the head consists of. */
async function minute(week: Week, snapshot: SnapshotRecord): Promise<void> {
  const { metadata, writer, highest, failures } = week;
  const stack = await metadata.stackOf(snapshot.id);
  const space = sizeOf(stack) / writer.liveBytes;
  highest.space = Math.max(highest.space, space);
  if (space > MAX_SPACE) {
    const layers = stack.map(({ objectBytes }) => objectBytes).join(' ');
    failures.push(`${space.toFixed(2)} × live at sequence ${snapshot.sequence}: ${layers}`);
  }
}

/** As it happens by itself, with the default policy and the default minimum age. */
async function hour({ engine, objects, writer, highest }: Week): Promise<void> {
  const started = performance.now();
  const options = { undropWithinMs: UNDROP_WITHIN_MS, minAgeMs: MIN_AGE_MS, dryRun: false };
  await engine.commands.collect({ ...options, database: undefined });
  highest.gcMs = Math.max(highest.gcMs, performance.now() - started);
  highest.stored = Math.max(highest.stored, objects.stored.bytes / writer.liveBytes);
}

/** Another host, with nothing on its disk, opens the database and reads all of it. */
async function look({ metadata, objects, clock, writer, highest, failures }: Week): Promise<void> {
  const { opens, bytesRead } = objects;
  const started = performance.now();
  const other = await openOn(new MemoryDisk(), objects, metadata, clock);
  try {
    const { database } = other.get('week');
    highest.openMs = Math.max(highest.openMs, performance.now() - started);
    highest.opens = Math.max(highest.opens, objects.opens - opens);
    const contents = writer.contents();
    for (const suffix of new Set([...contents.keys(), ...database.head.files.keys()])) {
      const read = await readWhole(other.get('week'), suffix);
      if (read?.equals(contents.get(suffix) ?? Buffer.alloc(0))) continue;
      failures.push(`${suffix} of version ${database.head.number} has other bytes`);
    }
  } finally {
    await other.closeFiles();
  }
  const read = (objects.bytesRead - bytesRead) / writer.liveBytes;
  highest.read = Math.max(highest.read, read);
  if (read > MAX_READ) failures.push(`${read.toFixed(2)} × live fetched by another host`);
}

async function live(
  week: Week,
  commits: number,
  { budgetMs, log }: TortureOptions,
): Promise<number> {
  const end = performance.now() + budgetMs;
  let done = 0;
  while (done < commits && (performance.now() < end || done < SHORT_COMMITS)) {
    const snapshot = await second(week);
    done++;
    if (done % MINUTE_COMMITS === 0) await minute(week, snapshot);
    if (done % HOUR_COMMITS === 0) await hour(week);
    if (done % Math.ceil(commits / LOOKS) === 0) {
      await minute(week, snapshot);
      await look(week);
      log(`${done} commits: ${JSON.stringify(week.highest)}`);
    }
    if (week.failures.length > 10) break;
  }
  await minute(week, await second(week));
  await look(week);
  return done + 1;
}

const hundredths = (ratio: number): number => Math.round(ratio * 100);

const policyCounts = (
  name: string,
  { snapshots, rows, objects, bytes }: Kept,
  liveBytes: number,
) => ({
  [`${name}: snapshots`]: snapshots,
  [`${name}: stack rows`]: rows,
  [`${name}: objects`]: objects,
  [`${name}: % of live bytes stored`]: hundredths(bytes / liveBytes),
});

async function simulate(
  metadata: MetadataWithRetention,
  clock: ManualClock,
  options: TortureOptions,
): Promise<TortureResult> {
  const disk = new MemoryDisk();
  disk.mortal = false;
  const objects = new WeekObjects(disk);
  const engine = await openOn(disk, objects, metadata, clock);
  const entry = await engine.create('week');
  const writer = new WeekWriter(entry.database, seededRandom(options.seed));
  const none = { depth: 0, space: 0, read: 0, opens: 0, openMs: 0 };
  const highest: Highest = { ...none, stored: 0, gcMs: 0 };
  const failures: string[] = [];
  const week: Week = { metadata, engine, objects, clock, entry, writer, highest, failures };
  await writer.create();
  await entry.publisher.publish('interval');
  const [loadedBytes, loadedObjects, loaded] = [objects.bytes, objects.objects, writer.written];
  const started = performance.now();
  const commits = await live(
    week,
    options.budgetMs < SHORT_MS ? SHORT_COMMITS : WEEK_COMMITS,
    options,
  );
  const amplified = (objects.bytes - loadedBytes) / (writer.written - loaded);
  if (amplified > MAX_WRITE) week.failures.push(`${amplified.toFixed(2)} × the commits were put`);
  const { liveBytes } = writer;
  const counts = {
    commits,
    checkpoints: writer.checkpoints,
    'µs a commit': Math.round(((performance.now() - started) * 1000) / commits),
    'layers at most': highest.depth,
    '% of live bytes under the head at most': hundredths(highest.space),
    '% of live bytes fetched by a cold scan at most': hundredths(highest.read),
    '% of committed bytes put': hundredths(amplified),
    'objects put': objects.objects - loadedObjects,
    '% of live bytes put in all': hundredths(objects.bytes / liveBytes),
    'objects opened by another host at most': highest.opens,
    'ms to open there at most': Math.round(highest.openMs),
    'ms a collection at most': Math.round(highest.gcMs),
    '% of live bytes in the store at most': hundredths(highest.stored),
    'objects in the store': objects.stored.objects,
  };
  const kept: Record<string, number> = {};
  for (const [name, policy] of Object.entries(POLICIES)) {
    const left = await keptOf(metadata, entry.database.id, policy);
    Object.assign(kept, policyCounts(name, left, liveBytes));
  }
  await engine.close();
  return { counts: { ...counts, ...kept }, failures };
}

async function run(options: TortureOptions): Promise<TortureResult> {
  const directory = await makeTempDir();
  const clock = new ManualClock();
  try {
    const metadata = await openSqliteStore(join(directory, 'metadata.db'), clock, silentLogger);
    try {
      const { counts, failures } = await simulate(metadata, clock, options);
      const again = `\nnpm run torture -- --only compaction --seed ${options.seed}`;
      return { counts, failures: failures.map((failure) => failure + again) };
    } finally {
      await metadata.close();
    }
  } finally {
    removeTempDir(directory);
  }
}

export const harness: TortureHarness = {
  name: 'compaction',
  claim:
    'Compaction: up to a week of one-second commits, each published, on a database with the blocks of 1 GB; ' +
    'depth, bytes under the head, bytes of a cold scan and bytes put stay bounded, another host reads the right bytes',
  run,
};
