/**
 * Postgres away: the connection cut, frozen, or the server killed. Everything fails with
 * UNAVAILABLE, in a time that can be stated, and goes on by itself afterwards.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { after, test } from 'node:test';
import { Changes } from '../../metadata/postgres/changes.js';
import type { MetadataStore } from '../../metadata/store.js';
import { wallTime } from '../../proto/ids.js';
import { silentLogger, systemClock } from '../../proto/ports.js';
import { runSql, startPostgres } from '../harness/postgres.js';
import { startTcpProxy, type TcpProxy } from '../harness/tcpProxy.js';
import { sleep, within } from '../harness/testRun.js';
import { dbId, refuses, START, startWriter, TTL } from './fixtures.js';
import { createSchema, openStore, runInSchema, throughPort } from './postgresHome.js';

/** Far above what is promised: for a busy machine. */
const BOUND_MS = 60_000;
/** Longer than a connection is trusted without being asked. */
const IDLE_MS = 2500;

const server = await startPostgres({ tcp: true });
after(() => server.dispose());

const at = wallTime(START);
const create = (store: MetadataStore, n: number) =>
  store.createDatabase({ id: dbId(n), name: `db${n}`, createdAt: at });

interface Link {
  readonly proxy: TcpProxy;
  readonly store: MetadataStore;
  /** Past the proxy. */
  readonly url: string;
}

async function withLink(body: (link: Link) => Promise<void>): Promise<void> {
  const url = await createSchema(server);
  const proxy = await startTcpProxy({ host: '127.0.0.1', port: server.port! });
  try {
    const store = await openStore(throughPort(url, proxy.port));
    try {
      await body({ proxy, store, url });
    } finally {
      await within(BOUND_MS, 'closing the store', store.close());
    }
  } finally {
    await proxy.dispose();
  }
}

/** Hints that were not waited for yet are forgotten. */
class Hints {
  readonly store: MetadataStore;
  #heard = () => {};

  constructor(store: MetadataStore) {
    this.store = store;
  }

