/** Which columns of a table were declared with COLLATE: DuckDB tells it only in the table's SQL. */

import { type Token, tokens } from '../duckdb/tokens.js';
import { lower } from './ast/node.js';

/** Collations by column name in lower case, of what duckdb_tables().sql gave. */
export function collations(sql: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  if (!/\bCOLLATE\b/i.test(sql)) return found;
  const inside = tokens(sql).filter(({ depth }) => depth >= 1);
  let column: Token | undefined;
  let fresh = true;
  for (const [i, token] of inside.entries()) {
    if (token.depth === 1 && token.kind === 'mark' && token.value === ',') fresh = true;
    else if (fresh) {
      column = token;
      fresh = false;
    } else if (token.depth === 1 && token.kind === 'word' && token.upper === 'COLLATE') {
      found.set(lower(column!.value), collationFrom(inside, i + 1));
    }
  }
  return found;
}

/** `nocase.noaccent` is one collation. */
function collationFrom(all: readonly Token[], from: number): string {
  let text = '';
  for (let i = from; i < all.length; i += 2) {
    text += all[i]!.value;
    if (all[i + 1]?.value !== '.') break;
    text += '.';
  }
  return text;
}
