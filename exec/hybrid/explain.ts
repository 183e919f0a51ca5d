/**
 * How a statement would be answered: the local plan, with the remote plans where it reads bridges.
 *
 *     [LOCAL] HASH_JOIN INNER o_custkey = c_custkey ~40 rows
 *       [BRIDGE] R→L table orders est=1000 rows, 12000 bytes; actual=40 rows, 811 bytes
 *         [BRIDGE] L→R keys of customer: o_custkey IN (5 keys), 61 bytes
 *         [REMOTE] SELECT … FROM main.orders
 *         [REMOTE] SEQ_SCAN orders ~1000 rows
 *       [LOCAL] SEQ_SCAN customer ~5 rows
 *     note: …
 */
import type { Bridge } from './bridges.js';
import { estimateOf, type Operator, parsePlan } from './planTree.js';
import { estimatedBytes } from './report.js';
import type { HybridRun, Planned } from './run.js';
import type { Statement } from './statement.js';

class Lines {
  readonly #lines: string[] = [];

  add(depth: number, text: string): void {
    this.#lines.push('  '.repeat(depth) + text);
  }

  toString(): string {
    return this.#lines.join('\n');
  }
}

function describe({ name, table, details, estimatedRows, rows }: Operator): string {
  const parts = [name, table, details].filter((part) => part !== undefined && part !== '');
  if (rows !== undefined) parts.push(`rows=${rows}`);
  else if (estimatedRows !== undefined) parts.push(`~${estimatedRows} rows`);
  return parts.join(' ');
}

async function planOf(rows: readonly (readonly unknown[])[]): Promise<readonly Operator[]> {
  return parsePlan(String(rows.at(-1)?.[1] ?? '[]'));
}

/** `analyze`: the statement runs, and rows and bytes are counted. Throws as runHybrid(). */
export async function explainStatement(
  run: HybridRun,
  statement: Statement,
  analyze: boolean,
): Promise<string> {
  const planned = analyze ? await run.load(statement) : await run.plan(statement, { dry: true });
  const lines = new Lines();
  const text = planned?.text ?? statement.prefix + statement.query + statement.suffix;
  const kind = analyze ? 'ANALYZE, FORMAT JSON' : 'FORMAT JSON';
  const explain = (): Promise<readonly (readonly unknown[])[]> =>
    run.local.rows(`EXPLAIN (${kind}) ${text}`);
  // Empty bridges would make DuckDB leave out what reads them.
  const shown = analyze ? undefined : await run.scratch.whilePlanning(explain);
  const local = shown ?? (await explain());
  const remote = new Map<Bridge, readonly Operator[]>();
  for (const bridge of planned?.bridges ?? []) {
    remote.set(bridge, await remotePlan(run, planned!, bridge));
  }
  for (const root of await planOf(local)) show(lines, root, 0, remote);
  for (const note of planned?.prepared.planning.notes ?? []) lines.add(0, `note: ${note}`);
  return lines.toString();
}

async function remotePlan(
  { request, local }: HybridRun,
  { prepared }: Planned,
  { sql }: Bridge,
): Promise<readonly Operator[]> {
  const asked = `${prepared.settings}EXPLAIN (FORMAT JSON) ${sql}`;
  return planOf((await request.remote.rows(asked, local.signal)).rows);
}

function show(
  lines: Lines,
  operator: Operator,
  depth: number,
  remote: ReadonlyMap<Bridge, readonly Operator[]>,
): void {
  for (const [bridge, plan] of remote) {
    const name = operator.table?.toLowerCase();
    if (name !== undefined && (name === bridge.pull.shell || name === bridge.loaded)) {
      showBridge(lines, bridge, plan, depth);
      return;
    }
  }
  lines.add(depth, `[LOCAL] ${describe(operator)}`);
  for (const child of operator.children) show(lines, child, depth + 1, remote);
}

function showBridge(lines: Lines, bridge: Bridge, plan: readonly Operator[], depth: number): void {
  const rows = estimateOf(plan);
  const bytes = estimatedBytes(bridge, rows);
  let text = `[BRIDGE] R→L ${bridge.pull.label} est=${rows ?? '?'} rows, ${bytes ?? '?'} bytes`;
  const { transfer } = bridge;
  if (transfer !== undefined) text += `; actual=${transfer.rows} rows, ${transfer.bytes} bytes`;
  lines.add(depth, text);
  for (const { source, column, count, condition } of bridge.keys) {
    const size = Buffer.byteLength(condition);
    lines.add(
      depth + 1,
      `[BRIDGE] L→R keys of ${source}: ${column} IN (${count} keys), ${size} bytes`,
    );
  }
  lines.add(depth + 1, `[REMOTE] ${bridge.shown.replaceAll(/\s+/g, ' ')}`);
  for (const operator of plan) showRemote(lines, operator, depth + 1);
}

function showRemote(lines: Lines, operator: Operator, depth: number): void {
  lines.add(depth, `[REMOTE] ${describe(operator)}`);
  for (const child of operator.children) showRemote(lines, child, depth + 1);
}
