/** Failures and kills at the worst moments, on an engine whose disk is in memory. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { DiskOperation } from '../layers/memoryDisk.js';
import { diskError } from '../layers/memoryDisk.js';
import {
  createFile,
  DATA_DIR,
  EngineFixture,
  GatedDisk,
  headText,
  writeText,
} from './engineFixture.js';

const SEGMENTS = `${DATA_DIR}/segments/`;
const OBJECTS = `${DATA_DIR}/objects/`;
const MAIN = '.duckdb';
const LIMIT = { timeout: 30_000 };

/** The next `times` operations of a kind fail. */
function failNext(
  disk: GatedDisk,
  operation: DiskOperation,
  folder: string,
  errno: string,
  times = 1,
): void {
  let left = times;
  disk.fault = (now, path) => {
    if (now !== operation || !path.startsWith(folder) || left === 0) return undefined;
    left--;
    return diskError(errno, now, path);
  };
}

/** A promise that never settles: the process is killed there. */
const forEver = (): Promise<void> => new Promise(() => {});

interface AfterPublication {
  readonly what: string;
  readonly operation: DiskOperation;
  readonly folder: string;
  readonly errno: string;
  readonly times: number;
}

const AFTER_PUBLICATION: readonly AfterPublication[] = [
  {
    what: 'the SEALED record is refused',
    operation: 'writeNow',
    folder: SEGMENTS,
    errno: 'ENOSPC',
    times: 3,
  },
  {
    what: 'the new layer cannot be opened',
    operation: 'open',
    folder: OBJECTS,
    errno: 'EIO',
    times: 3,
  },
];

for (const { what, operation, folder, errno, times } of AFTER_PUBLICATION) {
  test(`a publication goes on when ${what} after the metadata's yes`, LIMIT, async (t) => {
    const fixture = await EngineFixture.make(t);
    const disk = new GatedDisk();
    const engine = await fixture.engine(disk);
    const { database, publisher } = await engine.findOrCreate('x');
    const file = await createFile(database, MAIN);
    await writeText(database, file, 0, 'first');
    await database.commit(file);

    fixture.onPublished = () => failNext(disk, operation, folder, errno, times);
    for (let i = 0; i < times; i++) await assert.rejects(publisher.publish('manual'));
    fixture.onPublished = () => {};
    disk.fault = () => undefined;
    assert.equal((await fixture.metadata.listSnapshots(database.id)).length, 1);
    await writeText(database, file, 0, 'second');
    await database.commit(file);
    const snapshot = await publisher.publish('manual');

    assert.equal(snapshot?.version, database.head.number);
    assert.equal((await fixture.metadata.listSnapshots(database.id)).length, 2);
    const stack = await fixture.metadata.stackOf(snapshot!.id);
    const keys = stack.map(({ key }) => key.slice(database.id.length + 1));
    assert.deepEqual(await disk.list(`${OBJECTS}${database.id}`), keys.sort());
    assert.deepEqual(await fixture.metadata.check(), []);
    assert.equal(await headText(database, MAIN), 'second');
    await engine.close();
    const next = await fixture.engine(disk);
    assert.equal(await headText(next.get('x').database, MAIN), 'second');
    await next.close();
  });
}

test('a publication is adopted without SEALED when its sync fails', LIMIT, async (t) => {
  const fixture = await EngineFixture.make(t);
  const disk = new GatedDisk();
  const engine = await fixture.engine(disk);
  const { database, publisher } = await engine.findOrCreate('x');
  const file = await createFile(database, MAIN);
  await writeText(database, file, 0, 'first');
  await database.commit(file);

  fixture.onPublished = () => failNext(disk, 'dataSync', SEGMENTS, 'EIO');
  await assert.rejects(publisher.publish('manual'), { code: 'IO' });
  const snapshot = await publisher.publish('manual');
  assert.equal(snapshot?.version, database.head.number);
  assert.equal((await disk.list(`${OBJECTS}${database.id}`)).length, 1);
  assert.equal(await headText(database, MAIN), 'first');

  const next = await fixture.engine(disk.crash());
  const { database: reopened } = next.get('x');
  assert.deepEqual(reopened.damage, []);
  assert.equal(await headText(reopened, MAIN), 'first');
  await next.close();
});

