/**
 * The process behind DuckdbWorker: stock DuckDB that times its own work, so that the way of the
 * request and of the answer is not part of any figure. It knows nothing of mounts.
 */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { checkedChunks } from '../../exec/duckdb/checkedStream.js';

export type Config = Readonly<Record<string, string>>;

export type Work =
  | { readonly op: 'open'; readonly path: string; readonly config: Config }
  | { readonly op: 'close' }
  /** Runs the statements one after another; one time for each. */
  | { readonly op: 'run'; readonly statements: readonly string[] }
  /** Opens, queries and closes again and again; times from the open to the answer. */
  | {
      readonly op: 'visit';
      readonly path: string;
      readonly config: Config;
      readonly sql: string;
      readonly times: number;
      readonly forMs: number;
    }
  /** Commits `statement` (`$i`: its number) until `stopWriting`; a checkpoint now and then. */
  | {
      readonly op: 'startWriting';
      readonly statement: string;
      readonly pauseMs: number;
      readonly checkpointEvery: number;
    }
  /** Fetches the whole result of `sql`, and looks at nothing of it. */
  | { readonly op: 'fetch'; readonly sql: string }
  | { readonly op: 'stopWriting' };

export interface Done {
  readonly ms: readonly number[];
  /** From the first to the last, with what the times leave out. */
  readonly elapsedMs: number;
  /** Of the last statement, as JSON text. */
  readonly rows: string;
}

export interface WorkRequest {
  readonly id: number;
  readonly work: Work;
}
export interface WorkReply {
  readonly id: number;
  readonly done?: Done;
  readonly error?: string;
}

let instance: DuckDBInstance | undefined;
let connection: DuckDBConnection | undefined;
let writing: { stop: boolean; readonly end: Promise<number> } | undefined;

function connected(): DuckDBConnection {
  if (connection === undefined) throw new Error('no database is open');
  return connection;
}

async function open(path: string, config: Config): Promise<void> {
  if (instance !== undefined) throw new Error('this process has a database open already');
  instance = await DuckDBInstance.create(path, { ...config });
  connection = await instance.connect();
}

function close(): void {
  connection?.closeSync();
  instance?.closeSync();
  connection = undefined;
  instance = undefined;
}

async function query(sql: string): Promise<string> {
  const reader = await connected().runAndReadAll(sql);
  return JSON.stringify(reader.getRowsJson());
}

async function timed(ms: number[], work: () => Promise<string>): Promise<string> {
  const start = performance.now();
  const rows = await work();
  ms.push(performance.now() - start);
  return rows;
}

async function visit(work: Work & { op: 'visit' }, ms: number[]): Promise<string> {
  const start = performance.now();
  let rows = '';
  while (ms.length < work.times && (ms.length === 0 || performance.now() - start < work.forMs)) {
    rows = await timed(ms, async () => {
      await open(work.path, work.config);
      return query(work.sql);
    });
    close();
  }
  return rows;
}

async function fetch(sql: string): Promise<string> {
  let rows = 0;
  const open = () => connected().stream(sql);
  for await (const chunk of checkedChunks(connected(), open)) rows += chunk.rowCount;
  return String(rows);
}

function startWriting(work: Work & { op: 'startWriting' }): void {
  const state = { stop: false };
  const loop = async (): Promise<number> => {
    let commits = 0;
    while (!state.stop) {
      commits++;
      await connected().run(work.statement.replaceAll('$i', String(commits)));
      if (commits % work.checkpointEvery === 0) await connected().run('CHECKPOINT');
      await new Promise((resolve) => setTimeout(resolve, work.pauseMs));
    }
    return commits;
  };
  const end = loop();
  end.catch(() => {}); // reported when it is stopped
  writing = Object.assign(state, { end });
}

async function stopWriting(): Promise<string> {
  if (writing === undefined) throw new Error('nothing is being written');
  const { end } = writing;
  writing.stop = true;
  writing = undefined;
  return JSON.stringify(await end);
}

async function perform(work: Work, ms: number[]): Promise<string> {
  switch (work.op) {
    case 'open':
      return timed(ms, async () => {
        await open(work.path, work.config);
        return '';
      });
    case 'close':
      return timed(ms, async () => {
        close();
        return '';
      });
    case 'run': {
      let rows = '';
      for (const sql of work.statements) rows = await timed(ms, () => query(sql));
      return rows;
    }
    case 'visit':
      return visit(work, ms);
    case 'fetch':
      return timed(ms, () => fetch(work.sql));
    case 'startWriting':
      startWriting(work);
      return '';
    case 'stopWriting':
      return stopWriting();
  }
}

async function answer({ id, work }: WorkRequest): Promise<WorkReply> {
  const ms: number[] = [];
  const start = performance.now();
  try {
    const rows = await perform(work, ms);
    return { id, done: { ms, elapsedMs: performance.now() - start, rows } };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : `${error}` };
  }
}

process.on('message', (request: WorkRequest) => {
  void answer(request).then((reply) => process.send!(reply));
});
process.on('disconnect', () => {
  close();
  process.exit(0);
});
