/** Conditional requests (RFC 9110 §13) with strong entity tags only. Pure. */
import type { IncomingHttpHeaders } from 'node:http';

/** What to do: go on, 304, or 412. */
export type Verdict = 'go' | 'unchanged' | 'failed';

const TAGS = /(?:W\/)?"[^"]*"/g;

/** Whether a list of tags has one that is the same, strongly compared unless `weakly`. */
function lists(header: string, tag: string, weakly: boolean): boolean {
  if (header.trim() === '*') return true;
  const tags = header.match(TAGS) ?? [];
  return tags.some((other) => other === tag || (weakly && other === `W/${tag}`));
}

/** Of a GET or HEAD. Dates are not looked at: two commits may fall into one second. */
export function verdictOf(headers: IncomingHttpHeaders, tag: string): Verdict {
  const { 'if-match': match, 'if-none-match': noneMatch } = headers;
  if (match !== undefined && !lists(match, tag, false)) return 'failed';
  if (noneMatch !== undefined && lists(noneMatch, tag, true)) return 'unchanged';
  return 'go';
}

/** Whether Range counts: If-Range is absent, or has this very tag. */
export function rangeCounts(ifRange: string | undefined, tag: string): boolean {
  return ifRange === undefined || ifRange.trim() === tag;
}
