/**
 * Whether a fragment may be sent to another worker after one failed. What changes data must not be
 * done twice: in doubt it is not sent again, and its client decides.
 */
import { errorCode } from '../../proto/errors.js';
import type { Failure } from './workerLink.js';

const READS = /^(select|from|values|table|describe|desc|show|summarize|with|explain|pivot|\()/i;
/** Anywhere, also in names and texts: a wrong no only costs a retry. */
const WORDS = `insert update delete merge create drop alter truncate copy export import attach detach
  call pragma set reset load install vacuum checkpoint begin commit nextval query analyze`;
const CHANGES = new RegExp(`\\b(${WORDS.replaceAll(/\s+/g, '|')})\\b`, 'i');

/** One statement that does the same however often it runs, as far as its text tells. */
export function isPlainRead(sql: string): boolean {
  const text = sql.replace(/^(\s|--.*|\/\*[\s\S]*?\*\/)+/, '');
  const isSingle = !text.trimEnd().replace(/;+$/, '').includes(';');
  return isSingle && READS.test(text) && !CHANGES.test(text);
}

export interface Attempted {
  readonly sql: string;
  /** Its worker was told that it must not write. */
  readonly isReadOnly: boolean;
  /** A part of the answer went to the client. */
  readonly hasAnswered: boolean;
}

export function mayRetry({ error, notStarted }: Failure, attempted: Attempted): boolean {
  const { sql, isReadOnly, hasAnswered } = attempted;
  if (hasAnswered) return false;
  if (notStarted) return true;
  const code = errorCode(error);
  if (code !== 'UNAVAILABLE' && code !== 'OVERLOADED') return false;
  return isReadOnly || isPlainRead(sql);
}
