/**
 * Workers that come and go at random, behind networks that are cut and frozen, while reads and
 * writes go on: what a client gets is whole or an error, and no write is done twice.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { DEFAULT_LINK_LIMITS } from '../../exec/gateway/workerLink.js';
import { systemClock } from '../../proto/ports.js';
import { seededRandom, testSeed } from '../harness/seeds.js';
import { startTcpProxy, type TcpProxy } from '../harness/tcpProxy.js';
import { type Execute, type GatewayScene, withGateway } from './gatewayScene.js';
import { portOf, request, until } from './serverScene.js';

const WORKERS = 4;
const CLIENTS = 12;
const RUN_MS = 6000;
const BATCHES = 8;
/** What a client may get beside a whole answer. */
const ALLOWED = [status.UNAVAILABLE, status.RESOURCE_EXHAUSTED];

/** Executions of each write, by its text. */
const done = new Map<string, number>();

const execute: Execute = async ({ sql }, sink) => {
  if (sql.startsWith('INSERT')) done.set(sql, (done.get(sql) ?? 0) + 1);
  for (let i = 0; i < BATCHES; i++) {
    await systemClock.sleep(1);
    await sink.batch(Buffer.from(`${sql} ${i}`));
  }
};

interface Tally {
  whole: number;
  failed: number;
}

async function client(scene: GatewayScene, name: string, end: number, tally: Tally): Promise<void> {
  for (let n = 0; systemClock.now() < end; n++) {
    const isWrite = n % 3 === 0;
    const sql = isWrite ? `INSERT ${name} ${n}` : `SELECT ${name} ${n}`;
    const { chunks, status: last } = await scene.client.execute(
      request({ database: 'sales', plan: Buffer.from(sql), execution_id: `${name}-${n}` }),
    );
    const texts = chunks.map((c) =>
      c.kind === 'batch' ? Buffer.from(c.payload).toString() : c.kind,
    );
    const all = Array.from({ length: BATCHES }, (_, i) => `${sql} ${i}`);
    if (last.code === status.OK) {
      tally.whole++;
      assert.deepEqual(texts, [...all, 'finished'], sql);
      if (isWrite) assert.equal(done.get(sql), 1, sql);
    } else {
      tally.failed++;
      assert.ok(ALLOWED.includes(last.code), `${sql}: ${last.code} ${last.details}`);
      assert.deepEqual(texts, all.slice(0, texts.length), sql);
    }
  }
}

/** Does something to one worker's network, and undoes it after a while. */
async function disturb(network: TcpProxy, choice: number, ms: number): Promise<void> {
  if (choice === 0) await network.cut();
  else if (choice === 1) network.freeze();
  else network.forget(); // for ever; new connections work
  await systemClock.sleep(ms);
  if (choice !== 2) await network.heal();
}

test('no answer is mixed up and no write done twice while workers come and go', {
  timeout: 120_000,
}, async (t) => {
  const random = seededRandom(testSeed());
  t.diagnostic(`seed ${random.seed}`);
  await withGateway(
    async (scene) => {
      const networks: TcpProxy[] = [];
      for (let i = 0; i < WORKERS; i++) {
        const { server } = await scene.add(`w${i}`, execute);
        const network = await startTcpProxy({ host: '127.0.0.1', port: portOf(server) });
        await scene.register(`w${i}`, network.port);
        networks.push(network);
      }
      const end = systemClock.now() + RUN_MS;
      const tally: Tally = { whole: 0, failed: 0 };
      const clients = Array.from({ length: CLIENTS }, (_, i) => client(scene, `c${i}`, end, tally));
      while (systemClock.now() < end) {
        await disturb(random.pick(networks), random.int(0, 2), random.int(50, 350));
        for (const [i, { port }] of networks.entries()) await scene.register(`w${i}`, port);
      }
      await Promise.all(clients);
      assert.ok(tally.whole > CLIENTS * 5, JSON.stringify(tally));
      assert.ok([...done.values()].every((count) => count === 1));
      for (const network of networks) await network.dispose();
      await until(() => scene.workers.every(({ running }) => running === 0));
      assert.equal(scene.gateway.waiting, 0);
    },
    {
      limits: { link: { ...DEFAULT_LINK_LIMITS, pingMs: 200, pingTimeoutMs: 200, connectMs: 500 } },
    },
  );
});
