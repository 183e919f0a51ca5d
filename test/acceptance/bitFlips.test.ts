/**
 * A flipped bit in a segment or in a layer object: EIO or the right bytes, never wrong ones
 * (promise G6), and the log and `status` say what is damaged.
 */
import assert from 'node:assert/strict';
import { open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DuckdbError } from '../harness/duckdbProcess.js';
import { LedgerWriter, readLedgerAt } from '../harness/ledger.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { isFuseMounted } from '../harness/mountTable.js';
import { must } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';

/** Half of a segment is bytes that were overwritten since; flipping those does no harm. */
const FLIPS_AT_MOST = 20;
const FLIPS_MET = 3;
const CHUNK = 128 * 1024;

async function filesUnder(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name));
}

async function largestFile(dir: string): Promise<string> {
  const files = await filesUnder(dir);
  const sizes = await Promise.all(files.map(async (path) => (await stat(path)).blocks));
  const largest = sizes.indexOf(Math.max(...sizes));
  return files[largest] ?? assert.fail(`no file under ${dir}`);
}

/** Flips one bit well inside what was written: never in a tail that looks cut off. */
async function flipBit(scene: Scene, path: string): Promise<string> {
  const bytes = await readFile(path);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  const at = scene.random.int(Math.floor(end * 0.1), Math.floor(end * 0.7));
  const flipped = bytes[at]! ^ (1 << scene.random.int(0, 7));
  const file = await open(path, 'r+');
  try {
    await file.write(Buffer.of(flipped), 0, 1, at);
    await file.sync();
  } finally {
    await file.close();
  }
  return `${basename(path)}, byte ${at} of ${end}`;
}

/**
 * Reads the whole file in chunks; every byte is right or EIO. A read may end early, before what is
 * damaged. Returns how many chunks were EIO.
 */
async function compareBytes(path: string, truth: Buffer): Promise<number> {
  let refused = 0;
  const file = await open(path, 'r');
  try {
    const chunk = Buffer.alloc(CHUNK);
    for (let at = 0; at < truth.length; ) {
      const length = Math.min(CHUNK - (at % CHUNK), truth.length - at);
      try {
        const { bytesRead } = await file.read(chunk, 0, length, at);
        assert.ok(bytesRead > 0, `the file ends at ${at} instead of ${truth.length}`);
        const same = chunk.subarray(0, bytesRead).equals(truth.subarray(at, at + bytesRead));
        assert.ok(same, `wrong bytes in ${bytesRead} at ${at} of ${path}`);
        at += bytesRead;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
        refused++;
        at += length;
      }
    }
  } finally {
    await file.close();
  }
  return refused;
}

/** Whether DuckDB and cat saw an error; anything but EIO or the truth fails the test. */
async function damageIsSeen(scene: Scene, mount: MountFixture, truth: Truth): Promise<boolean> {
  const path = mount.path('flipped.duckdb');
  let refused = false;
  const duckdb = scene.duckdb();
  try {
    const state = await readLedgerAt(duckdb, path, scene.random, { thorough: true });
    assert.equal(state.seq, truth.seq, 'an older state was shown instead of an error');
  } catch (error) {
    if (!(error instanceof DuckdbError)) throw error;
    assert.match(error.message, /Input\/output error/, 'neither the truth nor EIO');
    refused = true;
  }
  await duckdb.kill();
  try {
    if ((await compareBytes(path, truth.bytes)) > 0) refused = true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
    refused = true;
  }
  return refused;
}

interface Truth {
  readonly seq: number;
  readonly bytes: Buffer;
}

async function writeTruth(scene: Scene, mount: MountFixture): Promise<Truth> {
  const path = mount.path('flipped.duckdb');
  const duckdb = scene.duckdb();
  const writer = new LedgerWriter(scene.random, { bulkRows: 60_000 });
  await duckdb.open(path);
  await writer.create(duckdb);
  for (const kind of ['bulk', 'small', 'bulk', 'checkpoint', 'small', 'table'] as const) {
    await writer.take(duckdb, kind);
  }
  await duckdb.sql('CHECKPOINT');
  await duckdb.end();
  return { seq: writer.acknowledged, bytes: await readFile(path) };
}

/** One flip in a copy of the good data directory; true when the damage was met. */
async function flipOnce(scene: Scene, mount: MountFixture, truth: Truth, kind: Kind) {
  const good = join(mount.dir, 'good');
  await rm(mount.dataDir, { recursive: true });
  await must('cp', ['-a', '--reflink=auto', good, mount.dataDir]);
  const object = await largestFile(join(mount.dataDir, kind));
  const where = await flipBit(scene, object);
  const logBefore = (await mount.log()).length;
  await mount.start();
  const refused = await damageIsSeen(scene, mount, truth);
  scene.note(`${where}: ${refused ? 'EIO' : 'not in the data that is in use'}`);
  if (refused) {
    const log = (await mount.log()).slice(logBefore);
    const named = log.includes(basename(object)) || log.includes('flipped');
    assert.ok(named, `no line of the log names ${object} or the database`);
    const damage = (await mount.database('flipped')).damage ?? undefined;
    if (kind === 'segments') assert.notEqual(damage, undefined, 'status does not name the damage');
  }
  assert.ok(isFuseMounted(mount.mountpoint), 'the mount has to stay');
  await mount.kill9();
  return refused;
}

type Kind = 'segments' | 'objects';

async function flipMany(scene: Scene, mount: MountFixture, truth: Truth, kind: Kind) {
  await must('cp', ['-a', mount.dataDir, join(mount.dir, 'good')]);
  let met = 0;
  for (let i = 0; i < FLIPS_AT_MOST && met < FLIPS_MET; i++) {
    if (await flipOnce(scene, mount, truth, kind)) met++;
  }
  assert.ok(met > 0, 'no flip hit data that was read: nothing was proved');
  await rm(mount.dataDir, { recursive: true });
  await must('mv', [join(mount.dir, 'good'), mount.dataDir]);
  await mount.start();
  assert.equal(await damageIsSeen(scene, mount, truth), false, 'the undamaged copy is refused');
}

acceptance('a flipped bit in a segment', { seconds: 120 }, async (scene) => {
  const mount = await scene.mount({ flags: ['--publish-interval', '600s'] });
  const truth = await writeTruth(scene, mount);
  await mount.kill9();
  await flipMany(scene, mount, truth, 'segments');
});

acceptance('a flipped bit in a layer object', { seconds: 120 }, async (scene) => {
  const mount = await scene.mount();
  const truth = await writeTruth(scene, mount);
  await mount.stop();
  await flipMany(scene, mount, truth, 'objects');
});
