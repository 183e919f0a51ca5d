/** Parts of the worker that hold its bounds: admission, executions, the pool of instances. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { VERSION_HOLD_MS } from '../../exec/protocol/metadata.js';
import { Admission } from '../../exec/server/admission.js';
import { Executions } from '../../exec/server/executions.js';
import type { Access } from '../../exec/server/service.js';
import { InstancePool, type InstanceTarget } from '../../exec/worker/instancePool.js';
import { ManualClock } from '../fs/manualClock.js';

const NEVER = new AbortController().signal;

const accessOf = (name: string): Access => ({
  name,
  mayRead: () => true,
  mayWrite: () => true,
  mayServe: true,
});

/** Whether it settles soon, without anything else happening. */
const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  let isSettled = false;
  void promise.then(
    () => (isSettled = true),
    () => (isSettled = true),
  );
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  return isSettled;
};

test('admission: so many run, so many wait, in the order of their coming', async () => {
  const admission = new Admission({ running: 2, waiting: 2 });
  const leaveFirst = await admission.enter(NEVER);
  await admission.enter(NEVER);
  const order: string[] = [];
  const enter = async (name: string): Promise<() => void> => {
    const leave = await admission.enter(NEVER);
    order.push(name);
    return leave;
  };
  const third = enter('third');
  const giveUp = new AbortController();
  const fourth = admission.enter(giveUp.signal);
  await assert.rejects(admission.enter(NEVER), { code: 'OVERLOADED' });
  giveUp.abort();
  await assert.rejects(fourth, { code: 'CANCELLED' });
  const fifth = enter('fifth');
  assert.deepEqual([admission.running, admission.waiting], [2, 2]);
  leaveFirst();
  leaveFirst(); // leaving twice gives no second place
  (await third)();
  (await fifth)();
  assert.deepEqual(order, ['third', 'fifth']);
  assert.deepEqual([admission.running, admission.waiting], [1, 0]);
  await assert.rejects(admission.enter(AbortSignal.abort()), { code: 'CANCELLED' });
});

test('executions: an id at a time, cancelled by its own token only', async () => {
  const executions = new Executions();
  const [ann, bob] = [accessOf('ann'), accessOf('bob')];
  const untilAborted = (signal: AbortSignal): Promise<string> =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve('aborted')));
  const first = executions.run('x', ann, NEVER, untilAborted);
  const again = executions.run('x', bob, NEVER, untilAborted);
  await assert.rejects(again, { code: 'ALREADY_EXISTS' });
  assert.equal(executions.cancel('x', bob), false);
  assert.equal(executions.cancel('y', ann), false);
  assert.equal(executions.cancel('x', ann), true);
  assert.equal(await first, 'aborted');
  assert.equal(executions.size, 0);
  const failing = executions.run('x', ann, NEVER, () => Promise.reject(new Error('no')));
  await assert.rejects(failing, /no/);
  const outer = new AbortController();
  const second = executions.run('x', ann, outer.signal, untilAborted);
  outer.abort();
  assert.equal(await second, 'aborted');
});

interface PoolScene {
  readonly pool: InstancePool;
  readonly clock: ManualClock;
  readonly opened: string[];
  readonly closed: string[];
}

function poolOf(limit: number): PoolScene {
  const clock = new ManualClock();
  const [opened, closed]: [string[], string[]] = [[], []];
  const open = async ({ version }: InstanceTarget): Promise<DuckDBInstance> => {
    opened.push(version);
    if (version === 'broken') throw new Error('cannot be opened');
    const instance = await DuckDBInstance.create();
    const close = instance.closeSync.bind(instance);
    instance.closeSync = () => {
      closed.push(version);
      close();
    };
    return instance;
  };
  return { pool: new InstancePool({ limit, clock, open }), clock, opened, closed };
}

const target = (version: string): InstanceTarget => ({
  database: 'duck',
  snapshot: undefined,
  version,
});

