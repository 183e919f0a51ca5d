/**
 * The process behind DuckdbProcess: stock DuckDB, driven by JSON lines on stdin, answering with
 * JSON lines on stdout. It knows nothing of openduck-fuse.
 */
import { createInterface } from 'node:readline';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';

export type Row = Record<string, unknown>;

export type ChildRequest =
  | {
      readonly id: number;
      readonly op: 'open';
      readonly path: string;
      readonly config: Record<string, string>;
    }
  | { readonly id: number; readonly op: 'sql'; readonly sql: string }
  | { readonly id: number; readonly op: 'close' };

export type ChildReply =
  | { readonly id: number; readonly ok: true; readonly rows: readonly Row[] }
  | { readonly id: number; readonly ok: false; readonly error: string };

let instance: DuckDBInstance | undefined;
let connection: DuckDBConnection | undefined;

async function open(path: string, config: Record<string, string>): Promise<Row[]> {
  if (instance !== undefined) throw new Error('this process has a database open already');
  instance = await DuckDBInstance.create(path, config);
  connection = await instance.connect();
  return [];
}

async function query(sql: string): Promise<Row[]> {
  if (connection === undefined) throw new Error('no database is open');
  const reader = await connection.runAndReadAll(sql);
  return reader.getRowObjectsJson() as Row[];
}

function close(): Row[] {
  connection?.closeSync();
  instance?.closeSync();
  connection = undefined;
  instance = undefined;
  return [];
}

async function answer(request: ChildRequest): Promise<ChildReply> {
  try {
    const rows =
      request.op === 'open'
        ? await open(request.path, request.config)
        : request.op === 'sql'
          ? await query(request.sql)
          : close();
    return { id: request.id, ok: true, rows };
  } catch (error) {
    return {
      id: request.id,
      ok: false,
      error: error instanceof Error ? error.message : `${error}`,
    };
  }
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  void answer(JSON.parse(line) as ChildRequest).then((reply) => {
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  });
});
lines.on('close', () => {
  close();
  process.exit(0);
});
