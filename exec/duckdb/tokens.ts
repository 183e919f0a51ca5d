/**
 * Words of SQL, for what DuckDB does not tell: enough to find the parts of a text without ever
 * looking into names, texts or comments.
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

const SPACE = /(?:\s+|--[^\n\r]*)*/y;
/** Of comments, which nest. */
const COMMENT_MARK = /\/\*|\*\//g;
const TOKEN =
  /"((?:[^"]|"")*)"|([eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*')|\$([A-Za-z_]\w*)?\$|([\p{L}_][\p{L}\p{N}_$]*)|([\s\S])/uy;

/** Where a comment that begins at `at` ends. */
function commentEnd(sql: string, at: number): number {
  COMMENT_MARK.lastIndex = at;
  let depth = 0;
  for (let mark = COMMENT_MARK.exec(sql); mark !== null; mark = COMMENT_MARK.exec(sql)) {
    depth += mark[0] === '/*' ? 1 : -1;
    if (depth === 0) return COMMENT_MARK.lastIndex;
  }
  return sql.length;
}

/** The next place that is neither space nor comment. */
function spaceEnd(sql: string, from: number): number {
  for (let at = from; ; at = commentEnd(sql, at)) {
    SPACE.lastIndex = at;
    SPACE.exec(sql);
    at = SPACE.lastIndex;
    if (!sql.startsWith('/*', at)) return at;
  }
}

/** The end of a text between dollars. */
function dollarEnd(sql: string, tag: string, from: number): number {
  const end = sql.indexOf(tag, from);
  return end < 0 ? sql.length : end + tag.length;
}

export function tokens(sql: string): Token[] {
  const found: Token[] = [];
  let depth = 0;
  for (let at = 0; at < sql.length; ) {
    const start = spaceEnd(sql, at);
    TOKEN.lastIndex = start;
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

/** Whether it ends a statement. */
export function isSemicolon({ kind, value, depth }: Token): boolean {
  return kind === 'mark' && value === ';' && depth === 0;
}
