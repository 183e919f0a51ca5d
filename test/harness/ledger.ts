/**
 * A workload whose every state can be checked from inside the database: each transaction raises
 * `ledger.seq` by one and keeps what `readLedger` verifies. Any mix of two times, any lost or torn
 * commit and any wrong byte in the bulk rows breaks one of these equations.
 */
import type { DuckdbProcess } from './duckdbProcess.js';
import type { SeededRandom } from './seeds.js';

const ACCOUNTS = 1000;
/** Eight 64-bit hashes a row: 300,000 rows are 18 MiB that do not compress. */
const HASHES = 8;
const hashOf = (k: number) => `hash(seq * 1000003 + i * ${HASHES} + ${k})`;

const SCHEMA = `
  CREATE TABLE ledger (seq BIGINT, events BIGINT, total BIGINT, bulk BIGINT, extras BIGINT);
  CREATE TABLE events (seq BIGINT, amount BIGINT, payload VARCHAR);
  CREATE TABLE account_a (id INTEGER PRIMARY KEY, balance BIGINT);
  CREATE TABLE account_b (id INTEGER PRIMARY KEY, balance BIGINT);
  CREATE TABLE bulk (seq BIGINT, i BIGINT, ${Array.from({ length: HASHES }, (_, k) => `h${k} UBIGINT`).join(', ')});
  INSERT INTO ledger VALUES (0, 0, 0, 0, 0);
  INSERT INTO account_a SELECT range, 0 FROM range(${ACCOUNTS});
  INSERT INTO account_b SELECT range, 0 FROM range(${ACCOUNTS});
`;

/** What one look at the database saw; already verified. */
export interface LedgerState {
  readonly seq: number;
  readonly events: number;
  readonly bulk: number;
  readonly extras: number;
}

export interface LookOptions {
  /** Verifies every byte of the bulk rows, not one column. */
  readonly thorough?: boolean;
  readonly catalog?: string;
  readonly limitMs?: number;
}

function lookSql(random: SeededRandom, options: LookOptions): string {
  const from = options.catalog === undefined ? '' : `"${options.catalog}".`;
  const all = Array.from({ length: HASHES }, (_, k) => k);
  const columns = options.thorough ? all : [random.int(0, HASHES - 1)];
  const wrong = columns.map((k) => `h${k} <> ${hashOf(k)}`).join(' OR ');
  const scope = options.catalog === undefined ? 'current_database()' : `'${options.catalog}'`;
  return `SELECT l.*, e.*, a.*, b.*, x.*, t.* FROM ${from}ledger l,
    (SELECT count(*) events_seen, coalesce(sum(amount), 0)::BIGINT total_seen,
       coalesce(max(seq), 0) last_seen,
       count(*) FILTER (WHERE payload <> repeat(chr(97 + (seq % 26)::INT), 20)) bad
     FROM ${from}events) e,
    (SELECT sum(balance)::BIGINT sum_a, count(*) count_a FROM ${from}account_a) a,
    (SELECT sum(balance)::BIGINT sum_b, count(*) count_b FROM ${from}account_b) b,
    (SELECT count(*) bulk_seen, count(*) FILTER (WHERE ${wrong}) bulk_bad FROM ${from}bulk) x,
    (SELECT count(*) extras_seen FROM duckdb_tables()
     WHERE table_name LIKE 'extra_%' AND database_name = ${scope}) t`;
}

function verify(row: Readonly<Record<string, unknown>>): LedgerState {
  const n = (name: string) => Number(row[name]);
  const holds =
    n('events') === n('events_seen') &&
    n('total') === n('total_seen') &&
    n('last_seen') <= n('seq') &&
    n('bad') === 0 &&
    n('sum_a') === n('sum_b') &&
    n('count_a') === ACCOUNTS &&
    n('count_b') === ACCOUNTS &&
    n('bulk') === n('bulk_seen') &&
    n('bulk_bad') === 0 &&
    n('extras') === n('extras_seen');
  if (!holds) throw new Error(`not one transaction-consistent state: ${JSON.stringify(row)}`);
  return { seq: n('seq'), events: n('events'), bulk: n('bulk'), extras: n('extras') };
}

