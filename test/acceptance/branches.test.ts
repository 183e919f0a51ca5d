/** clone, restore, reset, undrop: real mounts, stock DuckDB at work meanwhile. */
import assert from 'node:assert/strict';
import { Cluster, clusterMissing } from '../harness/cluster.js';
import { DuckdbError, type DuckdbProcess } from '../harness/duckdbProcess.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { type CommandResult, must } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';

const EXIT_HELD = 4;
const LIMIT_MS = 30_000;
const file = (name: string): string => `${name}.duckdb`;

async function cli(mount: MountFixture, ...words: string[]): Promise<CommandResult> {
  const result = await mount.cli(words);
  assert.equal(result.code, 0, `${words.join(' ')}: ${result.stderr}`);
  return result;
}

/** How many rows there are; every commit is whole, and none is missing before the last one. */
async function rows(reader: DuckdbProcess, mount: MountFixture, name: string): Promise<number> {
  await reader.open(mount.path(file(name)), { readOnly: true });
  const count = await reader.number('SELECT count(*) FROM t');
  assert.equal(await reader.number('SELECT coalesce(max(i), -1) + 1 FROM t'), count);
  await reader.close();
  return count;
}

/** A writer that commits row after row until it is told to stop. */
class BusyWriter {
  readonly #process: DuckdbProcess;
  #rows: number;
  #stop = false;
  #running: Promise<void> | undefined;

  constructor(process: DuckdbProcess, from: number) {
    this.#process = process;
    this.#rows = from;
  }

  start(): void {
    this.#running = (async () => {
      while (!this.#stop) await this.#process.sql(`INSERT INTO t VALUES (${this.#rows++})`);
    })();
    this.#running.catch(() => {}); // `stop` tells
  }

  get rows(): number {
    return this.#rows;
  }

  /** Resolves to the number of rows. */
  async stop(): Promise<number> {
    this.#stop = true;
    await this.#running;
    return this.#rows;
  }
}

async function makeTable(writer: DuckdbProcess, mount: MountFixture, name: string): Promise<void> {
  await writer.open(mount.path(file(name)));
  await writer.sql('CREATE TABLE t AS SELECT i FROM range(20000) r(i); CHECKPOINT');
}

async function isRefused(result: CommandResult, text: RegExp): Promise<void> {
  assert.equal(result.code, EXIT_HELD, result.stdout + result.stderr);
  assert.match(result.stderr, text);
}

/** Beside a busy writer, then both go their own way. */
async function cloneBeside(scene: Scene, mount: MountFixture): Promise<number> {
  const [writer, other, reader] = scene.duckdbs(3) as [DuckdbProcess, DuckdbProcess, DuckdbProcess];
  await makeTable(writer, mount, 'duck');
  await cli(mount, 'snapshot', 'duck', '--name', 'begin');
  const busy = new BusyWriter(writer, 20_000);
  busy.start();
  while (busy.rows < 20_010) await sleep(20);
  const acknowledged = busy.rows - 1;
  await cli(mount, 'clone', 'duck', 'branch');
  const cloned = await rows(reader, mount, 'branch');
  assert.ok(cloned >= acknowledged, `${cloned} rows in the clone, ${acknowledged} were committed`);
  await cli(mount, 'clone', 'duck@begin', 'old');
  assert.equal(await rows(reader, mount, 'old'), 20_000);

  await other.open(mount.path(file('branch')));
  await other.sql('DELETE FROM t WHERE i >= 5; CREATE TABLE mine (a INTEGER); CHECKPOINT');
  const total = await busy.stop();
  assert.equal(await rows(reader, mount, 'duck'), total);
  await assert.rejects(writer.sql('SELECT * FROM mine'), DuckdbError);
  assert.equal(await rows(reader, mount, 'branch'), 5);

  const refused = await mount.cli(['restore', 'duck', '--at', 'begin', '--wait', '0']);
  await isRefused(refused, new RegExp(`process ${writer.pid} holds the write lock`));
  await other.close();
  await writer.close();
  await cli(mount, 'reset', 'branch');
  assert.equal(await rows(reader, mount, 'branch'), cloned);
  return total;
}

