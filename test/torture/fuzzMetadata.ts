/**
 * Garbage in columns of the metadata. Its text stays UTF-8: libsql 0.5.29 aborts the whole process
 * when it meets any that is not, which no test survives.
 */
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import Libsql from 'libsql/promise';
import { describeError, OpenduckError } from '../../proto/errors.js';
import type { SeededRandom } from '../harness/seeds.js';
import { sleep } from '../harness/testRun.js';
import {
  commit,
  count,
  type Findings,
  type FuzzWorld,
  flipped,
  openWorld,
  put,
  readWhole,
} from './fuzzWorld.js';

const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  database: ['id', 'name', 'head', 'created_at', 'dropped_at'],
  snapshot: [
    'id',
    'database',
    'parent',
    'sequence',
    'version',
    'commit_time',
    'published_at',
    'reason',
    'name',
    'files',
    'epoch',
  ],
  layer: ['id', 'database', 'object_key', 'object_bytes', 'data_bytes', 'index_checksum'],
  snapshot_layer: ['snapshot', 'position', 'layer'],
  writer_lease: ['database', 'holder', 'epoch', 'expires_at'],
  schema_version: ['version', 'name'],
};

/** Two databases, each with snapshots and with commits that only the log has. */
async function template(random: SeededRandom, directory: string): Promise<Map<string, Buffer>> {
  const right = new Map<string, Buffer>();
  await mkdir(directory, { recursive: true });
  const world = await openWorld(directory);
  for (const name of ['one', 'two']) {
    const entry = await world.engine.findOrCreate(name);
    for (let i = 0; i < 3; i++) {
      await put(entry, '.duckdb', i * 5000, random.bytes(9000));
      await commit(entry);
      await world.engine.commands.takeSnapshot(name, i === 1 ? 'label' : undefined);
    }
    right.set(name, (await readWhole(entry))!);
  }
  await world.close();
  return right;
}

/** libsql removes its WAL a little later than close() says. */
async function copyDirectory(from: string, to: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await cp(from, to, { recursive: true });
      return;
    } catch (error) {
      if (tries === 50 || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    await rm(to, { recursive: true, force: true });
    await sleep(20);
  }
}

function garbage(random: SeededRandom): string | number | bigint | null | Buffer {
  return random.pick([
    () => null,
    () => '',
    () => random.int(-5, 5),
    () => 2n ** 62n,
    () => random.next() * 1e300,
    () => '[]',
    () => '[{"name":".duckdb","size":1e9}]',
    () => '[{"name":"../../x","size":-1}]',
    () => '../../../etc/passwd',
    () => random.bytes(random.int(0, 40)).toString('latin1'),
    () => random.bytes(random.int(0, 40)),
    () => 'd0000000-0000-4000-8000-0000000000d1',
    () => '0'.repeat(1000),
  ])();
}

/** Bits of a value that is there; text stays text. */
function mutated(value: unknown, random: SeededRandom): string | number | bigint | null | Buffer {
  if (typeof value === 'string' && value.length > 0) {
    return flipped(Buffer.from(value), random, 1).toString('latin1');
  }
  if (typeof value === 'number') return value + random.pick([-1, 1, 256, 2 ** 31, 2 ** 53]);
  return garbage(random);
}

/** UPDATEs of random columns. Returns what it did. */
async function damageRows(path: string, random: SeededRandom): Promise<string> {
  const database = new Libsql(path, {});
  const did: string[] = [];
  try {
    await database.exec('PRAGMA foreign_keys = OFF');
    await database.exec('PRAGMA ignore_check_constraints = ON');
    for (let i = random.int(1, 3); i > 0; i--) {
      const table = random.pick(Object.keys(COLUMNS));
      const column = random.pick(COLUMNS[table]!);
      const select = await database.prepare(`SELECT rowid AS at, ${column} AS value FROM ${table}`);
      const rows = (await select.all([])) as { at: number; value: unknown }[];
      if (rows.length === 0) continue;
      const { at, value } = random.pick(rows);
      const swap = random.pick(rows).value as string | number;
      const kind = random.int(0, 2);
      const to = kind === 0 ? garbage(random) : kind === 1 ? mutated(value, random) : swap;
      try {
        const update = await database.prepare(`UPDATE ${table} SET ${column} = ? WHERE rowid = ?`);
        await update.run([to, at]);
        did.push(`${table}.${column} = ${JSON.stringify(String(to)).slice(0, 60)}`);
      } catch {
        // UNIQUE or NOT NULL: SQLite itself refuses it.
      }
    }
  } finally {
    database.close();
  }
  return did.join(', ');
}

/** Everything a user could ask, each of which may be refused, but by an error of ours. */
async function exercise(
  world: FuzzWorld,
  right: ReadonlyMap<string, Buffer>,
  attempt: (what: string, work: () => Promise<unknown>) => Promise<void>,
  findings: Findings,
): Promise<void> {
  const { engine } = world;
  await attempt('status', () => engine.commands.status());
  await attempt('check', () => world.metadata.check());
  for (const [name, bytes] of right) {
    const entry = engine.find(name);
    if (entry === undefined) continue;
    await attempt(`read ${name}`, async () => {
      const read = await readWhole(entry);
      const told = entry.database.damage.length > 0;
      const same = read?.equals(bytes) === true;
      count(findings, same ? 'metadata: right bytes' : told ? 'metadata: told' : 'metadata: other');
    });
    await attempt(`list ${name}`, () => engine.commands.listSnapshots(name));
    await attempt(`resolve ${name}`, () => engine.commands.resolveSnapshot(name, '~1'));
    await attempt(`open ${name}@label`, async () => {
      const version = await entry.snapshots.open(await engine.resolve(entry, 'label'));
      await readWhole(entry, '.duckdb', version).finally(() => version.release());
    });
    await attempt(`write ${name}`, async () => {
      await put(entry, '.duckdb', 3, Buffer.from('after'));
      await commit(entry);
    });
    await attempt(`snapshot ${name}`, () => engine.commands.takeSnapshot(name, undefined));
  }
  await attempt('create', () => engine.findOrCreate('new'));
  await attempt('drop', async () => engine.drop(engine.get('two')));
}

/** One data directory, its metadata damaged `times` times. */
export async function fuzzMetadata(
  random: SeededRandom,
  directory: string,
  times: number,
  findings: Findings,
): Promise<void> {
  const whole = join(directory, 'whole');
  const right = await template(random, whole);
  for (let i = 0; i < times; i++) {
    const dataDir = join(directory, 'damaged');
    await copyDirectory(whole, dataDir);
    const path = join(dataDir, 'metadata.db');
    const did = await damageRows(path, random);
    count(findings, 'metadata rows');
    const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
      try {
        await work();
        count(findings, 'metadata: answered');
      } catch (error) {
        count(findings, 'metadata: refused');
        const own = error instanceof OpenduckError && error.code !== 'INTERNAL';
        if (own) return;
        const stack = error instanceof Error ? (error.stack ?? '') : '';
        findings.failures.push(`metadata (${did}), ${what}: ${describeError(error)}\n${stack}`);
      }
    };
    await attempt('open', async () => {
      const world = await openWorld(dataDir);
      try {
        await exercise(world, right, attempt, findings);
      } finally {
        await attempt('close', () => world.close());
      }
    });
    await rm(dataDir, { recursive: true, force: true });
  }
}
