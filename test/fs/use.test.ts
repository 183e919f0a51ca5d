/** Locks, hints and pins, with a clock that the tests turn. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Version } from '../../fs/database/image.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import type { FileNode } from '../../fs/nodes/nodes.js';
import { DatabaseUse } from '../../fs/use/databaseUse.js';
import { type Hint, Hints } from '../../fs/use/hints.js';
import { FileLocks, type LockRequest } from '../../fs/use/locks.js';
import { PinTable } from '../../fs/use/pins.js';
import { Errno, LockType } from '../../proto/fuse/constants.js';
import { ManualClock } from './manualClock.js';

const { RDLCK, WRLCK, UNLCK } = LockType;
const FOREVER = Number.POSITIVE_INFINITY;

/** Of process N with the owner N through the handle N, unless told otherwise. */
const lockBy = (process: number, type: number, handle = process): LockRequest => ({
  owner: BigInt(process),
  process,
  handle,
  type,
  unique: `0:${process}`,
});

/** What a waiting request was answered; undefined: it waits. */
function watch(answer: number | Promise<number>): { errno: number | undefined } {
  assert.ok(answer instanceof Promise, `answered ${answer} at once`);
  const seen: { errno: number | undefined } = { errno: undefined };
  answer.then((errno) => {
    seen.errno = errno;
  });
  return seen;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('writers get the lock in the order in which they asked', async () => {
  const locks = new FileLocks(new ManualClock());
  assert.equal(locks.set(lockBy(1, WRLCK), 0, false), 0);
  const second = watch(locks.set(lockBy(2, WRLCK), FOREVER, false));
  const third = watch(locks.set(lockBy(3, WRLCK), 1000, false));
  assert.deepEqual([locks.writer, locks.waiting], [1, 2]);
  locks.set(lockBy(1, UNLCK), 0, false);
  await turn();
  assert.deepEqual([second.errno, third.errno, locks.writer], [0, undefined, 2]);
  locks.releaseHandle(2);
  await turn();
  assert.deepEqual([third.errno, locks.writer, locks.waiting], [0, 3, 0]);
});

test('a wait for a lock ends in time, and its timer with it', async () => {
  const clock = new ManualClock();
  const locks = new FileLocks(clock);
  locks.set(lockBy(1, WRLCK), 0, false);
  assert.equal(locks.set(lockBy(2, WRLCK), 0, false), Errno.EAGAIN);
  assert.equal(locks.set(lockBy(2, RDLCK), 1000, false), Errno.EAGAIN);
  const late = watch(locks.set(lockBy(2, WRLCK), 1000, false));
  const early = watch(locks.set(lockBy(3, WRLCK), 5000, false));
  clock.advance(999);
  await turn();
  assert.equal(late.errno, undefined);
  clock.advance(1);
  await turn();
  assert.deepEqual([late.errno, early.errno, locks.waiting], [Errno.EAGAIN, undefined, 1]);
  locks.releaseHandle(1);
  await turn();
  assert.deepEqual([early.errno, locks.writer, clock.pending], [0, 3, 0]);
  clock.advance(10_000);
  assert.equal(locks.writer, 3);
});

test('a signal ends a wait for a lock, and only that one', async () => {
  const locks = new FileLocks(new ManualClock());
  locks.set(lockBy(1, WRLCK), 0, false);
  const second = watch(locks.set(lockBy(2, WRLCK), FOREVER, false));
  const third = watch(locks.set(lockBy(3, WRLCK), FOREVER, false));
  assert.equal(locks.interrupt('0:1'), false, 'it waits for nothing');
  assert.equal(locks.interrupt('0:2'), true);
  assert.equal(locks.interrupt('0:2'), false);
  await turn();
  assert.deepEqual([second.errno, third.errno, locks.waiting], [Errno.EINTR, undefined, 1]);
  locks.releaseHandle(1);
  await turn();
  assert.deepEqual([third.errno, locks.writer], [0, 3]);
});

test('who closes the handle waits no more, nor does anybody for a file that is gone', async () => {
  const locks = new FileLocks(new ManualClock());
  locks.set(lockBy(1, WRLCK), 0, false);
  const second = watch(locks.set(lockBy(2, WRLCK), FOREVER, false));
  const third = watch(locks.set(lockBy(3, WRLCK), FOREVER, false));
  locks.releaseHandle(2);
  locks.giveUpWaiting();
  await turn();
  assert.deepEqual([second.errno, third.errno, locks.waiting], [Errno.EINTR, Errno.ESTALE, 0]);
});

test('a lock belongs to its handle and its owner', () => {
  const locks = new FileLocks(new ManualClock());
  assert.equal(locks.set(lockBy(1, WRLCK, 10), 0, false), 0);
  assert.equal(locks.set(lockBy(1, WRLCK, 11), 0, false), 0);
  locks.releaseHandle(11);
  assert.equal(locks.writer, 1);
  locks.releaseHandle(10, 7n); // a child closes what it inherited
  assert.equal(locks.writer, 1);
  locks.set(lockBy(1, UNLCK, 11), 0, false);
  assert.equal(locks.writer, 1);
  locks.releaseHandle(10, 1n);
  assert.equal(locks.writer, undefined);
});

test('read locks are shared; a process conflicts with itself only where it should', () => {
  const locks = new FileLocks(new ManualClock());
  assert.equal(locks.set(lockBy(1, RDLCK), 0, false), 0);
  assert.equal(locks.set(lockBy(2, RDLCK), 0, false), 0);
  assert.equal(locks.writer, undefined);
  assert.equal(locks.conflict({ owner: 3n, type: RDLCK }), undefined);
  assert.equal(locks.conflict({ owner: 2n, type: WRLCK })?.process, 1);
  locks.releaseHandle(2);
  const elsewhere = { ...lockBy(1, WRLCK, 20), owner: 99n };
  assert.equal(locks.set(elsewhere, 0, false), Errno.EAGAIN);
  assert.equal(locks.set(elsewhere, 0, true), 0);
  assert.equal(locks.writer, 1);
});

const newNode = (): FileNode => ({ promises: 0 }) as FileNode;

test('a hint is a promise on its node until it is taken', () => {
  const clock = new ManualClock();
  const released: Hint[] = [];
  const hints = new Hints(clock, (hint) => released.push(hint));
  const node = newNode();
  hints.give(1, node, true);
  assert.equal(hints.of(1)?.node, node);
  assert.equal(hints.of(2), undefined, 'it is the thread’s own');
  hints.give(2, node, false);
  assert.equal(node.promises, 2);
  hints.take(1);
  hints.take(1);
  assert.deepEqual([node.promises, released.map((hint) => hint.write)], [1, [true]]);
  assert.equal(hints.of(1), undefined);
  hints.take(2);
  assert.deepEqual([node.promises, released.length, clock.pending], [0, 2, 0]);
});

test('a hint expires, counted from the last one of its thread', () => {
  const clock = new ManualClock();
  let released = 0;
  const hints = new Hints(clock, () => released++);
  const [first, second] = [newNode(), newNode()];
  hints.give(1, first, false);
  clock.advance(1500);
  hints.give(1, second, false);
  assert.deepEqual([first.promises, second.promises, released], [0, 1, 1]);
  clock.advance(1500);
  assert.equal(hints.of(1)?.node, second, 'the timer of the first one is not in its way');
  clock.advance(500);
  assert.equal(hints.of(1), undefined);
  assert.deepEqual([second.promises, released, clock.pending], [0, 2, 0]);
});

test('a hint that is replaced by one on the same node leaves one promise', () => {
  const hints = new Hints(new ManualClock(), () => {});
  const node = newNode();
  hints.give(1, node, false);
  hints.give(1, node, true);
  assert.deepEqual([node.promises, hints.of(1)?.write], [1, true]);
});

/** Counts its references, of which the test has none. */
function newVersion(): { version: Version; references(): number } {
  let references = 0;
  const counted = {
    retain() {
      references++;
      return counted;
    },
    release() {
      references--;
    },
  };
  return { version: counted as unknown as Version, references: () => references };
}

const entry = {} as EngineDatabase;

test('side files belong to the thread’s newest pin, else to the process’s', () => {
  const table = new PinTable(new ManualClock());
  const pins = table.of('x', undefined);
  const [a, b, c] = [newVersion(), newVersion(), newVersion()];
  pins.add({ thread: 11, process: 1 }, entry, a.version);
  const newer = pins.add({ thread: 12, process: 1 }, entry, b.version);
  pins.add({ thread: 21, process: 2 }, entry, c.version);
  const found = (thread: number, process: number): Version | undefined =>
    table.find('x', undefined, { thread, process })?.version;
  assert.equal(found(11, 1), a.version);
  assert.equal(found(12, 1), b.version);
  assert.equal(found(13, 1), newer.version, 'a thread without a pin');
  assert.equal(found(21, 2), c.version);
  assert.equal(found(11, 3), undefined, 'another process');
});

test('a pin lingers after its handle is closed, then gives its version back', () => {
  const clock = new ManualClock();
  const table = new PinTable(clock);
  const pins = table.of('x', undefined);
  const caller = { thread: 1, process: 1 };
  const { version, references } = newVersion();
  const pin = pins.add(caller, entry, version);
  clock.advance(60_000);
  assert.equal(pins.find(caller), pin, 'an open handle keeps it');
  pins.close(pin);
  clock.advance(9_999);
  assert.equal(pins.find(caller), pin);
  assert.equal(references(), 1);
  clock.advance(1);
  assert.equal(pins.find(caller), undefined);
  assert.deepEqual([references(), pins.idle], [0, true]);
});

test('a closed pin goes when its thread opens again or its process changes the set', () => {
  const clock = new ManualClock();
  const pins = new PinTable(clock).of('x', undefined);
  const [a, b, c] = [newVersion(), newVersion(), newVersion()];
  const caller = { thread: 1, process: 1 };
  pins.close(pins.add(caller, entry, a.version));
  const open = pins.add({ thread: 2, process: 1 }, entry, b.version);
  assert.equal(a.references(), 1, 'that was another thread');
  pins.close(pins.add(caller, entry, c.version));
  assert.deepEqual([a.references(), c.references()], [0, 1]);
  pins.dropClosed(2);
  assert.equal(c.references(), 1, 'that was another process');
  pins.dropClosed(1);
  assert.deepEqual([b.references(), c.references()], [1, 0]);
  assert.equal(pins.find(caller), open);
  clock.advance(60_000);
  assert.deepEqual([a.references(), b.references(), c.references()], [0, 1, 0], 'given back once');
});

test('a thread goes on with what it had a look at, until it asks for a lock', () => {
  const clock = new ManualClock();
  const table = new PinTable(clock);
  const pins = table.of('x', undefined);
  const caller = { thread: 1, process: 1 };
  const [a, b] = [newVersion(), newVersion()];
  assert.equal(table.probeOf('x', caller), undefined);
  pins.close(pins.add(caller, entry, a.version));
  assert.equal(table.probeOf('x', caller)?.version, a.version);
  assert.equal(table.probeOf('x', { thread: 2, process: 1 }), undefined, 'another thread');
  assert.equal(table.probeOf('y', caller), undefined, 'another name');
  clock.advance(6000);
  const second = pins.add(caller, entry, a.version);
  assert.equal(a.references(), 1, 'the first pin is replaced');
  clock.advance(3999);
  assert.equal(table.probeOf('x', caller), second);
  clock.advance(1);
  assert.equal(table.probeOf('x', caller), undefined, 'looking again and again comes to an end');
  pins.close(second);
  pins.add(caller, entry, b.version);
  assert.equal(table.probeOf('x', caller)?.version, b.version, 'a new beginning');
  table.endProbe('x', caller);
  assert.equal(table.probeOf('x', caller), undefined);
  assert.equal(pins.find(caller)?.version, b.version, 'its side files stay what they are');
});

test('pins are those of the name that was opened', () => {
  const table = new PinTable(new ManualClock());
  const caller = { thread: 1, process: 1 };
  const [newest, one] = [newVersion(), newVersion()];
  table.of('x', undefined).add(caller, entry, newest.version);
  table.of('x', 'one').add(caller, entry, one.version);
  table.of('y', undefined); // idle ones of other names may go now
  assert.equal(table.find('x', undefined, caller)?.version, newest.version);
  assert.equal(table.find('x', 'one', caller)?.version, one.version);
  assert.equal(table.find('x', '~0', caller), undefined);
  assert.equal(table.find('y', undefined, caller), undefined);
});

test('what replaces the content keeps writers out, and only begins when there are none', async () => {
  const clock = new ManualClock();
  const database = { dropped: true, name: 'x' };
  const use = new DatabaseUse({ database } as unknown as EngineDatabase, clock);
  use.addWriter(1);
  assert.equal(use.exclude(), undefined);
  use.removeWriter(1);
  const end = use.exclude();
  assert.ok(end);
  assert.equal(use.exclude(), undefined, 'one at a time');
  const patient = use.waitForExclusion(1000);
  const hasty = use.waitForExclusion(10);
  const refused = assert.rejects(hasty, { code: 'BUSY', database: 'x' });
  clock.advance(20);
  await refused;
  end();
  await patient;
  assert.ok(use.quiet);
  await use.waitForExclusion(0);
});
