/** Repetition, deadline, circuit and gate, on a clock that stands still. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Call, S3Calls } from '../../layers/s3/calls.js';
import { S3Failure } from '../../layers/s3/failure.js';
import { Gate } from '../../layers/s3/gate.js';
import { STANDARD_LIMITS } from '../../layers/s3/limits.js';
import { errorCode, OpenduckError } from '../../proto/errors.js';
import { ManualClock } from '../fs/manualClock.js';

const slowDown = () => new S3Failure('SlowDown', 503, true, 'SlowDown (503)');
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Calls whose chance is always the longest pause. */
function makeCalls() {
  const clock = new ManualClock();
  const random = { bytes: (length: number) => Buffer.alloc(length, 0xff) };
  return { clock, calls: new S3Calls({ clock, random, limits: STANDARD_LIMITS }) };
}

/** Lets time pass in small steps until the promise settles; milliseconds that it took. */
async function settle(clock: ManualClock, promise: Promise<unknown>): Promise<number> {
  const began = clock.monotonic();
  let done = false;
  const end = () => {
    done = true;
  };
  promise.then(end, end);
  for (await turn(); !done; await turn()) clock.advance(10);
  return clock.monotonic() - began;
}

/** A call of which every attempt does what `attempt` does; counts them. */
function counted<T>(attempt: () => Promise<T>): Call<T> & { count: number } {
  const call = {
    what: 'looking',
    count: 0,
    attempt: () => {
      call.count++;
      return attempt();
    },
  };
  return call;
}

const failing = () => counted(() => Promise.reject(slowDown()));
const answering = () => counted(async () => 'answer');

suite('S3 calls', () => {
  test('pauses grow up to the longest; at the deadline it is UNAVAILABLE', async () => {
    const { clock, calls } = makeCalls();
    const call = failing();
    const promise = calls.run(call);
    const took = await settle(clock, promise);
    await assert.rejects(promise, (error: OpenduckError) => {
      assert.equal(error.code, 'UNAVAILABLE');
      assert.ok(error.cause instanceof S3Failure);
      return true;
    });
    assert.ok(took <= STANDARD_LIMITS.deadlineMs && took > 20_000, `${took} ms`);
    // 50, 100, …, 3200, 4000, 4000, …
    assert.ok(call.count >= 11 && call.count <= 14, `${call.count} attempts`);
  });

  test('an attempt without an end is given up and repeated', async () => {
    const { clock, calls } = makeCalls();
    const signals: AbortSignal[] = [];
    const promise = calls.run({
      what: 'looking',
      bytes: 5 << 20,
      attempt: (signal) => {
        signals.push(signal);
        return signals.length < 3 ? new Promise<string>(() => {}) : Promise.resolve('answer');
      },
    });
    const took = await settle(clock, promise);
    assert.equal(await promise, 'answer');
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [true, true, false],
    );
    assert.ok(took >= 30_000 && took < 31_000, `${took} ms`); // twice 10 s and a second a MiB
    assert.equal(clock.pending, 0);
  });

  test('what does not pass ends it at once', async () => {
    const { calls } = makeCalls();
    const refused = counted(() =>
      Promise.reject(new S3Failure('AccessDenied', 403, false, 'AccessDenied')),
    );
    await assert.rejects(calls.run(refused), (error) => errorCode(error) === 'NOT_PERMITTED');
    const corrupt = counted(() => Promise.reject(new OpenduckError('CORRUPT', 'wrong bytes')));
    await assert.rejects(calls.run(corrupt), (error) => errorCode(error) === 'CORRUPT');
    assert.deepEqual([refused.count, corrupt.count], [1, 1]);
  });

  test('after one was given up, the others fail at once, then exactly one asks', async () => {
    const { clock, calls } = makeCalls();
    const first = calls.run(failing()).catch(errorCode);
    await settle(clock, first);
    const others = Array.from({ length: 20 }, failing);
    for (const call of others) {
      await assert.rejects(calls.run(call), (error) => errorCode(error) === 'UNAVAILABLE');
    }
    assert.equal(
      others.reduce((sum, { count }) => sum + count, 0),
      0,
    );
    clock.advance(STANDARD_LIMITS.failFastMs);
    await Promise.all(others.map((call) => calls.run(call).catch(errorCode)));
    assert.equal(
      others.reduce((sum, { count }) => sum + count, 0),
      1,
    );
    assert.equal(
      clock.monotonic() > 0 && (await calls.run(failing()).catch(errorCode)),
      'UNAVAILABLE',
    );
    clock.advance(STANDARD_LIMITS.failFastMs);
    assert.equal(await calls.run(answering()), 'answer');
    assert.equal(await calls.run(answering()), 'answer');
  });

  test('one that is given up while others are answered opens nothing', async () => {
    const { clock, calls } = makeCalls();
    const first = calls.run(failing()).catch(errorCode);
    clock.advance(1000);
    await turn();
    await calls.run(answering());
    await settle(clock, first);
    assert.equal(await first, 'UNAVAILABLE');
    assert.equal(await calls.run(answering()), 'answer');
  });

  test('who waits for a connection beyond the deadline does not blame the store', async () => {
    const { clock, calls } = makeCalls();
    const hang = {
      what: 'hanging',
      bytes: 100 << 20,
      attempt: () => new Promise<string>(() => {}),
    };
    const hanging = Array.from({ length: STANDARD_LIMITS.connections }, () =>
      calls.run(hang).catch(errorCode),
    );
    const waiting = calls.run(answering());
    await settle(clock, waiting);
    await assert.rejects(waiting, /all 32 connections were in use/);
    await settle(clock, Promise.all(hanging));
    clock.advance(STANDARD_LIMITS.failFastMs);
    assert.equal(await calls.run(answering()), 'answer');
  });
});

suite('gate', () => {
  test('first come, first served; more than there is counts as all', async () => {
    const gate = new Gate(10);
    const order: string[] = [];
    const enter = (name: string, amount: number) => {
      let leave = () => {};
      const until = new Promise<void>((resolve) => {
        leave = resolve;
      });
      const done = gate.hold(amount, async () => {
        order.push(name);
        await until;
      });
      return { leave, done };
    };
    const [a, b, c] = [enter('a', 6), enter('b', 99), enter('c', 1)];
    await turn();
    assert.deepEqual(order, ['a']); // c does not overtake b
    a.leave();
    await a.done;
    await turn();
    assert.deepEqual(order, ['a', 'b']);
    b.leave();
    await turn();
    assert.deepEqual(order, ['a', 'b', 'c']);
    c.leave();
    await Promise.all([b.done, c.done]);
  });

  test('who stops waiting does not hold up those behind; a failure gives back', async () => {
    const gate = new Gate(2);
    let leave = () => {};
    const first = gate.hold(1, () => new Promise<void>((resolve) => (leave = resolve)));
    const abort = new AbortController();
    const large = gate.hold(2, async () => 'large', abort.signal);
    const small = gate.hold(1, async () => 'small');
    abort.abort(new Error('enough'));
    await assert.rejects(large, /enough/);
    assert.equal(await small, 'small');
    leave();
    await first;
    await assert.rejects(
      gate.hold(2, () => Promise.reject(new Error('failed'))),
      /failed/,
    );
    assert.equal(await gate.hold(2, async () => 'all'), 'all');
  });
});