/** Looks once, in one statement, and verifies all that a consistent state promises. */
export async function readLedger(
  duckdb: DuckdbProcess,
  random: SeededRandom,
  options: LookOptions = {},
): Promise<LedgerState> {
  const rows = await duckdb.sql(lookSql(random, options), options.limitMs);
  if (rows.length !== 1) throw new Error(`the ledger has ${rows.length} rows`);
  return verify(rows[0]!);
}

/** Opens the path read-only, looks, and closes. */
export async function readLedgerAt(
  duckdb: DuckdbProcess,
  path: string,
  random: SeededRandom,
  options: LookOptions = {},
): Promise<LedgerState> {
  await duckdb.open(path, { readOnly: true });
  const state = await readLedger(duckdb, random, options);
  await duckdb.close();
  return state;
}

type IndexPhase = 'none' | 'empty' | 'indexed' | 'plain';
export type StepKind = 'small' | 'update' | 'bulk' | 'table' | 'index' | 'checkpoint' | 'rollback';

export interface LedgerOptions {
  readonly bulkRows?: number;
  /** How often each kind of step is chosen, relative to the others. */
  readonly weights?: Readonly<Partial<Record<StepKind, number>>>;
}

const STANDARD_WEIGHTS: Readonly<Record<StepKind, number>> = {
  small: 60,
  update: 20,
  bulk: 3,
  table: 6,
  index: 3,
  checkpoint: 3,
  rollback: 3,
};

/** The only writer of a ledger. `acknowledged` never exceeds what DuckDB has confirmed. */
export class LedgerWriter {
  readonly counts: Record<StepKind, number> = {
    small: 0,
    update: 0,
    bulk: 0,
    table: 0,
    index: 0,
    checkpoint: 0,
    rollback: 0,
  };
  /** The newest seq whose COMMIT has returned, and the newest that was begun. */
  acknowledged = 0;
  attempted = 0;
  #extras = 0;
  #bulkRows = 0;
  #phase: IndexPhase = 'none';
  readonly #random: SeededRandom;
  readonly #bulkSize: number;
  readonly #kinds: readonly StepKind[];

