/**
 * What is recorded: stock DuckDB at work on a mounted database, in ways that differ in what they do
 * to the files. Every transaction takes the ledger one sequence number further.
 */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DuckdbProcess } from '../harness/duckdbProcess.js';
import { LedgerWriter, readLedger, type StepKind } from '../harness/ledger.js';
import { killGroup, must, startProcess } from '../harness/proc.js';
import type { SeededRandom } from '../harness/seeds.js';
import { cleanEnvironment, within } from '../harness/testRun.js';
import type { BusyNote, BusyOrder } from './replayBusyWriter.js';
import type { Recorder } from './replayRecorder.js';

const BUSY_WRITER = fileURLToPath(new URL('./replayBusyWriter.js', import.meta.url));
const LIMIT_MS = 60_000;

export type StorageVersion = 'default' | 'latest';

export interface WorkloadOptions {
  readonly recorder: Recorder;
  readonly database: string;
  readonly storage: StorageVersion;
  readonly random: SeededRandom;
  /** A local directory outside the mount. */
  readonly scratch: string;
  /** How much of it, 1 in the short form. */
  readonly scale: number;
}

/** One writer of one database at a time; notes what it begins and what was confirmed. */
class Workload {
  readonly options: WorkloadOptions;
  readonly path: string;
  duckdb = new DuckdbProcess();
  writer!: LedgerWriter;

  constructor(options: WorkloadOptions) {
    this.options = options;
    this.path = options.recorder.path(options.database);
  }

  get config(): Record<string, string> {
    const storage = this.options.storage === 'latest' ? 'latest' : 'v1.0.0';
    return { threads: '2', storage_compatibility_version: storage };
  }

  note(kind: 'begin' | 'mark', seq: number): Promise<void> {
    return this.options.recorder.note(kind, this.options.database, seq);
  }

  async create(bulkRows: number, weights: Readonly<Partial<Record<StepKind, number>>> = {}) {
    this.writer = new LedgerWriter(this.options.random, { bulkRows, weights });
    await this.duckdb.open(this.path, { config: this.config });
    await this.note('begin', 0);
    await this.writer.create(this.duckdb);
    await this.note('mark', 0);
  }

  async step(kind?: StepKind): Promise<void> {
    await this.note('begin', this.writer.acknowledged + 1);
    if (kind === undefined) await this.writer.step(this.duckdb);
    else await this.writer.take(this.duckdb, kind);
    await this.note('mark', this.writer.acknowledged);
  }

  async steps(count: number): Promise<void> {
    for (let i = 0; i < count * this.options.scale; i++) await this.step();
  }

  async reopen(): Promise<void> {
    await this.duckdb.close();
    await this.duckdb.open(this.path, { config: this.config });
  }

  /** kill -9 of the writer (in the middle of a transaction, if one is given); then recovery. */
  async crash(sql?: string): Promise<void> {
    const lost = sql === undefined ? undefined : this.duckdb.sql(sql).catch(() => {});
    if (lost !== undefined) await Promise.race([lost, delay(this.options.random.int(1, 60))]);
    await this.duckdb.kill();
    await this.recover();
  }

  async recover(): Promise<void> {
    if (this.duckdb.isGone) this.duckdb = new DuckdbProcess();
    await this.duckdb.open(this.path, { config: this.config });
    await this.writer.resume(this.duckdb, await readLedger(this.duckdb, this.options.random));
  }

