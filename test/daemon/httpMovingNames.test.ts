/** What a moving name means to whom: the WAL is of the database's snapshot, or refused. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import test from 'node:test';
import { MovingNames, type Reader } from '../../daemon/http/movingNames.js';
import type { SnapshotRecord } from '../../metadata/store.js';
import type { SnapshotId } from '../../proto/ids.js';
import { ManualClock } from '../fs/manualClock.js';
import { seededRandom, testSeed } from '../harness/seeds.js';

class World {
  readonly clock = new ManualClock();
  readonly names = new MovingNames(this.clock);
  head = 1;
  readonly newest = async () => ({ id: `s${this.head}` as SnapshotId }) as SnapshotRecord;

  reader(client: string, connection = new EventEmitter(), isSession = false): Reader {
    return { client, isSession, connection };
  }

  commit(): void {
    this.head++;
    this.clock.advance(3000); // no opening settles on the one before
  }

  async open(reader: Reader): Promise<string> {
    return idOf(await this.names.opened('db', reader, this.newest));
  }

  async read(reader: Reader): Promise<string> {
    return idOf(await this.names.read('db', reader, this.newest));
  }

  async wal(reader: Reader): Promise<string> {
    return idOf(await this.names.sideOpened('db', reader, this.newest));
  }

  async walRead(reader: Reader): Promise<string> {
    return idOf(await this.names.sideRead('db', reader, this.newest));
  }
}

const idOf = (side: SnapshotRecord | 'doubt'): string => (side === 'doubt' ? side : side.id);

test('an attached database stays at its snapshot, and its WAL is of the same one', async () => {
  const world = new World();
  const handle = world.reader('a');
  assert.equal(await world.open(handle), 's1');
  world.commit();
  const wal = world.reader('a');
  assert.equal(await world.wal(wal), 's1');
  world.commit();
  assert.equal(await world.walRead(wal), 's1');
  assert.equal(await world.read(handle), 's1');
  assert.equal(await world.read(world.reader('a')), 's1', 'over another connection, too');
  assert.equal(await world.open(world.reader('a')), 's3', 'attached again');
  assert.equal(await world.wal(world.reader('a')), 's3');
  assert.equal(await world.open(world.reader('b')), 's3', 'another client');
  assert.equal(await world.read(handle), 's1', 'what was attached before stays there');
});

test('two openings of one client at different snapshots leave the WAL in doubt', async () => {
  const world = new World();
  const first = world.reader('a');
  await world.open(first);
  world.commit();
  const second = world.reader('a');
  assert.equal(await world.open(second), 's2');
  assert.equal(await world.wal(world.reader('a')), 'doubt');
  assert.equal(await world.walRead(world.reader('a')), 'doubt');
  (first.connection as EventEmitter).emit('close'); // it was only a look
  assert.equal(await world.wal(world.reader('a')), 's2');
});

test('an opening whose connection breaks is not forgotten', async () => {
  const world = new World();
  const first = world.reader('a');
  await world.open(first);
  for (let i = 0; i < 3; i++) assert.equal(await world.read(first), 's1');
  (first.connection as EventEmitter).emit('close');
  world.commit();
  const second = world.reader('a');
  await world.open(second);
  assert.equal(await world.wal(world.reader('a')), 'doubt', 'whoever it is that asks');
  world.clock.advance(60_000);
  assert.equal(await world.open(world.reader('a')), 's2');
  assert.equal(await world.wal(world.reader('a')), 's2');
});

test('openings that overlap within a moment get the same snapshot', async () => {
  const world = new World();
  assert.equal(await world.open(world.reader('a')), 's1');
  world.head++;
  assert.equal(await world.open(world.reader('a')), 's1');
  assert.equal(await world.wal(world.reader('a')), 's1');
  assert.equal(await world.wal(world.reader('a')), 's1');
  assert.equal(await world.open(world.reader('a')), 's2', 'nobody opens it any more');
});

test('an opening without a question for the WAL is forgotten after a minute', async () => {
  const world = new World();
  await world.open(world.reader('a'));
  world.head++;
  world.clock.advance(60_000);
  assert.equal(await world.open(world.reader('a')), 's2');
  assert.equal(await world.wal(world.reader('a')), 's2');
});

test('a session sees one snapshot until it is idle', async () => {
  const world = new World();
  const session = () => world.reader('session x', new EventEmitter(), true);
  assert.equal(await world.open(session()), 's1');
  world.commit();
  assert.equal(await world.open(session()), 's1');
  assert.equal(await world.wal(session()), 's1');
  assert.equal(await world.walRead(session()), 's1');
  assert.equal(await world.read(session()), 's1');
  world.clock.advance(900_000);
  assert.equal(await world.open(session()), 's2');
});

test('whatever clients, connections and commits do, no open mixes two snapshots', async () => {
  const random = seededRandom(testSeed());
  console.log(`OPENDUCK_TEST_SEED=${random.seed}`);
  let [whole, doubts] = [0, 0];
  for (let round = 0; round < 300; round++) {
    const world = new World();
    // Processes of one client, each between its steps: look, open, ask for the WAL.
    const process = async (isLooking: boolean) => {
      if (isLooking) {
        const look = new EventEmitter();
        await world.open(world.reader('a', look));
        await turn();
        look.emit('close');
      }
      const handle = new EventEmitter();
      const opened = await world.open(world.reader('a', handle));
      for (let i = 0; i < 3; i++) {
        assert.equal(await world.read(world.reader('a', handle)), opened);
        await turn();
      }
      const wal = await world.wal(world.reader('a'));
      if (wal === 'doubt') doubts++;
      else {
        assert.equal(wal, opened, `seed ${random.seed}, round ${round}`);
        whole++;
      }
      handle.emit('close');
    };
    const waiting: (() => void)[] = [];
    const turn = () => new Promise<void>((resolve) => waiting.push(resolve));
    let running = 6;
    const all = Array.from({ length: running }, () =>
      process(random.int(0, 1) === 0).finally(() => running--),
    );
    while (running > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      if (random.int(0, 2) === 0) world.head++;
      world.clock.advance(random.int(0, 2000));
      if (waiting.length > 0) waiting.splice(random.int(0, waiting.length - 1), 1)[0]!();
    }
    await Promise.all(all);
  }
  console.log(`${whole} opened, ${doubts} refused`);
  assert.ok(whole > 100, 'many can be opened, although six always open at once');
});
