/**
 * `cp` in and out: multi-gigabyte files byte for byte, and a database under load as one commit
 * point.
 */
import assert from 'node:assert/strict';
import { mkdir, open, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckdbProcess } from '../harness/duckdbProcess.js';
import { LedgerWriter, readLedger, readLedgerAt } from '../harness/ledger.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { must, run, shell, succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import type { SeededRandom } from '../harness/seeds.js';

const MIB = 1024 * 1024;
/** Beyond 2^31, and no multiple of a page. */
const BIG_FILE_BYTES = 2100 * MIB + 12_345;
/** The source, the segment, the layer made of it, and some room. */
const NEEDED_BYTES = 4 * BIG_FILE_BYTES;
const COPIES = 16;
/** Makes a copy take a while: 80 MB that do not compress. */
const BALLAST = 'CREATE TABLE ballast AS SELECT hash(range) h FROM range(10000000); CHECKPOINT';

/** Pseudo-random bytes, each 4 KiB page with its own number, so that no two pages are equal. */
async function writeBigFile(path: string, random: SeededRandom): Promise<void> {
  const block = random.bytes(MIB);
  const file = await open(path, 'w');
  try {
    for (let at = 0; at < BIG_FILE_BYTES; at += block.length) {
      for (let page = 0; page < block.length; page += 4096) {
        block.writeUIntLE((at + page) / 4096, page, 6);
      }
      await file.write(block, 0, Math.min(block.length, BIG_FILE_BYTES - at), at);
    }
  } finally {
    await file.close();
  }
}

acceptance(
  'a file of more than 2 GiB copied in and out is identical',
  { seconds: 240 },
  async (scene) => {
    const mount = await scene.mount();
    const dir = await scene.tempDir();
    const disk = await statfs(dir);
    const free = disk.bavail * disk.bsize;
    const mib = (bytes: number) => `${Math.ceil(bytes / MIB)} MiB`;
    assert.ok(free > NEEDED_BYTES, `needs ${mib(NEEDED_BYTES)} in ${dir}, free are ${mib(free)}`);
    const source = join(dir, 'source');
    await writeBigFile(source, scene.random);
    const big = mount.path('big.duckdb');
    const limit = { timeoutMs: 100_000 };
    await must('cp', [source, big], limit);
    assert.equal((await stat(big)).size, BIG_FILE_BYTES);
    // Out through a pipe: the comparison without one more copy on the disk.
    const copyOut = 'cp "$2" /dev/stdout | cmp - "$1"';
    succeeded(await shell(copyOut, [source, big], limit));
    await mount.stop(60_000);
    await mount.start();
    succeeded(await shell(copyOut, [source, big], limit));
  },
);

/** `cp` of db and WAL in one process; the WAL may have been checkpointed away by then. */
async function copyFileSet(path: string, into: string): Promise<boolean> {
  const result = await run('cp', [path, `${path}.wal`, into]);
  if (result.code === 0) return true;
  const onlyNoWal = /^cp: cannot stat '[^']*\.wal': No such file or directory\n$/;
  assert.match(result.stderr, onlyNoWal, `cp under load: ${result.stderr}`);
  return false;
}

async function commitUntil(writer: LedgerWriter, duckdb: DuckdbProcess, done: () => boolean) {
  while (!done()) await writer.step(duckdb);
}

async function copyUnderLoad(scene: Scene, mount: MountFixture, writer: LedgerWriter) {
  const path = mount.path('busy.duckdb');
  const dir = await scene.tempDir();
  const local = scene.duckdb();
  let withWal = 0;
  for (let i = 0; i < COPIES; i++) {
    const out = join(dir, `copy${i}`);
    await mkdir(out);
    const acknowledged = writer.acknowledged;
    if (await copyFileSet(path, out)) withWal++;
    const copy = join(out, 'busy.duckdb');
    const seen = await readLedgerAt(local, copy, scene.random, { thorough: true });
    assert.ok(seen.seq >= acknowledged, `copy has seq ${seen.seq}, before it was ${acknowledged}`);
    await local.open(copy);
    assert.deepEqual(await readLedger(local, scene.random), seen, 'read-write open of the copy');
    await local.sql('INSERT INTO events VALUES (0, 0, NULL)');
    await local.close();
    await rm(out, { recursive: true });
  }
  scene.note(`${COPIES} copies under load, ${withWal} with a WAL, ${writer.acknowledged} commits`);
  assert.ok(withWal > 0, 'no copy had a WAL: nothing was proved');
}

acceptance(
  'cp of database and WAL out of a mount under load is one commit point',
  { seconds: 120 },
  async (scene) => {
    const mount = await scene.mount();
    // Checkpoints change the database file while it is copied: only then can the WAL be of another.
    const weights = { bulk: 1, checkpoint: 40 };
    const writer = new LedgerWriter(scene.random, { weights, bulkRows: 50_000 });
    const duckdb = scene.duckdb();
    await duckdb.open(mount.path('busy.duckdb'));
    await writer.create(duckdb);
    await duckdb.sql(BALLAST);
    let copied = false;
    const copying = copyUnderLoad(scene, mount, writer).finally(() => {
      copied = true;
    });
    await Promise.all([copying, commitUntil(writer, duckdb, () => copied)]);
  },
);

acceptance(
  'a database with its WAL copied in is writable at once',
  { seconds: 60 },
  async (scene) => {
    const mount = await scene.mount();
    const local = join(await scene.tempDir(), 'given.duckdb');
    const duckdb = scene.duckdb();
    const writer = new LedgerWriter(scene.random, { weights: { bulk: 0, checkpoint: 0 } });
    await duckdb.open(local, { config: { checkpoint_threshold: '1GB' } });
    await duckdb.sql('PRAGMA disable_checkpoint_on_shutdown');
    await writer.create(duckdb);
    await duckdb.sql('CHECKPOINT');
    for (let i = 0; i < 20; i++) await writer.step(duckdb);
    await duckdb.close();
    await must('cp', [local, `${local}.wal`, mount.mountpoint]);
    const path = mount.path('given.duckdb');
    assert.equal((await readLedgerAt(duckdb, path, scene.random)).seq, writer.acknowledged);
    await duckdb.open(path);
    for (let i = 0; i < 20; i++) await writer.step(duckdb);
    await duckdb.close();
    assert.equal((await readLedgerAt(duckdb, path, scene.random)).seq, writer.acknowledged);
  },
);
