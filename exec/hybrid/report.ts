/** What crossed the bridges of a query. */
import type { Bridge } from './bridges.js';
import type { Column } from './column.js';

/** One crossing between the sides. */
export interface BridgeReport {
  readonly direction: 'remote to local' | 'local to remote';
  /** What was moved: `table lineitem`, `join of a, b`, `keys of a`. */
  readonly table: string;
  /** What the remote side was asked. */
  readonly sql: string;
  /** Before it was asked, as far as sizes of tables tell; undefined when they do not. */
  readonly estimatedRows: number | undefined;
  readonly estimatedBytes: number | undefined;
  readonly rows: number;
  readonly bytes: number;
}

const WIDTHS: readonly (readonly [RegExp, number])[] = [
  [/^(BOOLEAN|U?TINYINT)$/, 1],
  [/^U?SMALLINT$/, 2],
  [/^(U?INTEGER|FLOAT|DATE|ENUM\(.*)$/, 4],
  [/^(U?HUGEINT|UUID|INTERVAL|DECIMAL.*)$/, 16],
  [/^(U?BIGINT|DOUBLE|TIME.*)$/, 8],
];
/** Texts and nested values, without knowing any. */
const OTHER_WIDTH = 24;

/** Bytes of a row with these columns. */
export function rowWidth(columns: readonly Column[]): number {
  return columns.reduce((sum, { type }) => {
    const width = WIDTHS.find(([pattern]) => pattern.test(type))?.[1] ?? OTHER_WIDTH;
    return sum + (type.endsWith(']') ? OTHER_WIDTH : width);
  }, 0);
}

export function estimatedRows({ pull: { tables, query } }: Bridge): number | undefined {
  const [table] = tables;
  const isScan = query['type'] === 'SELECT_NODE' && query['where_clause'] === null;
  return tables.length === 1 && isScan ? table!.estimatedRows : undefined;
}

export function estimatedBytes(bridge: Bridge, rows: number | undefined): number | undefined {
  const kept = bridge.pull.columns.filter((_, i) => bridge.needed[i]);
  return rows === undefined ? undefined : rows * rowWidth(kept);
}

export function reportOf(bridge: Bridge): BridgeReport[] {
  const { pull, shown, keys, transfer } = bridge;
  const rows = estimatedRows(bridge);
  const up = keys.map(({ source, column, count, condition }): BridgeReport => {
    const bytes = Buffer.byteLength(condition);
    return {
      direction: 'local to remote',
      table: `keys of ${source}`,
      sql: `${column} IN (${count} keys)`,
      estimatedRows: count,
      estimatedBytes: bytes,
      rows: count,
      bytes,
    };
  });
  return [
    ...up,
    {
      direction: 'remote to local',
      table: pull.label,
      sql: shown,
      estimatedRows: rows,
      estimatedBytes: estimatedBytes(bridge, rows),
      rows: transfer?.rows ?? 0,
      bytes: transfer?.bytes ?? 0,
    },
  ];
}