/** Readers keep what they have, also when the writer comes and goes. */
async function restoreBeside(scene: Scene, mount: MountFixture, total: number): Promise<void> {
  const [writer, before, after] = scene.duckdbs(3) as [DuckdbProcess, DuckdbProcess, DuckdbProcess];
  await before.open(mount.path(file('duck')), { readOnly: true });
  assert.equal(await before.number('SELECT count(*) FROM t'), total);
  await writer.open(mount.path(file('duck')));
  await writer.sql(`INSERT INTO t VALUES (${total})`);
  const waiting = mount.cli(['restore', 'duck', '--at', 'begin', '--wait', '20s', '--json']);
  await sleep(500);
  await writer.close();
  const done = await waiting;
  assert.equal(done.code, 0, done.stderr);
  assert.equal(JSON.parse(done.stdout).snapshot.reason, 'restore');
  assert.equal(await rows(after, mount, 'duck'), 20_000);
  assert.equal(await before.number('SELECT sum(i) FROM t'), (total * (total - 1)) / 2);
  await writer.open(mount.path(file('duck')));
  await writer.sql('INSERT INTO t VALUES (20000); CHECKPOINT; INSERT INTO t VALUES (20001)');
  assert.equal(await rows(after, mount, 'duck'), 20_002);
  assert.equal(await before.number('SELECT count(*) FROM t'), total);
  await before.close();
  await writer.close();
  // What was the head is still there: with the row that nobody had published.
  const listed = await cli(mount, 'snapshot', 'list', 'duck', '--json');
  const { snapshots } = JSON.parse(listed.stdout);
  const at = snapshots.findIndex(({ reason }: { reason: string }) => reason === 'restore');
  await cli(mount, 'restore', 'duck', '--at', snapshots[at + 1].id);
  assert.equal(await rows(after, mount, 'duck'), total + 1);
  await cli(mount, 'restore', 'duck', '--at', '~1');
  assert.equal(await rows(after, mount, 'duck'), 20_002);
}

async function dropAndBack(scene: Scene, mount: MountFixture): Promise<void> {
  const reader = scene.duckdb();
  await must('rm', [mount.path(file('duck'))]);
  const dropped = JSON.parse((await cli(mount, 'ls', '--dropped', '--json')).stdout).dropped;
  assert.equal(dropped[0].name, 'duck');
  assert.ok(dropped[0].size > 0 && dropped[0].droppedAt <= new Date().toISOString());
  await cli(mount, 'clone', 'old', 'duck');
  const taken = await mount.cli(['undrop', 'duck']);
  assert.equal(taken.code, 1);
  assert.match(taken.stderr, /undrop duck NEW_NAME/);
  await cli(mount, 'undrop', 'duck', 'duck2');
  assert.equal(await rows(reader, mount, 'duck2'), 20_002);
  assert.equal(await rows(reader, mount, 'duck'), 20_000);
  const missing = await mount.cli(['undrop', 'nothing']);
  assert.equal(missing.code, 3);
  const noBranch = await mount.cli(['reset', 'duck2']);
  assert.equal(noBranch.code, 3, noBranch.stderr);
}

/** DuckDB refuses it; the snapshot before has none. */
async function stepPastWal(scene: Scene, mount: MountFixture): Promise<void> {
  const [writer, reader] = scene.duckdbs(2) as [DuckdbProcess, DuckdbProcess];
  await makeTable(writer, mount, 'torn');
  await cli(mount, 'snapshot', 'torn');
  await writer.sql('INSERT INTO t VALUES (20000)');
  await writer.kill();
  const wal = mount.path(`${file('torn')}.wal`);
  await must('sh', ['-c', `printf 'XXXXXXXX' | dd of='${wal}' bs=1 seek=70 conv=notrunc`]);
  await cli(mount, 'snapshot', 'torn');
  await assert.rejects(rows(reader, mount, 'torn'), DuckdbError);
  const list = JSON.parse((await cli(mount, 'snapshot', 'list', 'torn', '--json')).stdout);
  scene.note(`${list.snapshots.length} snapshots of what has a corrupt WAL`);
  await cli(mount, 'restore', 'torn', '--at', `~${list.snapshots.length - 1}`);
  const after = scene.duckdb();
  await after.open(mount.path(file('torn')), { readOnly: true });
  await after.close();
}

