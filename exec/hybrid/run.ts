/** Runs statements over local and remote tables. */
import type { DuckDBConnection, DuckDBResult } from '@duckdb/node-api';
import { type Bridge, loadBridges, planBridges } from './bridges.js';
import { Local } from './local.js';
import { prepare, type Request } from './prepare.js';
import { Scratch } from './scratch.js';

export interface HybridRequest extends Request {
  readonly local: DuckDBConnection;
  readonly signal?: AbortSignal;
}

/** One crossing between the sides. */
export interface BridgeReport {
  readonly direction: 'remote to local' | 'local to remote';
  /** What was moved: `table lineitem`, `join of a, b`, `keys of a`. */
  readonly table: string;
  readonly sql: string;
  readonly estimatedRows: number | undefined;
  readonly rows: number;
  readonly bytes: number;
}

export interface HybridResult {
  /** Streams; to be read before dispose(). */
  readonly result: DuckDBResult;
  readonly bridges: readonly BridgeReport[];
  /** Why something was not done on the remote side. */
  readonly notes: readonly string[];
  /** Drops everything temporary. Must be called, whatever became of the result; never throws. */
  dispose(): Promise<void>;
}

export async function runHybrid(sql: string, request: HybridRequest): Promise<HybridResult> {
  const { local: connection, signal, remote } = request;
  const local = new Local(connection, signal);
  const scratch = new Scratch(local);
  const interrupt = (): void => connection.interrupt();
  signal?.addEventListener('abort', interrupt);
  const dispose = async (): Promise<void> => {
    signal?.removeEventListener('abort', interrupt);
    await scratch.dispose();
  };
  try {
    const parsed = await local.serialize(sql);
    if (!('queries' in parsed)) throw local.failure(new Error(parsed.refused));
    const prepared = await prepare(parsed.queries[0]!, local, scratch, request);
    if (prepared === undefined) {
      const result = await local.stream(sql);
      return { result, bridges: [], notes: [], dispose };
    }
    const { planning, text, settings } = prepared;
    const bridges = await planBridges(planning, text);
    await loadBridges(planning, bridges, remote, settings);
    const result = await local.stream(text);
    return { result, bridges: bridges.flatMap(report), notes: planning.notes, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function report({ pull, shown, keys, transfer }: Bridge): BridgeReport[] {
  const estimates = pull.tables.map(({ estimatedRows }) => estimatedRows);
  const estimatedRows = pull.tables.length === 1 ? estimates[0] : undefined;
  const { rows = 0, bytes = 0 } = transfer ?? {};
  return [
    ...keys.map(({ source, count, condition }) => ({
      direction: 'local to remote' as const,
      table: `keys of ${source}`,
      sql: condition.slice(0, 200),
      estimatedRows: undefined,
      rows: count,
      bytes: Buffer.byteLength(condition),
    })),
    {
      direction: 'remote to local',
      table: pull.label,
      sql: shown,
      estimatedRows,
      rows,
      bytes,
    },
  ];
}