  async end(): Promise<void> {
    if (!this.duckdb.isGone) await this.duckdb.end();
  }
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function smallCommits(w: Workload): Promise<void> {
  await w.create(1000, { bulk: 0, index: 0, checkpoint: 4 });
  await w.steps(30);
  await w.reopen();
  await w.steps(20);
  await w.crash();
  await w.steps(10);
  await w.crash('CHECKPOINT');
  await w.steps(5);
}

async function midSizeWal(w: Workload): Promise<void> {
  await w.create(10_000, { bulk: 50, update: 40, small: 10, checkpoint: 1, table: 0, index: 0 });
  await w.steps(18);
  await w.step('checkpoint');
  await w.steps(8);
  await w.crash('CREATE TABLE lost AS SELECT hash(i) h FROM range(200_000) r(i)');
}

/** Over the 16 MiB from which a transaction goes into the database file and not into the WAL. */
async function bulk(w: Workload): Promise<void> {
  await w.create(300_000);
  await w.step('small');
  await w.step('bulk');
  await w.step('small');
  await w.step('update');
  await w.crash('CREATE TABLE lost AS SELECT hash(i) h, hash(i + 1) g FROM range(400_000) r(i)');
  await w.step('small');
  await w.step('bulk');
  await w.step('checkpoint');
  await w.step('bulk'); // deletes all of it
}

async function indexes(w: Workload): Promise<void> {
  await w.create(1000, { index: 40, table: 25, small: 20, update: 10, bulk: 0, checkpoint: 6 });
  await w.steps(30);
  await w.crash();
  await w.steps(15);
}

async function definitions(w: Workload): Promise<void> {
  await w.create(40_000, { table: 40, small: 20, update: 10, bulk: 0, checkpoint: 2 });
  for (let i = 0; i < 3; i++) {
    await w.step('bulk'); // the third deletes all of it
    await w.step('checkpoint');
    await w.steps(4);
    await w.duckdb.sql(`CREATE TABLE shape (a INTEGER); INSERT INTO shape FROM range(5000);
      ALTER TABLE shape ADD COLUMN b VARCHAR DEFAULT 'b'; ALTER TABLE shape ALTER a TYPE BIGINT;
      ALTER TABLE shape RENAME TO form; CREATE VIEW seen AS SELECT * FROM form; VACUUM ANALYZE;
      DROP VIEW seen; DROP TABLE form; CHECKPOINT`);
  }
  await w.reopen();
  await w.step('checkpoint');
}

async function checkpointsUnderCommits(w: Workload): Promise<void> {
  await w.create(1000);
  for (const lives of [true, false, false]) {
    await w.duckdb.close();
    const commits = Math.ceil((lives ? 40 : 10) * w.options.scale);
    await runBusyWriter(w, commits, lives);
    await w.recover();
  }
}

/** To its end, or until a random moment after its last commit but some. */
async function runBusyWriter(w: Workload, commits: number, lives: boolean): Promise<void> {
  const order: BusyOrder = {
    path: w.path,
    config: w.config,
    firstSeq: w.writer.acknowledged + 1,
    commits: lives ? commits : 1_000_000,
    rows: 25_000,
  };
  const child = startProcess(process.execPath, [BUSY_WRITER, JSON.stringify(order)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: cleanEnvironment(),
  });
  let stderr = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = once(child, 'close') as Promise<[code: number | null]>;
  let killed = false;
  let failure: unknown;
  child.on('message', (note: BusyNote) => {
    w.note(note.kind, note.seq).then(
      () => {
        if (killed || !child.connected) return;
        child.send('go on', () => {}); // it may just have been killed
        if (lives || note.seq < order.firstSeq + commits) return;
        killed = true;
        setTimeout(() => killGroup(child), w.options.random.int(0, 30));
      },
      (error) => {
        failure = error;
        killGroup(child);
      },
    );
  });
  try {
    const [code] = await within(LIMIT_MS, 'the busy writer', ended);
    if (failure !== undefined) throw failure;
    if (code !== 0 && !killed) throw new Error(`the busy writer ended with ${code}: ${stderr}`);
  } finally {
    killGroup(child);
  }
}

/** `cp` does not fsync; then chmod and touch; then a writer. */
async function copiedIn(w: Workload): Promise<void> {
  const local = `${w.options.scratch}/${w.options.database}.duckdb`;
  w.writer = new LedgerWriter(w.options.random, { bulkRows: 5000, weights: { bulk: 5 } });
  await w.duckdb.open(local, { config: w.config });
  await w.writer.create(w.duckdb);
  // Until there is a WAL to copy: the last step may have been a checkpoint.
  for (let i = 0; i < 15 || !existsSync(`${local}.wal`); i++) await w.writer.step(w.duckdb);
  await w.duckdb.kill();
  await w.note('begin', w.writer.acknowledged);
  await must('cp', [local, `${local}.wal`, w.path.replace(/\/[^/]*$/, '')]);
  await w.note('mark', w.writer.acknowledged);
  await must('chmod', ['640', w.path]);
  await must('touch', [w.path]);
  await w.recover();
  await w.steps(15);
  await w.reopen();
  await w.steps(5);
}

export const WORKLOADS: Readonly<Record<string, (w: Workload) => Promise<void>>> = {
  smallCommits,
  midSizeWal,
  bulk,
  indexes,
  checkpointsUnderCommits,
  definitions,
  copiedIn,
};

/** Throws when DuckDB does: then the mount has failed it. */
export async function runWorkload(name: string, options: WorkloadOptions): Promise<void> {
  const workload = new Workload(options);
  try {
    await WORKLOADS[name]!(workload);
    await workload.duckdb.close();
  } finally {
    await workload.end();
  }
}
