/**
 * A child process of the replay harness: DuckDB with two connections, one that commits to the
 * ledger, and one that loads rows and checkpoints them away meanwhile, so that commits fall into
 * checkpoints. Over the IPC channel it says what it is about to commit and what was confirmed, and
 * goes on when it is told.
 */
import { once } from 'node:events';
import { DuckDBInstance } from '@duckdb/node-api';

export interface BusyNote {
  readonly kind: 'begin' | 'mark';
  readonly seq: number;
}

export interface BusyOrder {
  readonly path: string;
  readonly config: Record<string, string>;
  readonly firstSeq: number;
  readonly commits: number;
  readonly rows: number;
}

const { path, config, firstSeq, commits, rows } = JSON.parse(process.argv[2]!) as BusyOrder;

async function tell(note: BusyNote): Promise<void> {
  const answer = once(process, 'message');
  process.send!(note);
  await answer;
}

/**
 * An update or a delete keeps checkpoints waiting, an insert does not: the ledger becomes a view of
 * a table that only grows. A gap in it makes the sum of `bulk` wrong.
 */
const INSERT_ONLY = `BEGIN;
  CREATE TABLE entries AS FROM ledger;
  DROP TABLE ledger;
  CREATE VIEW ledger AS SELECT max(seq) seq, sum(events)::BIGINT events, sum(total)::BIGINT total,
    if(count(*) = max(seq) - min(seq) + 1, sum(bulk), -1)::BIGINT bulk,
    sum(extras)::BIGINT extras FROM entries;
  CREATE TABLE side (i BIGINT, h UBIGINT);
  COMMIT`;

const instance = await DuckDBInstance.create(path, config);
const committer = await instance.connect();
const loader = await instance.connect();
let committing = true;

async function commitAll(): Promise<void> {
  for (let seq = firstSeq; seq < firstSeq + commits; seq++) {
    const count = 1 + (seq % 7);
    await tell({ kind: 'begin', seq });
    await committer.run(`BEGIN;
      INSERT INTO events SELECT ${seq}, 7, repeat(chr(${97 + (seq % 26)}), 20) FROM range(${count});
      INSERT INTO entries VALUES (${seq}, ${count}, ${7 * count}, 0, 0);
      COMMIT`);
    await tell({ kind: 'mark', seq });
  }
  committing = false;
}

/** Begins only between two commits; then they go on beside it, into `.wal.checkpoint`. */
async function checkpoint(): Promise<void> {
  for (let attempt = 0; committing && attempt < 20; attempt++) {
    try {
      await loader.run('CHECKPOINT');
      return;
    } catch (error) {
      if (!String(error).includes('other write transactions active')) throw error;
    }
  }
}

async function load(): Promise<void> {
  for (let round = 0; committing; round++) {
    await loader.run(`INSERT INTO side SELECT i, hash(i) FROM range(${rows}) r(i)`);
    await checkpoint();
    if (round % 4 === 3) await loader.run('DELETE FROM side');
  }
}

const views = await loader.runAndReadAll(`FROM duckdb_views() WHERE view_name = 'ledger'`);
if (views.currentRowCount === 0) await loader.run(INSERT_ONLY);
await Promise.all([commitAll(), load()]);
committer.closeSync();
loader.closeSync();
instance.closeSync();
process.disconnect();
