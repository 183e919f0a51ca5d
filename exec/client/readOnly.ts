/**
 * Whether a text may be sent a second time when nothing came back the first time: it must do the
 * same however often it runs. In doubt it may not; a wrong no only costs a retry.
 */

const READS = /^(select|from|values|table|describe|desc|show|summarize|with|explain|pivot|\()/i;
/** Anywhere, also in names and texts. */
const WORDS = `insert update delete merge create drop alter truncate copy export import attach detach
  call pragma set reset load install vacuum checkpoint begin commit nextval query analyze`;
const CHANGES = new RegExp(`\\b(${WORDS.replaceAll(/\s+/g, '|')})\\b`, 'i');

export function isPlainRead(sql: string): boolean {
  const text = sql.replace(/^(\s|--.*|\/\*[\s\S]*?\*\/)+/, '');
  const single = !text.trimEnd().replace(/;+$/, '').includes(';');
  return single && READS.test(text) && !CHANGES.test(text);
}
