/**
 * Several hosts on one Postgres and one S3 server, each with a writer that takes every turn it can
 * get, while daemons are killed, stand still, and lose Postgres or the object store, at random.
 * What DuckDB acknowledged must be in the database in the end, or among what a host set aside.
 */
import assert from 'node:assert/strict';
import type { Cluster, Host } from '../harness/cluster.js';
import {
  DuckdbError,
  type DuckdbProcess,
  NoAnswer,
  ProcessGone,
} from '../harness/duckdbProcess.js';
import { succeeded } from '../harness/proc.js';
import type { SeededRandom } from '../harness/seeds.js';
import { sleep } from '../harness/testRun.js';

export const LEASE_MS = 2_000;
const FILE = 'duck.duckdb';
const SETTLE_LIMIT_MS = 90_000;

export interface HostsWorld {
  readonly random: SeededRandom;
  readonly cluster: Cluster;
  readonly duckdb: () => DuckdbProcess;
}

/** One host, and what was acknowledged on it. */
class Member {
  readonly host: Host;
  readonly #name: number;
  readonly #duckdb: () => DuckdbProcess;
  readonly acknowledged = new Set<number>();
  #next: number;
  #stopped = false;
  #work: Promise<void> = Promise.resolve();
  turns = 0;

  constructor(host: Host, name: number, duckdb: () => DuckdbProcess) {
    this.host = host;
    this.#name = name;
    this.#next = name * 1_000_000;
    this.#duckdb = duckdb;
  }

  get path(): string {
    return this.host.mount.path(FILE);
  }

  begin(random: SeededRandom): void {
    this.#stopped = false;
    this.#work = this.#takeTurns(random);
  }

  async end(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  async #takeTurns(random: SeededRandom): Promise<void> {
    while (!this.#stopped) {
      const duckdb = this.#duckdb();
      try {
        await duckdb.open(this.path);
        this.turns++;
        const commits = random.int(1, 12);
        for (let i = 0; i < commits && !this.#stopped; i++) await this.#commit(duckdb, random);
        await duckdb.close();
      } catch (error) {
        if (!isExpected(error)) throw error;
      }
      if (!duckdb.isGone) await duckdb.kill('SIGKILL', 60_000).catch(() => {});
      await sleep(random.int(0, 300));
    }
  }

  async #commit(duckdb: DuckdbProcess, random: SeededRandom): Promise<void> {
    const id = this.#next++;
    await duckdb.sql(`INSERT INTO t VALUES (${id}, ${this.#name})`);
    this.acknowledged.add(id);
    if (random.int(0, 9) === 0) await duckdb.sql('CHECKPOINT');
    await sleep(random.int(0, 60));
  }
}

/** What a client of a host in trouble may get; a wrong answer is none of these. */
const isExpected = (error: unknown): boolean =>
  error instanceof DuckdbError || error instanceof ProcessGone || error instanceof NoAnswer;

export class HostsTorture {
  readonly #world: HostsWorld;
  readonly #members: Member[] = [];
  readonly counts = { kills: 0, stops: 0, noPostgres: 0, noObjects: 0, reads: 0, setAside: 0 };

  constructor(world: HostsWorld) {
    this.#world = world;
  }

