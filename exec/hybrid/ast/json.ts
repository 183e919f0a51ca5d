/**
 * The text of json_serialize_sql() as objects and back without loss: numbers that JavaScript would
 * round (16 digits and more, fractions, exponents) stay text, places in the statement are dropped.
 */
import { OpenduckError } from '../../../proto/errors.js';
import type { Ast, AstValue } from './node.js';

const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const EXACT_INTEGER = /^-?\d{1,15}$/;
const KEPT = '#number';
/** Cannot be the inside of a JSON string: the quotes would be escaped there. */
const PRINTED = /\{"#number":"([-+.\deE]+)"\}/g;

/** Throws CORRUPT when it is no JSON object. */
export function parseAst(text: string): Ast {
  const kept = text.replace(STRING_OR_NUMBER, (token) =>
    token.startsWith('"') || EXACT_INTEGER.test(token) ? token : `{"${KEPT}":"${token}"}`,
  );
  const drop = (key: string, value: AstValue): AstValue => (key === 'query_location' ? 0 : value);
  const parsed: unknown = JSON.parse(kept, drop);
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw new OpenduckError('CORRUPT', 'DuckDB gave no syntax tree for the statement');
  }
  return parsed as Ast;
}

export function printAst(ast: Ast): string {
  return JSON.stringify(ast).replace(PRINTED, '$1');
}
