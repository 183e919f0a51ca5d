/** Parameters become constants before planning: what is pushed must stand on its own. */
import type { DuckDBValue } from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import { quoteText } from '../duckdb/sqlText.js';
import { type Ast, cloneAst, isSelect, someNode } from './ast/node.js';
import { replaceNodes } from './doubles.js';
import type { Local } from './local.js';

/** By position, or by name. */
export type Parameters = readonly DuckDBValue[] | Readonly<Record<string, DuckDBValue>>;

/** DuckDB's own text of each value, cast to the type that it takes the value for. */
export async function parameterTexts(
  parameters: Parameters,
  local: Local,
): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  const entries = Array.isArray(parameters)
    ? parameters.map((value, i) => [String(i + 1), value] as const)
    : Object.entries(parameters as Record<string, DuckDBValue>);
  for (const [name, value] of entries) {
    const [[text, type] = []] = await local.rows('SELECT $1::VARCHAR, typeof($1)', [value]);
    const isNull = text === null || text === undefined;
    texts.set(
      name.toLowerCase(),
      isNull ? nullText(String(type)) : `CAST(${quoteText(String(text))} AS ${type})`,
    );
  }
  return texts;
}

function nullText(type: string): string {
  return type === '"NULL"' ? 'NULL' : `CAST(NULL AS ${type})`;
}

function isParameter(node: Ast): boolean {
  return node['class'] === 'PARAMETER';
}

/** Changes the tree. Throws INVALID_ARGUMENT when a value is missing. */
export async function bindParameters(
  query: Ast,
  parameters: Parameters,
  local: Local,
): Promise<void> {
  if (!someNode(query, isParameter)) return;
  const texts = await parameterTexts(parameters, local);
  const names = [...texts.keys()];
  const parsed = await local.serialize(`SELECT ${[...texts.values()].join(', ') || 'NULL'}`);
  const top = 'queries' in parsed ? parsed.queries[0] : undefined;
  const values = top !== undefined && isSelect(top) ? top.select_list : [];
  replaceNodes(query, (node) => {
    if (!isParameter(node)) return undefined;
    const name = String(node['identifier']);
    const value = values[names.indexOf(name.toLowerCase())];
    if (value === undefined || names.length === 0) {
      throw new OpenduckError('INVALID_ARGUMENT', `no value was given for the parameter $${name}`);
    }
    return { ...cloneAst(value), alias: node['alias'] ?? '' };
  });
}