/** Commands open the data directory themselves. */
async function withoutDaemon(scene: Scene, mount: MountFixture): Promise<void> {
  const reader = scene.duckdb();
  await cli(mount, 'clone', 'duck2@~0', 'offline');
  await cli(mount, 'restore', 'duck2', '--at', '~1');
  await mount.start();
  assert.equal(await rows(reader, mount, 'offline'), 20_002);
  assert.notEqual(await rows(reader, mount, 'duck2'), 20_002);
  assert.equal(await rows(reader, mount, 'old'), 20_000);
  assert.deepEqual((await mount.status()).aside, []);
}

acceptance('branches on one host', { seconds: 240 }, async (scene) => {
  const mount = await scene.mount();
  const total = await cloneBeside(scene, mount);
  await restoreBeside(scene, mount, total);
  await dropAndBack(scene, mount);
  await stepPastWal(scene, mount);
  await mount.stop();
  await withoutDaemon(scene, mount);
});

/** Until another host shows it. */
async function until(reader: DuckdbProcess, mount: MountFixture, name: string, count: number) {
  const start = Date.now();
  for (;;) {
    const seen = await rows(reader, mount, name).catch((error) => {
      if (error instanceof DuckdbError) return error.message;
      throw error;
    });
    if (seen === count) return;
    if (Date.now() - start > LIMIT_MS) throw new Error(`${seen} instead of ${count} in ${name}`);
    await sleep(50);
  }
}

acceptance(
  'branches among hosts',
  { seconds: 240, skip: await clusterMissing() },
  async (scene) => {
    const cluster = await Cluster.start(scene);
    const flags = ['--writer-wait', '1s'];
    const { mount: a } = await cluster.host({ flags });
    const { mount: b } = await cluster.host({ flags });
    const [onA, onB, reader] = scene.duckdbs(3) as [DuckdbProcess, DuckdbProcess, DuckdbProcess];
    await makeTable(onA, a, 'duck');
    await until(reader, b, 'duck', 20_000);
    await cli(a, 'snapshot', 'duck', '--name', 'begin');
    await cli(b, 'clone', 'duck', 'branch');
    await onB.open(b.path(file('branch')));
    await onB.sql('INSERT INTO t VALUES (20000)');
    await onB.close();
    await until(reader, a, 'branch', 20_001);
    await onA.sql('INSERT INTO t VALUES (20000), (20001)');
    await until(reader, b, 'duck', 20_002);
    await isRefused(await b.cli(['restore', 'duck', '--at', 'begin']), /is being written by/);
    const old = scene.duckdb();
    await old.open(a.path(file('duck')), { readOnly: true });
    const waiting = b.cli(['restore', 'duck', '--at', 'begin', '--wait', '20s']);
    await sleep(500);
    await onA.close();
    assert.equal((await waiting).code, 0, (await waiting).stderr);
    assert.equal(await rows(reader, b, 'duck'), 20_000);
    await until(reader, a, 'duck', 20_000);
    assert.equal(await old.number('SELECT count(*) FROM t'), 20_002);
    await old.close();
    await onA.open(a.path(file('duck')));
    await onA.sql('INSERT INTO t VALUES (20000)');
    await onA.close();
    await must('rm', [b.path(file('duck'))]);
    await cli(a, 'undrop', 'duck', 'again');
    for (const host of [a, b]) await until(reader, host, 'again', 20_001);
    await cli(a, 'reset', 'branch');
    for (const host of [a, b]) await until(reader, host, 'branch', 20_000);
    for (const host of [a, b]) assert.deepEqual((await host.status()).aside, []);
  },
);
