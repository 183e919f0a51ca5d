/**
 * Words of SQL, for the few statements that DuckDB does not serialize: enough to find their parts
 * without ever looking into names, texts or comments.
 */

export interface Token {
  readonly kind: 'word' | 'name' | 'text' | 'mark';
  /** Without quotes. */
  readonly value: string;
  /** Words in capitals, marks as they are. */
  readonly upper: string;
  readonly start: number;
  readonly end: number;
  /** How many parentheses, brackets and braces are open around it. */
  readonly depth: number;
}

const SPACE = /(?:\s+|--[^\n]*|\/\*[\s\S]*?\*\/)*/y;
const TOKEN =
  /"((?:[^"]|"")*)"|([eE]?'(?:[^']|'')*')|\$([A-Za-z_]\w*)?\$|([\p{L}_][\p{L}\p{N}_$]*)|([\s\S])/uy;

/** The end of a text between dollars. */
function dollarEnd(sql: string, tag: string, from: number): number {
  const end = sql.indexOf(tag, from);
  return end < 0 ? sql.length : end + tag.length;
}

export function tokens(sql: string): Token[] {
  const found: Token[] = [];
  let depth = 0;
  for (let at = 0; at < sql.length; ) {
    SPACE.lastIndex = at;
    SPACE.exec(sql);
    TOKEN.lastIndex = SPACE.lastIndex;
    const start = SPACE.lastIndex;
    const match = TOKEN.exec(sql);
    if (match === null) break;
    at = TOKEN.lastIndex;
    const [all, name, text, , word, mark] = match;
    const add = (kind: Token['kind'], value: string): void => {
      found.push({ kind, value, upper: value.toUpperCase(), start, end: at, depth });
    };
    if (name !== undefined) add('name', name.replaceAll('""', '"'));
    else if (text !== undefined) add('text', text);
    else if (word !== undefined) add('word', word);
    else if (mark === undefined) {
      at = dollarEnd(sql, all, at);
      add('text', sql.slice(start, at));
    } else {
      if (')]}'.includes(mark)) depth = Math.max(0, depth - 1);
      add('mark', mark);
      if ('([{'.includes(mark)) depth++;
    }
  }
  return found;
}
