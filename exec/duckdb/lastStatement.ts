/** The text of the last one of several statements, as DuckDB's parser would cut them. */
import { isSemicolon, tokens } from './tokens.js';

/** Without the semicolon at its end; empty when there is none. */
export function lastStatement(sql: string): string {
  const all = tokens(sql);
  const last = all.findLastIndex((token) => !isSemicolon(token));
  if (last < 0) return '';
  const before = all.findLastIndex((token, i) => i < last && isSemicolon(token));
  return sql.slice(all[before]?.end ?? 0, all[last + 1]?.start).trim();
}