  constructor(random: SeededRandom, options: LedgerOptions = {}) {
    this.#random = random;
    this.#bulkSize = options.bulkRows ?? 300_000;
    const weights = { ...STANDARD_WEIGHTS, ...options.weights };
    this.#kinds = (Object.keys(weights) as StepKind[]).flatMap((kind) =>
      Array.from({ length: weights[kind] }, () => kind),
    );
  }

  async create(duckdb: DuckdbProcess): Promise<void> {
    await duckdb.sql(`BEGIN; ${SCHEMA} COMMIT;`);
  }

  /** Takes up after a crash, from what is really there. */
  async resume(duckdb: DuckdbProcess, state: LedgerState): Promise<void> {
    this.acknowledged = state.seq;
    this.attempted = state.seq;
    this.#extras = state.extras;
    this.#bulkRows = state.bulk;
    const has = (list: string) => duckdb.number(`SELECT count(*) FROM ${list}`);
    const table = await has(`duckdb_tables() WHERE table_name = 'tagged'`);
    const index = await has(`duckdb_indexes() WHERE index_name = 'tagged_seq'`);
    this.#phase = table === 0 ? 'none' : index === 0 ? 'plain' : 'empty';
  }

  /** One step of a random kind. */
  async step(duckdb: DuckdbProcess): Promise<StepKind> {
    const kind = this.#random.pick(this.#kinds);
    await this.take(duckdb, kind);
    return kind;
  }

  async take(duckdb: DuckdbProcess, kind: StepKind): Promise<void> {
    if (kind === 'checkpoint') await duckdb.sql('CHECKPOINT');
    else if (kind === 'rollback') await this.#rollback(duckdb);
    else await this.#commit(duckdb, kind);
    this.counts[kind]++;
  }

  get commits(): number {
    const { checkpoint, rollback, ...commits } = this.counts;
    return Object.values(commits).reduce((sum, n) => sum + n, 0);
  }

  async #commit(
    duckdb: DuckdbProcess,
    kind: Exclude<StepKind, 'checkpoint' | 'rollback'>,
  ): Promise<void> {
    const seq = this.acknowledged + 1;
    const plan = {
      small: () => this.#small(seq),
      update: () => this.#update(),
      bulk: () => this.#bulk(seq),
      table: () => this.#table(seq),
      index: () => this.#index(seq),
    }[kind]();
    const sql = `BEGIN; ${plan.sql}; UPDATE ledger SET seq = ${seq}${plan.ledger ?? ''}; COMMIT;`;
    this.attempted = seq;
    await duckdb.sql(sql);
    this.acknowledged = seq;
    plan.done?.();
  }

  #small(seq: number): Plan {
    const count = this.#random.int(1, 20);
    const amount = this.#random.int(-1000, 1000);
    return {
      sql: `INSERT INTO events SELECT ${seq}, ${amount}, repeat(chr(${97 + (seq % 26)}), 20)
        FROM range(${count}); ${this.#transfer()}`,
      ledger: `, events = events + ${count}, total = total + ${count * amount}`,
    };
  }

  #transfer(): string {
    const sum = this.#random.int(-500, 500);
    const account = () => this.#random.int(0, ACCOUNTS - 1);
    return `UPDATE account_a SET balance = balance + ${sum} WHERE id = ${account()};
      UPDATE account_b SET balance = balance + ${sum} WHERE id = ${account()}`;
  }

  #update(): Plan {
    const step = this.#random.int(2, 9);
    const by = this.#random.int(1, 100);
    const change = (table: string) =>
      `UPDATE ${table} SET balance = balance + ${by} WHERE id % ${step} = 0`;
    return { sql: `${change('account_a')}; ${change('account_b')}` };
  }

  #bulk(seq: number): Plan {
    if (this.#bulkRows >= 2 * this.#bulkSize) {
      return {
        sql: 'DELETE FROM bulk',
        ledger: ', bulk = 0',
        done: () => {
          this.#bulkRows = 0;
        },
      };
    }
    const hashes = Array.from({ length: HASHES }, (_, k) => hashOf(k)).join(', ');
    return {
      sql: `INSERT INTO bulk SELECT seq, i, ${hashes}
        FROM (SELECT ${seq}::BIGINT seq, range i FROM range(${this.#bulkSize}))`,
      ledger: `, bulk = bulk + ${this.#bulkSize}`,
      done: () => {
        this.#bulkRows += this.#bulkSize;
      },
    };
  }

  /** Extra tables carry consecutive numbers; at most six of them. */
  #table(seq: number): Plan {
    const drop = this.#extras > 0 && (this.#extras > 5 || this.#random.next() < 0.4);
    const name = `extra_${drop ? this.#extras - 1 : this.#extras}`;
    const create = `CREATE TABLE ${name} (i BIGINT PRIMARY KEY, seq BIGINT);
      INSERT INTO ${name} SELECT range, ${seq} FROM range(500)`;
    return {
      sql: drop ? `DROP TABLE ${name}` : create,
      ledger: `, extras = extras ${drop ? '-' : '+'} 1`,
      done: () => {
        this.#extras += drop ? -1 : 1;
      },
    };
  }

  /**
   * An indexed table, then with rows, then without the index, then gone. The index is made while
   * the table is empty: DuckDB 1.5 cannot open a database read-only while its WAL holds a CREATE
   * INDEX on rows (duckdb/duckdb#24103, the same on any file system).
   */
  #index(seq: number): Plan {
    const plans: Readonly<Record<IndexPhase, { sql: string; next: IndexPhase }>> = {
      none: {
        sql: `CREATE TABLE tagged (seq BIGINT, tag VARCHAR); CREATE INDEX tagged_seq ON tagged(seq)`,
        next: 'empty',
      },
      empty: {
        sql: `INSERT INTO tagged SELECT ${seq} + range, 'tag' || range FROM range(2000)`,
        next: 'indexed',
      },
      indexed: { sql: 'DROP INDEX tagged_seq', next: 'plain' },
      plain: { sql: 'DROP TABLE tagged', next: 'none' },
    };
    const { sql, next } = plans[this.#phase];
    return {
      sql,
      done: () => {
        this.#phase = next;
      },
    };
  }

  async #rollback(duckdb: DuckdbProcess): Promise<void> {
    await duckdb.sql(`BEGIN; UPDATE ledger SET seq = seq + 1000000;
      INSERT INTO events VALUES (-1, 1, 'never committed'); ROLLBACK;`);
  }
}

interface Plan {
  readonly sql: string;
  /** More columns of the ledger to set. */
  readonly ledger?: string;
  /** What the writer remembers once the commit has returned. */
  readonly done?: () => void;
}
