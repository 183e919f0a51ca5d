/**
 * kill -9 in the middle of publishing: every publication that was acknowledged is there afterwards,
 * whole. Repeat a run with OPENDUCK_SEED.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openSqliteStore } from '../../metadata/sqlite/open.js';
import { silentLogger, systemClock } from '../../proto/ports.js';
import { dbId } from './fixtures.js';
import { withMetadataPath } from './sqliteHome.js';

const ROUNDS = 3;
const CHILD = fileURLToPath(new URL('./killedPublisher.js', import.meta.url));

/** Numbers ≥ 0 and < `below`, always the same ones for a seed (xorshift32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Kills the child `delayMs` after it printed `lines` lines; resolves to the last one's number. */
async function publishAndKill(path: string, lines: number, delayMs: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const exited = once(child, 'exit');
    let last = 0;
    let printed = 0;
    const output = createInterface({ input: child.stdout });
    output.on('line', (line) => {
      last = Number(line);
      printed++;
      if (printed === lines) void systemClock.sleep(delayMs).then(() => child.kill('SIGKILL'));
    });
    const ended = once(output, 'close');
    const [, signal] = await exited;
    await ended;
    assert.equal(signal, 'SIGKILL', 'the child ended by itself');
    return last;
  } finally {
    child.kill('SIGKILL');
  }
}

test('kill -9 loses no acknowledged publication', async (t) => {
  const seed = Number(process.env['OPENDUCK_SEED'] ?? randomInt(2 ** 31));
  t.diagnostic(`OPENDUCK_SEED=${seed}`);
  const random = randomFrom(seed);
  await withMetadataPath(async (path) => {
    for (let round = 0; round < ROUNDS; round++) {
      const acknowledged = await publishAndKill(path, 1 + random(150), random(5));
      const store = await openSqliteStore(path, systemClock, silentLogger);
      try {
        const snapshots = await store.listSnapshots(dbId(1));
        const newest = snapshots[0];
        assert.ok(newest !== undefined);
        // One more may have been committed without the child living to say so.
        assert.ok(newest.sequence - acknowledged <= 1, `${newest.sequence} after ${acknowledged}`);
        assert.ok(newest.sequence >= acknowledged, `${newest.sequence} after ${acknowledged}`);
        assert.equal(snapshots.length, newest.sequence);
        assert.equal((await store.getDatabase(dbId(1))).head, newest.id);
        assert.deepEqual(await store.check(), []);
      } finally {
        await store.close();
      }
    }
  });
});
