/** History on another host (real Postgres, real S3 server): what it lists, opens, and tells. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import type { ListedDatabase } from '../../daemon/storage.js';
import { Cluster, clusterMissing } from '../harness/cluster.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { succeeded } from '../harness/proc.js';
import { acceptance } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';

const skip = await clusterMissing();
const LIMIT_MS = 30_000;

async function statusOf(mount: MountFixture): Promise<ListedDatabase | undefined> {
  return (await mount.status()).databases[0] as ListedDatabase | undefined;
}

acceptance('history is the same on every host', { seconds: 120, skip }, async (scene) => {
  const cluster = await Cluster.start(scene);
  const [a, b] = [await cluster.host(), await cluster.host()];
  const writer = scene.duckdb();
  await writer.open(a.mount.path('x.duckdb'));
  await writer.sql('CREATE TABLE t AS SELECT 1 AS i');
  succeeded(await a.mount.cli(['snapshot', 'x', '--name', 'first']));
  await writer.sql('INSERT INTO t VALUES (2)');
  const end = Date.now() + LIMIT_MS;
  while ((await statusOf(b.mount)) === undefined && Date.now() < end) await sleep(100);
  const seen = await statusOf(b.mount);
  assert.ok(seen !== undefined, 'the other host sees no database');
  assert.ok(seen.leaseHolder?.includes(a.mount.dataDir), `held by ${seen.leaseHolder}`);
  assert.equal(seen.writer, null);
  assert.ok(seen.snapshots! >= 1 && seen.uniqueBytes! > 0);
  const names = await readdir(b.mount.path('.snapshots/x'));
  assert.ok(names.includes('first.duckdb') && names.length >= 2, `${names}`);
  const reader = scene.duckdb();
  await reader.open(b.mount.path('.snapshots/x/first.duckdb'), { readOnly: true });
  assert.equal(await reader.number('SELECT count(*) FROM t'), 1);
  await reader.end();
  await writer.end();
  while ((await statusOf(b.mount))?.leaseHolder !== null && Date.now() < end) await sleep(100);
  assert.equal((await statusOf(b.mount))?.leaseHolder, null, 'the lease was given back');
});
