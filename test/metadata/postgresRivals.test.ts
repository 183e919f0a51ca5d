/**
 * Several processes use one Postgres at random, and some are killed in the middle of it: nobody
 * publishes under an epoch that somebody else's acquisition has ended, no lease is taken before it
 * has run out, and all invariants hold. Replay with OPENDUCK_TEST_SEED, as far as time lets it.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { wallTime } from '../../proto/ids.js';
import { startPostgres } from '../harness/postgres.js';
import { seededRandom, testSeed, testSetting } from '../harness/seeds.js';
import { dbId, START } from './fixtures.js';
import { createSchema, openStore } from './postgresHome.js';
import { NAMES, type RivalEvent } from './postgresRival.js';
import { requireFencing } from './rivalOracle.js';

const RIVALS = testSetting('OPENDUCK_TEST_RIVALS', 4);
const OPERATIONS = testSetting('OPENDUCK_TEST_RIVAL_OPERATIONS', 300);
const CHILD = fileURLToPath(new URL('./postgresRival.js', import.meta.url));

const server = await startPostgres({ fsync: false });
after(() => server.dispose());

/** Kills the child after it printed that many lines, unless it is done before. */
async function runRival(args: readonly string[], killAfter: number): Promise<RivalEvent[]> {
  const child = spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const events: RivalEvent[] = [];
  try {
    const output = createInterface({ input: child.stdout });
    output.on('line', (line) => {
      events.push(JSON.parse(line) as RivalEvent);
      if (events.length === killAfter) child.kill('SIGKILL');
    });
    const closed = once(output, 'close');
    const [code, signal] = await once(child, 'exit');
    await closed;
    assert.ok(code === 0 || signal === 'SIGKILL', `a rival ended with ${code ?? signal}`);
    return events;
  } finally {
    child.kill('SIGKILL');
  }
}

test('postgres: rivals do not break anything', async (t) => {
  const seed = testSeed();
  t.diagnostic(`OPENDUCK_TEST_SEED=${seed}`);
  const random = seededRandom(seed);
  const url = await createSchema(server);
  const store = await openStore(url);
  try {
    for (const [i, name] of NAMES.entries()) {
      await store.createDatabase({ id: dbId(i + 1), name, createdAt: wallTime(START) });
    }
    const rivals = Array.from({ length: RIVALS }, (_, i) => {
      const args = [url, `${i + 1}`, `${random.int(1, 2 ** 30)}`, `${OPERATIONS}`];
      return runRival(args, i === 0 ? random.int(10, OPERATIONS / 3) : Number.POSITIVE_INFINITY);
    });
    const events = (await Promise.all(rivals)).flat();
    const bad = events.filter((e) => e.what === 'bad').map((e) => e.error);
    assert.deepEqual(bad, []);
    let published = 0;
    for (const [i] of NAMES.entries()) {
      const id = dbId(i + 1);
      const own = events.filter((e) => e.database === id);
      requireFencing(own);
      const snapshots = (await store.listSnapshots(id)).reverse();
      const there = new Set<string>(snapshots.map((s) => s.id));
      const acknowledged = own.filter((e) => e.what === 'publish');
      for (const e of acknowledged) assert.ok(there.has(e.snapshot!), `${e.snapshot} is lost`);
      for (const [n, s] of snapshots.entries()) {
        assert.ok(n === 0 || snapshots[n - 1]!.epoch <= s.epoch, `${s.id} has an old epoch`);
      }
      published += acknowledged.length;
    }
    assert.ok(published > 0, 'nothing was published');
    t.diagnostic(`${events.length} events, ${published} publications`);
    assert.deepEqual(await store.check(), []);
  } finally {
    await store.close();
  }
});