test('the pool: one instance a version, the longest idle makes room', async () => {
  const { pool, opened, closed } = poolOf(2);
  const a = await pool.acquire(target('a'), 'shared', NEVER);
  const same = await pool.acquire(target('a'), 'shared', NEVER);
  assert.equal(a.number, same.number);
  const b = await pool.acquire(target('b'), 'shared', NEVER);
  const waiting = pool.acquire(target('c'), 'shared', NEVER);
  assert.equal(await settled(waiting), false, 'both are in use');
  const giveUp = new AbortController();
  const other = pool.acquire(target('d'), 'shared', giveUp.signal);
  giveUp.abort();
  await assert.rejects(other, { code: 'CANCELLED' });
  await a.release();
  assert.equal(await settled(waiting), false, 'one of two has left');
  await same.release();
  const c = await waiting;
  assert.deepEqual([opened, closed], [['a', 'b', 'c'], ['a']]);
  assert.equal(await pool.again(a.number, 'shared', NEVER), undefined);
  await b.release();
  await c.release();
  const again = await pool.again(b.number, 'shared', NEVER);
  assert.equal(again?.number, b.number);
  await again.release();
  pool.close();
  assert.equal(await settled(Promise.resolve()), true);
  assert.deepEqual([...closed].sort(), ['a', 'b', 'c']);
});

test('the pool: what cannot be opened, and what broke, is not given out again', async () => {
  const { pool, opened } = poolOf(2);
  await assert.rejects(pool.acquire(target('broken'), 'shared', NEVER), /cannot be opened/);
  await assert.rejects(pool.acquire(target('broken'), 'shared', NEVER), /cannot be opened/);
  const a = await pool.acquire(target('a'), 'shared', NEVER);
  await a.release(true);
  const other = await pool.acquire(target('a'), 'shared', NEVER);
  assert.notEqual(other.number, a.number);
  assert.deepEqual(opened, ['broken', 'broken', 'a', 'a']);
  await other.release();
  pool.close();
});

test('the pool: who changes settings is alone, and leaves them as they were', async () => {
  const { pool } = poolOf(3);
  const setting = `SELECT current_setting('default_null_order')`;
  const shared = await pool.acquire(target('a'), 'shared', NEVER);
  const alone = await pool.acquire(target('a'), 'alone', NEVER);
  assert.notEqual(alone.number, shared.number, 'not the one that is used');
  const connection = await alone.connect();
  await connection.run(
    `SET default_null_order = 'nulls_first'; SET GLOBAL TimeZone = 'Asia/Tokyo'`,
  );
  connection.closeSync();
  const third = await pool.acquire(target('a'), 'shared', NEVER);
  assert.equal(third.number, shared.number);
  const back = pool.again(alone.number, 'shared', NEVER);
  assert.equal(await settled(back), false, 'it is alone');
  await alone.release();
  const restored = await (await back)!.connect();
  assert.deepEqual((await restored.runAndReadAll(setting)).getRows(), [['NULLS_LAST']]);
  const zone = await restored.runAndReadAll(`SELECT current_setting('TimeZone')`);
  assert.notDeepEqual(zone.getRows(), [['Asia/Tokyo']]);
  restored.closeSync();
  pool.close();
});

test('the pool: idle instances are held for a while, and then no longer', async () => {
  const { pool, clock, closed } = poolOf(3);
  const a = await pool.acquire(target('a'), 'shared', NEVER);
  const b = await pool.acquire(target('b'), 'shared', NEVER);
  await a.release();
  clock.advance(VERSION_HOLD_MS * 0.3);
  clock.advance(VERSION_HOLD_MS * 0.3);
  await settled(Promise.resolve());
  assert.deepEqual(closed, []);
  clock.advance(VERSION_HOLD_MS * 0.6);
  await settled(Promise.resolve());
  assert.deepEqual([closed, pool.size], [['a'], 1], 'b is in use');
  await b.release();
  clock.advance(VERSION_HOLD_MS * 2);
  assert.equal(pool.size, 0);
});