test('a payload that outlasts a roll and a sync is durable with its commit', LIMIT, async (t) => {
  const fixture = await EngineFixture.make(t);
  const disk = new GatedDisk();
  const engine = await fixture.engine(disk);
  const { database } = await engine.findOrCreate('x');
  const file = await createFile(database, MAIN);
  const old = database.log.active!.file.path;

  let go = (): void => {};
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  disk.gate = (operation, path) => (operation === 'write' && path === old ? held : undefined);
  const text = 'slow '.repeat(20_000);
  const writing = writeText(database, file, 0, text);
  await database.log.roll();
  assert.notEqual(database.log.active!.file.path, old);
  await database.sync();
  go();
  await writing;
  await database.commit(file);

  const written = disk.trace.lastIndexOf(`write ${old}`);
  assert.ok(written >= 0);
  assert.ok(disk.trace.lastIndexOf(`dataSync ${old}`) > written, 'no sync after the payload');
  const next = await fixture.engine(disk.crash());
  const { database: reopened } = next.get('x');
  assert.deepEqual(reopened.damage, []);
  assert.ok((await headText(reopened, MAIN)) === text);
  await next.close();
});

test('a kill while a load leaves old segments behind is no loss', LIMIT, async (t) => {
  const fixture = await EngineFixture.make(t);
  const disk = new GatedDisk();
  const first = await fixture.engine(disk);
  const { database, publisher } = await first.findOrCreate('x');
  const [file, wal] = [await createFile(database, MAIN), await createFile(database, `${MAIN}.wal`)];
  // Uncommitted in the first segment, so that the seal needs both.
  await writeText(database, wal, 0, 'never committed');
  await database.log.roll();
  await writeText(database, file, 0, 'committed');
  await database.commit(file);
  await publisher.publish('manual');
  assert.equal(database.segments.size, 2);

  let removals = 0;
  const killed = new Promise<void>((reached) => {
    disk.gate = (operation, path) => {
      if (operation !== 'remove' || !path.startsWith(SEGMENTS)) return undefined;
      if (disk.peek(path) === undefined) return undefined; // before a segment is made
      removals++;
      if (removals < 2) return undefined;
      reached();
      return forEver();
    };
  });
  const second = await fixture.engine(disk);
  await killed;
  assert.ok(second.get('x').database.damage.length === 0);

  disk.gate = () => undefined;
  const third = await fixture.engine(disk);
  const { database: reopened } = third.get('x');
  assert.deepEqual(reopened.damage, []);
  assert.equal(await headText(reopened, MAIN), 'committed');
  assert.equal(await headText(reopened, `${MAIN}.wal`), '');
  const again = reopened.files.get(MAIN)!;
  await reopened.prepareForWriting();
  await writeText(reopened, again, 0, 'goes on  ');
  await reopened.commit(again);
  assert.equal(await headText(reopened, MAIN), 'goes on  ');
  await third.close();
});

for (const close of [false, true]) {
  const when = close ? 'behind a last close' : 'of a commit';
  test(`nothing is published after a failed fdatasync ${when}`, LIMIT, async (t) => {
    const fixture = await EngineFixture.make(t);
    const disk = new GatedDisk();
    const engine = await fixture.engine(disk);
    const { database, publisher } = await engine.findOrCreate('x');
    const file = await createFile(database, MAIN);
    await writeText(database, file, 0, 'acknowledged');
    await database.commit(file);
    const acknowledged = database.head.number;

    await writeText(database, file, 0, 'not durable!');
    failNext(disk, 'dataSync', SEGMENTS, 'EIO');
    if (close) {
      await database.commitAll(); // published for readers here, made durable afterwards
      await assert.rejects(database.sync(), { code: 'IO' });
    } else {
      await assert.rejects(database.commit(file), { code: 'IO' });
    }
    assert.ok(database.log.failure !== undefined);
    await assert.rejects(publisher.publish('manual'), { code: 'IO' });
    await engine.close();
    for (const { version } of await fixture.metadata.listSnapshots(database.id)) {
      assert.ok(version <= acknowledged, `version ${version} was published`);
    }

    const next = await fixture.engine(disk.crash());
    const { database: reopened } = next.get('x');
    assert.deepEqual(reopened.damage, []);
    assert.equal(await headText(reopened, MAIN), 'acknowledged');
    await next.close();
  });
}
