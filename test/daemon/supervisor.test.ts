/** Child programs that are kept running: pauses that grow, ends that are wanted. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { RunningChild } from '../../daemon/execution/childProgram.js';
import { Supervisor } from '../../daemon/execution/supervisor.js';
import type { LogLevel } from '../../daemon/settings.js';
import { silentLogger } from '../../proto/ports.js';
import { ManualClock } from '../fs/manualClock.js';

interface FakeChild extends RunningChild<number> {
  readonly previous: number | undefined;
  readonly levels: LogLevel[];
  die(): void;
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
};

class Scene {
  readonly clock = new ManualClock();
  readonly children: FakeChild[] = [];
  readonly stopped: number[] = [];
  failures = 0;
  readonly supervisor = new Supervisor<number>({
    what: 'the test',
    start: async (previous) => {
      if (this.failures-- > 0) throw new Error('does not start');
      return this.#child(previous);
    },
    clock: this.clock,
    logger: silentLogger,
  });

  #child(previous: number | undefined): FakeChild {
    const pid = this.children.length + 1;
    let die = (): void => {};
    const ended = new Promise<string>((resolve) => {
      die = () => resolve('killed');
    });
    const stop = async (): Promise<void> => {
      this.stopped.push(pid);
      die();
    };
    const levels: LogLevel[] = [];
    const setLogLevel = (level: LogLevel) => void levels.push(level);
    const said = { ready: pid * 10, figures: undefined };
    const child = { pid, ...said, ended, stop, die, previous, levels, setLogLevel };
    this.children.push(child);
    return child;
  }

  /** How long it takes until the next child, in steps of 50 ms. */
  async pauseAfter(end: () => void): Promise<number> {
    const before = this.children.length;
    end();
    for (let ms = 0; ms < 60_000; ms += 50) {
      await turns();
      if (this.children.length > before) return ms;
      this.clock.advance(50);
    }
    throw new Error('it was not started again');
  }
}

test('a child that ends is started again, each time a little later', async () => {
  const scene = new Scene();
  assert.equal(await scene.supervisor.start(), 10);
  const pauses: number[] = [];
  for (let i = 0; i < 9; i++) pauses.push(await scene.pauseAfter(scene.children[i]!.die));
  assert.deepEqual(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  assert.equal(scene.children[1]!.previous, 10, 'it learns what the last one said');
  assert.equal(scene.supervisor.restarts, 9);
  scene.clock.advance(30_000);
  assert.equal(await scene.pauseAfter(scene.children[9]!.die), 100, 'it had lived long');
  await scene.supervisor.stop();
});

test('a start that fails is tried again; the first one is told', async () => {
  const scene = new Scene();
  scene.failures = 1;
  await assert.rejects(scene.supervisor.start(), /does not start/);
  await scene.supervisor.start();
  scene.failures = 2;
  const pause = await scene.pauseAfter(scene.children[0]!.die);
  assert.equal(pause, 100 + 200 + 400);
  assert.equal(scene.supervisor.child?.pid, 2);
  await scene.supervisor.stop();
});

test('stopping: at once, also between two; and it may be started anew', async () => {
  const scene = new Scene();
  await scene.supervisor.start();
  await scene.supervisor.stop();
  assert.deepEqual([scene.stopped, scene.supervisor.child], [[1], undefined]);
  scene.clock.advance(60_000);
  await turns();
  assert.equal(scene.children.length, 1);
  assert.equal(await scene.supervisor.start(), 20);
  scene.children[1]!.die();
  await turns();
  await scene.supervisor.stop(); // while it waits to start the next one
  scene.clock.advance(60_000);
  await turns();
  assert.equal(scene.children.length, 2);
});

test('a new log level is told to the child and to those that follow it', async () => {
  const scene = new Scene();
  await scene.supervisor.start();
  assert.deepEqual(scene.children[0]!.levels, []);
  scene.supervisor.setLogLevel('debug');
  assert.deepEqual(scene.children[0]!.levels, ['debug']);
  await scene.pauseAfter(scene.children[0]!.die);
  assert.deepEqual(scene.children[1]!.levels, ['debug']);
  await scene.supervisor.stop();
});