  async begin(hosts: number): Promise<void> {
    const { cluster, duckdb, random } = this.#world;
    const flags = ['--lease-ttl', `${LEASE_MS}ms`, '--writer-wait', '1s'];
    for (let i = 0; i < hosts; i++) {
      this.#members.push(new Member(await cluster.host({ flags }), i, duckdb));
    }
    const first = duckdb();
    await first.open(this.#members[0]!.path);
    await first.sql('CREATE TABLE t (id INTEGER PRIMARY KEY, host INTEGER)');
    await first.end();
    for (const member of this.#members) {
      await this.#settled('the table', member, async () => (await this.#ids(member)).size >= 0);
      member.begin(random);
    }
  }

  /** One thing goes wrong on one host. */
  async cycle(): Promise<void> {
    const { random } = this.#world;
    const { host } = random.pick(this.#members);
    const long = random.int(0, 1) === 0 ? 2 * LEASE_MS : LEASE_MS / 4;
    switch (random.int(0, 4)) {
      case 0:
        this.counts.kills++;
        await host.mount.kill9();
        await sleep(long);
        await host.mount.start();
        break;
      case 1:
        this.counts.stops++;
        process.kill(host.mount.pid, 'SIGSTOP');
        await sleep(long);
        process.kill(host.mount.pid, 'SIGCONT');
        break;
      case 2:
        this.counts.noPostgres++;
        if (random.int(0, 1) === 0) await host.postgres.cut();
        else host.postgres.freeze();
        await sleep(long);
        await host.postgres.heal();
        break;
      case 3:
        this.counts.noObjects++;
        await host.s3.cut();
        await sleep(long);
        await host.s3.heal();
        break;
      default:
        await this.#read(random.pick(this.#members));
    }
    await sleep(random.int(0, 500));
  }

  /** Whatever a reader gets, it is one commit point. */
  async #read(member: Member): Promise<void> {
    try {
      await this.#ids(member);
      this.counts.reads++;
    } catch (error) {
      if (!isExpected(error)) throw error;
    }
  }

  async #ids({ path }: Pick<Member, 'path'>): Promise<Set<number>> {
    const duckdb = this.#world.duckdb();
    try {
      await duckdb.open(path, { readOnly: true });
      const rows = await duckdb.sql('SELECT id FROM t');
      const ids = new Set(rows.map((row) => Number(row['id'])));
      assert.equal(ids.size, rows.length, 'a row is there twice');
      return ids;
    } finally {
      await duckdb.kill('SIGKILL', 60_000).catch(() => {});
    }
  }

  async #settled(what: string, member: Member, isSo: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + SETTLE_LIMIT_MS;
    for (;;) {
      const is = await isSo().catch((error) => {
        if (!isExpected(error)) throw error;
        return false;
      });
      if (is) return;
      if (Date.now() > end) {
        const { mount } = member.host;
        const status = JSON.stringify(await mount.status());
        throw new Error(`${what} is not there: ${status}\n${await mount.logTail()}`);
      }
      await sleep(200);
    }
  }

  /** Everything is well again: nothing that was acknowledged is missing. */
  async verify(): Promise<void> {
    for (const member of this.#members) await member.end();
    for (const member of this.#members) await this.#settled('quiet', member, () => isQuiet(member));
    const all = await this.#sameEverywhere();
    for (const member of this.#members) {
      const saved = await this.#recoverAll(member);
      const missing = [...member.acknowledged].filter((id) => !all.has(id) && !saved.has(id));
      assert.deepEqual(missing, [], 'acknowledged commits are nowhere');
    }
  }

  async #sameEverywhere(): Promise<Set<number>> {
    let first: Set<number> | undefined;
    for (const member of this.#members) {
      await this.#settled('the same content on all hosts', member, async () => {
        const ids = await this.#ids(member);
        first ??= ids;
        if (ids.size > first.size) first = ids;
        return ids.size === first.size && [...ids].every((id) => first!.has(id));
      });
    }
    return first!;
  }

  async #recoverAll({ host }: Member): Promise<Set<number>> {
    const saved = new Set<number>();
    const { aside } = await host.mount.status();
    for (const [i, { id }] of aside.entries()) {
      const name = `saved_${host.mount.pid}_${i}`;
      succeeded(await host.mount.cli(['recover', id, name], { timeoutMs: 60_000 }));
      for (const row of await this.#ids({ path: host.mount.path(`${name}.duckdb`) })) {
        saved.add(row);
      }
      this.counts.setAside++;
    }
    return saved;
  }

  get text(): string {
    const acknowledged = this.#members.map((member) => member.acknowledged.size);
    const turns = this.#members.map((member) => member.turns);
    return JSON.stringify({ ...this.counts, turns, acknowledged });
  }
}

/** Everything is published, and the database is nobody's. */
async function isQuiet({ host }: Member): Promise<boolean> {
  const { databases } = await host.mount.status();
  const duck = databases.find((database) => database.name === 'duck');
  return duck !== undefined && duck.version === duck.publishedVersion && !duck.writer;
}
