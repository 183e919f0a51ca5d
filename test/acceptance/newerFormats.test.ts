/**
 * An older daemon meets what a newer one has written (a downgrade, or hosts of several versions):
 * it says so and changes nothing, and what it cannot read is there for the newer one. What is newer
 * is made here: the version number in a real file, with the checksum over it.
 */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'libsql';
import { checksum64 } from '../../layers/checksum.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { acceptance, type Scene } from '../harness/scene.js';

const NEWER = 7;

/** `at`: of the version number; `sum`: of the checksum over `from` … `sum`, all in the file. */
async function raiseVersion(path: string, at: number, from: number, sum: number) {
  const good = await readFile(path);
  const bytes = Buffer.from(good);
  const place = (offset: number): number => (offset < 0 ? bytes.length + offset : offset);
  assert.equal(bytes.readUInt32LE(place(at)), 1, `${path} has the version where it is expected`);
  const covered = () => checksum64(bytes.subarray(place(from), place(sum)));
  assert.equal(bytes.readBigUInt64LE(place(sum)), covered());
  bytes.writeUInt32LE(NEWER, place(at));
  bytes.writeBigUInt64LE(covered(), place(sum));
  await writeFile(path, bytes);
  return () => writeFile(path, good);
}

async function filesBelow(dir: string): Promise<string[]> {
  const all = await readdir(dir, { recursive: true, withFileTypes: true });
  return all.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function madeDatabase(scene: Scene, ...flags: string[]): Promise<MountFixture> {
  const mount = await scene.mount({ flags });
  const duckdb = scene.duckdb();
  await duckdb.open(mount.path('duck.duckdb'));
  await duckdb.sql('CREATE TABLE t AS SELECT 42 AS i');
  await duckdb.end();
  return mount;
}

async function assertReadable(scene: Scene, mount: MountFixture): Promise<void> {
  const duckdb = scene.duckdb();
  await duckdb.open(mount.path('duck.duckdb'), { readOnly: true });
  assert.equal(await duckdb.number('SELECT i FROM t'), 42);
  await duckdb.end();
}

async function mountFails(mount: MountFixture): Promise<string> {
  const result = await mount.cli(['mount', mount.mountpoint]);
  assert.equal(result.code, 1, result.stdout);
  return result.stderr;
}

acceptance(
  'a newer schema of the metadata: the mount is refused',
  { seconds: 60 },
  async (scene) => {
    const mount = await madeDatabase(scene);
    await mount.stop();
    const change = (statement: string): void => {
      const metadata = new Database(join(mount.dataDir, 'metadata.db'));
      metadata.exec(statement);
      metadata.close();
    };
    change(`INSERT INTO schema_version (version, name) VALUES (${NEWER}, 'from later')`);
    assert.match(
      await mountFails(mount),
      /schema version 7, .* knows versions up to \d.*\n.*Upgrade/,
    );
    change(`DELETE FROM schema_version WHERE version = ${NEWER}`);
    await mount.start();
    await assertReadable(scene, mount);
  },
);

acceptance(
  'a newer layer: its snapshot cannot be read or built upon, and is there for a newer daemon',
  { seconds: 60 },
  async (scene) => {
    const mount = await madeDatabase(scene);
    await mount.stop();
    const layers = await filesBelow(join(mount.dataDir, 'objects'));
    assert.ok(layers.length > 0);
    const restores: (() => Promise<void>)[] = [];
    for (const layer of layers) restores.push(await raiseVersion(layer, -32, -64, -16));
    await mount.start();
    const { damage } = await mount.database('duck');
    assert.match(damage ?? '', /layer format 7 is not known/);
    const duckdb = scene.duckdb();
    const path = mount.path('duck.duckdb');
    await assert.rejects(duckdb.open(path, { readOnly: true }), /IO Error|Input\/output|No such/);
    await duckdb.kill();
    assert.match(await mount.log(), /layer format 7 is not known/);
    await mount.stop();
    for (const restore of restores) await restore();
    await mount.start();
    assert.ok(!(await mount.database('duck')).damage);
    await assertReadable(scene, mount);
  },
);

acceptance(
  'a newer log with commits that are not published: kept as it is for a newer daemon',
  { seconds: 60 },
  async (scene) => {
    const mount = await madeDatabase(scene, '--publish-interval', '1h');
    await mount.kill9();
    const segments = await filesBelow(join(mount.dataDir, 'segments'));
    const logs = segments.filter((path) => /\d{10}/.test(path));
    assert.ok(logs.length > 0, segments.join());
    const restores: (() => Promise<void>)[] = [];
    for (const log of logs) restores.push(await raiseVersion(log, 8, 0, 56));
    await mount.start();
    const { databases } = await mount.status();
    assert.match(String(databases[0]?.damage), /format version 7/);
    const duckdb = scene.duckdb();
    await assert.rejects(duckdb.open(mount.path('duck.duckdb')));
    await duckdb.kill();
    await mount.stop();
    for (const restore of restores) await restore();
    await mount.start();
    assert.ok(!(await mount.database('duck')).damage);
    await assertReadable(scene, mount);
  },
);