  subscribe() {
    return this.store.subscribe(() => this.#heard());
  }

  next(): Promise<void> {
    const hint = new Promise<void>((resolve) => {
      this.#heard = resolve;
    });
    return within(BOUND_MS, 'a hint', hint);
  }
}

test('postgres: a connection that is cut, again and again', async () => {
  await withLink(async ({ proxy, store }) => {
    const { lease } = await startWriter(store);
    for (let round = 0; round < 3; round++) {
      await proxy.cut();
      const renewal = store.renewLease(lease, TTL);
      await refuses(within(BOUND_MS, 'a renewal', renewal), 'UNAVAILABLE', /renew the lease/);
      await refuses(store.listDatabases(), 'UNAVAILABLE', /ECONNREFUSED/);
      await proxy.heal();
      await store.renewLease(lease, TTL);
      assert.equal((await store.listDatabases()).length, 1);
    }
    assert.deepEqual(await store.check(), []);
  });
});

for (const idle of [false, true]) {
  const what = idle ? 'idle connections' : 'a connection in use';
  test(`postgres: a network that swallows everything, with ${what}`, async () => {
    await withLink(async ({ proxy, store }) => {
      const { lease } = await startWriter(store);
      await Promise.all(Array.from({ length: 4 }, () => store.listDatabases()));
      if (idle) await sleep(IDLE_MS);
      proxy.freeze();
      const asked: Promise<unknown>[] = [
        store.renewLease(lease, TTL),
        store.listDatabases(),
        create(store, 7),
      ];
      for (const answer of asked) answer.catch(() => {});
      for (const answer of asked) {
        await refuses(within(BOUND_MS, 'an error', answer), 'UNAVAILABLE');
      }
      await proxy.heal();
      await store.renewLease(lease, TTL);
      assert.deepEqual(await store.check(), []);
    });
  });
}

test('postgres: the network forgot the connections, and nobody notices', async () => {
  await withLink(async ({ proxy, store }) => {
    await create(store, 1);
    await sleep(IDLE_MS);
    // Those that are there stay dead; new ones are made.
    const forgotten = proxy.connections;
    assert.ok(forgotten > 0);
    proxy.forget();
    await within(BOUND_MS, 'a transaction', create(store, 2));
    assert.equal((await store.listDatabases()).length, 2);
  });
});

test('postgres: a server that crashes and comes back', async () => {
  await withLink(async ({ store, url }) => {
    const writer = await startWriter(store);
    await writer.publish();
    await server.stop('immediate');
    try {
      await refuses(writer.publish(), 'UNAVAILABLE');
      await refuses(openStore(url), 'UNAVAILABLE', /postgres:\/\/postgres@127\.0\.0\.1:\d+/);
    } finally {
      await server.start();
    }
    await writer.publish();
    assert.equal((await store.listSnapshots(dbId(1))).length, 2);
    assert.deepEqual(await store.check(), []);
  });
});

test('postgres: a server that shuts down under transactions', async () => {
  await withLink(async ({ store }) => {
    const writer = await startWriter(store);
    let acknowledged = 0;
    let running = true;
    const publishing = (async () => {
      while (running) {
        await writer.publish();
        acknowledged++;
      }
    })();
    const refused = refuses(publishing, 'UNAVAILABLE');
    while (acknowledged < 20) await sleep(1);
    await server.stop('fast');
    await server.start();
    running = false;
    await refused;
    // One more may have been committed without us being told.
    const there = (await store.listSnapshots(dbId(1))).length;
    assert.ok(there === acknowledged || there === acknowledged + 1, `${there}, ${acknowledged}`);
    assert.deepEqual(await store.check(), []);
  });
});

test('postgres: a COMMIT whose answer is lost is UNAVAILABLE, and has happened', async () => {
  await withLink(async ({ proxy, store, url }) => {
    await runInSchema(
      url,
      'CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS ' +
        "'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';" +
        'CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON database DEFERRABLE INITIALLY DEFERRED ' +
        'FOR EACH ROW EXECUTE FUNCTION linger()',
    );
    const refused = refuses(create(store, 1), 'UNAVAILABLE', /create database 'db1'/);
    const committing = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    while ((await runSql(server.url, committing)).length === 0) await sleep(5);
    await proxy.cut();
    await refused;
    while ((await runSql(server.url, committing)).length > 0) await sleep(5);
    await proxy.heal();
    assert.equal((await store.getDatabase(dbId(1))).name, 'db1');
  });
});

test('postgres: a transaction whose other end is gone lets its locks go', async () => {
  await withLink(async ({ proxy, store, url }) => {
    const other = await openStore(url);
    try {
      await runInSchema(
        url,
        'CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS ' +
          "'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';" +
          'CREATE TRIGGER linger AFTER INSERT ON database FOR EACH ROW EXECUTE FUNCTION linger()',
      );
      const refused = refuses(create(store, 1), 'UNAVAILABLE');
      const sessions = (where: string) =>
        runSql(server.url, `SELECT FROM pg_stat_activity WHERE ${where}`);
      while ((await sessions("wait_event = 'PgSleep'")).length === 0) await sleep(5);
      proxy.freeze();
      while ((await sessions("state = 'idle in transaction'")).length === 0) await sleep(5);
      // The same name: it waits until it is known what becomes of the other one.
      await other.createDatabase({ id: dbId(2), name: 'db1', createdAt: at });
      await refused;
      await proxy.heal();
      assert.equal((await store.listDatabases())[0]?.id, dbId(2));
    } finally {
      await other.close();
    }
  });
});

test('postgres: who was cut off from hints is called when it can hear again', async () => {
  await withLink(async ({ proxy, store, url }) => {
    const other = await openStore(url);
    try {
      const hints = new Hints(store);
      await hints.subscribe();
      let hint = hints.next();
      await create(other, 1);
      await hint;
      await proxy.cut();
      await create(other, 2);
      hint = hints.next();
      await proxy.heal();
      await hint;
      hint = hints.next();
      await create(other, 3);
      await hint;
    } finally {
      await other.close();
    }
  });
});

test('postgres: a subscription whose connection was forgotten notices by itself', async () => {
  await withLink(async ({ proxy, store }) => {
    const hints = new Hints(store);
    await hints.subscribe();
    proxy.forget();
    await hints.next();
  });
});

test('postgres: a subscription begins although nobody is there, and closes so', async () => {
  await withLink(async ({ proxy, store }) => {
    await proxy.cut();
    const hints = new Hints(store);
    const subscription = await within(BOUND_MS, 'subscribing', hints.subscribe());
    const hint = hints.next();
    await proxy.heal();
    await hint;
    await subscription.close();
  });
});

test('postgres: a subscription that finds nobody pauses between its attempts', async () => {
  let attempts = 0;
  const closing = createServer((socket) => {
    attempts++;
    socket.destroy();
  });
  closing.listen(0, '127.0.0.1');
  await once(closing, 'listening');
  const { port } = closing.address() as AddressInfo;
  const changes = new Changes({ host: '127.0.0.1', port }, systemClock, silentLogger);
  try {
    await changes.subscribe(() => {});
    await sleep(3500);
    // At 0, 1 and 3 seconds.
    assert.ok(attempts > 0 && attempts <= 3, `${attempts} attempts`);
  } finally {
    await changes.close();
    closing.close();
  }
});

for (const what of ['listens', 'connects']) {
  test(`postgres: a store whose subscription ${what} closes although nobody answers`, async () => {
    await withLink(async ({ proxy, store }) => {
      const hints = new Hints(store);
      if (what === 'listens') await hints.subscribe();
      proxy.freeze();
      const subscribing = what === 'connects' ? hints.subscribe() : undefined;
      while (what === 'connects' && proxy.connections < 2) await sleep(1);
      await within(BOUND_MS, 'closing', store.close());
      await subscribing;
    });
  });
}
