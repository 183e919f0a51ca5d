/** The text of the last one of several statements, as DuckDB's parser would cut them. */

/** What may hold a semicolon that ends no statement. Sticky: each matches where it is put. */
const OPAQUE: readonly RegExp[] = [
  /--[^\n]*/y,
  /[eE]'(?:[^'\\]|\\.|'')*'/sy,
  /'(?:[^']|'')*'/y,
  /"(?:[^"]|"")*"/y,
];
const DOLLAR_QUOTE = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
const WORD = /[\w\u0080-\uffff$]+/y;
const COMMENT_MARK = /\/\*|\*\//g;

function matchAt(pattern: RegExp, sql: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(sql)?.[0];
}

/** Where a comment that begins at `at` ends; they nest. */
function commentEnd(sql: string, at: number): number {
  COMMENT_MARK.lastIndex = at;
  let depth = 0;
  for (let mark = COMMENT_MARK.exec(sql); mark !== null; mark = COMMENT_MARK.exec(sql)) {
    depth += mark[0] === '/*' ? 1 : -1;
    if (depth === 0) return COMMENT_MARK.lastIndex;
  }
  return sql.length;
}

/** The end of what stands at `at` and is passed over as a whole. */
function partEnd(sql: string, at: number): number {
  if (sql.startsWith('/*', at)) return commentEnd(sql, at);
  for (const pattern of OPAQUE) {
    const text = matchAt(pattern, sql, at);
    if (text !== undefined) return at + text.length;
  }
  const quote = matchAt(DOLLAR_QUOTE, sql, at);
  const end = quote === undefined ? -1 : sql.indexOf(quote, at + quote.length);
  if (quote !== undefined && end >= 0) return end + quote.length;
  return at + (matchAt(WORD, sql, at)?.length ?? 1);
}

/** Without the semicolon at its end; empty when there is none. */
export function lastStatement(sql: string): string {
  let begin = 0;
  let last = '';
  let hasWords = false;
  for (let at = 0; at < sql.length; ) {
    if (sql[at] === ';') {
      if (hasWords) last = sql.slice(begin, at);
      at++;
      begin = at;
      hasWords = false;
      continue;
    }
    const end = partEnd(sql, at);
    const isComment = sql.startsWith('--', at) || sql.startsWith('/*', at);
    hasWords ||= !isComment && sql.slice(at, end).trim() !== '';
    at = end;
  }
  return (hasWords ? sql.slice(begin) : last).trim();
}
