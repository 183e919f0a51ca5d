/**
 * Garbage collection on Postgres and a real S3 server: what goes is gone from the bucket, what is
 * kept, or read on another host, is there, and a host that never saw the database reads all of it.
 */
import assert from 'node:assert/strict';
import { paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { Cluster, clusterMissing } from '../harness/cluster.js';
import type { DuckdbProcess } from '../harness/duckdbProcess.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { succeeded } from '../harness/proc.js';
import type { S3Server } from '../harness/s3Server.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';

const skip = await clusterMissing();
const FLAGS = ['--publish-interval', '1ms', '--gc-interval', 'off'];
const ROUNDS = 24;
const KEPT = 3;
/** The round whose snapshot another host reads, and the one whose snapshot has a name. */
const READ_ROUND = 6;
const NAMED_ROUND = 10;
/** Hosts say every half minute what they read. */
const PINNED_WITHIN_MS = 90_000;

const sumTo = (n: number): number => (n * (n + 1)) / 2;

interface Listed {
  readonly id: string;
}

interface Collected {
  readonly databases: readonly { readonly snapshots: readonly string[] }[];
  readonly deleted: { readonly objects: readonly { readonly key: string }[] };
  readonly held: number;
}

async function json<T>(mount: MountFixture, ...words: string[]): Promise<T> {
  return JSON.parse(succeeded(await mount.cli([...words, '--json']))) as T;
}

const listed = async (mount: MountFixture): Promise<string[]> =>
  (await json<{ snapshots: Listed[] }>(mount, 'snapshot', 'list', 'duck')).snapshots.map(
    ({ id }) => id,
  );

/** Keys and bytes of the bucket as any client of S3 sees them. */
function bucket(s3: S3Server): Promise<Map<string, number>> {
  return s3.asRoot(async (client) => {
    const objects = new Map<string, number>();
    for await (const page of paginateListObjectsV2({ client }, { Bucket: s3.bucket })) {
      for (const { Key, Size } of page.Contents ?? []) objects.set(Key!, Size!);
    }
    return objects;
  });
}

const bytesOf = (objects: ReadonlyMap<string, number>): number =>
  [...objects.values()].reduce((sum, size) => sum + size, 0);

/** Rounds → the snapshot at the end of each. Every round rewrites its blocks. */
async function write(scene: Scene, mount: MountFixture): Promise<string[]> {
  const writer = scene.duckdb();
  await writer.open(mount.path('duck.duckdb'));
  await writer.sql('CREATE TABLE t (i BIGINT, filler VARCHAR)');
  const snapshots: string[] = [];
  for (let i = 1; i <= ROUNDS; i++) {
    await writer.sql(`INSERT INTO t VALUES (${i}, repeat('x', 200000))`);
    await writer.sql(`UPDATE t SET filler = repeat('${i % 10}', 200000)`);
    await writer.sql('CHECKPOINT');
    snapshots.push((await json<{ snapshot: Listed }>(mount, 'snapshot', 'duck')).snapshot.id);
    if (i !== NAMED_ROUND) continue;
    succeeded(await mount.cli(['snapshot', 'rename', 'duck', snapshots.at(-1)!, 'named']));
  }
  await writer.end();
  return snapshots;
}

async function requireRound(duckdb: DuckdbProcess, round: number): Promise<void> {
  assert.equal(await duckdb.number('SELECT sum(i) FROM t'), sumTo(round));
  const others = `filler <> repeat('${round % 10}', 200000)`;
  assert.equal(await duckdb.number(`SELECT count(*) FROM t WHERE ${others}`), 0);
}

async function readRound(scene: Scene, mount: MountFixture, id: string, round: number) {
  const duckdb = scene.duckdb();
  await duckdb.open(mount.path(`duck@${id}.duckdb`), { readOnly: true });
  await requireRound(duckdb, round);
  return duckdb;
}

/** Until no collection would take the snapshot. */
async function untilPinned(mount: MountFixture, id: string): Promise<void> {
  const deadline = Date.now() + PINNED_WITHIN_MS;
  for (;;) {
    const { databases } = await json<Collected>(mount, 'gc', '--dry-run', '--min-age', '0s');
    if (!databases.some(({ snapshots }) => snapshots.includes(id))) return;
    assert.ok(Date.now() < deadline, 'the other host does not say what it reads');
    await sleep(500);
  }
}

/** Whoever has closed a database is remembered for ten seconds. */
async function collectAll(mount: MountFixture): Promise<Set<string>> {
  const deleted = new Set<string>();
  const deadline = Date.now() + 60_000;
  for (;;) {
    const report = await json<Collected>(mount, 'gc', '--min-age', '0s');
    for (const { key } of report.deleted.objects) deleted.add(key);
    if (report.held === 0 && report.deleted.objects.length === 0) return deleted;
    assert.ok(Date.now() < deadline, `${report.held} layers are still held`);
    await sleep(1000);
  }
}

acceptance('gc on Postgres and S3', { seconds: 300, skip }, async (scene) => {
  const cluster = await Cluster.start(scene);
  const [a, b] = [await cluster.host({ flags: FLAGS }), await cluster.host({ flags: FLAGS })];
  const made = await write(scene, a.mount);
  const before = await bucket(cluster.s3);
  const reader = await readRound(scene, b.mount, made[READ_ROUND - 1]!, READ_ROUND);
  const rules = ['minutely', 'hourly', 'daily', 'within'].flatMap((r) => [`--keep-${r}`, '0']);
  succeeded(await a.mount.cli(['retention', 'duck', '--keep-last', String(KEPT), ...rules]));
  await untilPinned(a.mount, made[READ_ROUND - 1]!);
  const deleted = await collectAll(a.mount);

  const after = await bucket(cluster.s3);
  scene.note(`${before.size} objects, ${bytesOf(before)} bytes → ${after.size}, ${bytesOf(after)}`);
  assert.ok(deleted.size > 0);
  for (const key of deleted) assert.ok(!after.has(`warehouse/${key}`), `${key} is still there`);
  assert.ok(bytesOf(after) < bytesOf(before) * 0.6, `${bytesOf(after)} of ${bytesOf(before)}`);
  const rounds = [READ_ROUND, NAMED_ROUND];
  for (let round = ROUNDS - KEPT + 1; round <= ROUNDS; round++) rounds.push(round);
  const expected = rounds.map((round) => made[round - 1]!);
  const left = await listed(a.mount);
  // The last close may have published once more.
  assert.ok(left.length <= expected.length + 1, `${left.length} snapshots are left`);
  const kept = rounds.filter((round) => left.includes(made[round - 1]!));
  assert.ok(kept.includes(READ_ROUND) && kept.includes(NAMED_ROUND) && kept.includes(ROUNDS));
  await requireRound(reader, READ_ROUND);
  await reader.end();
  await b.mount.stop();

  const fresh = await cluster.host({ flags: FLAGS });
  for (const round of kept) {
    const duckdb = await readRound(scene, fresh.mount, made[round - 1]!, round);
    await duckdb.end();
  }
  const newest = scene.duckdb();
  await newest.open(fresh.mount.path('duck.duckdb'), { readOnly: true });
  await requireRound(newest, ROUNDS);
  await newest.end();
  // Not a deep one: that reads snapshots, which keeps them for a while.
  succeeded(await fresh.mount.cli(['fsck']));

  // Nobody reads the old one any more: then it goes too, and with it what only it needed.
  const deadline = Date.now() + PINNED_WITHIN_MS;
  while ((await listed(fresh.mount)).includes(made[READ_ROUND - 1]!)) {
    assert.ok(Date.now() < deadline, 'it goes when hosts have said that they do not read it');
    await sleep(1000);
    await collectAll(fresh.mount);
  }
  // Or nothing, when a snapshot that is kept has all its layers too.
  assert.ok((await bucket(cluster.s3)).size <= after.size);
  succeeded(await fresh.mount.cli(['fsck', '--deep']));
});
