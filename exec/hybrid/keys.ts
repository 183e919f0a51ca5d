/** Bridges from here to there: the keys of a local table, as part of the SQL that is sent. */

import { quoteName, quoteText } from '../duckdb/sqlText.js';
import type { Local } from './local.js';
import type { SemiJoin } from './plan/pull.js';

const MOST_KEYS = 100_000;
const MOST_BYTES = 1 << 20;
/** Of tables whose rows the remote side does not know. */
const MOST_KEYS_OF_VIEWS = 10_000;
/** Keys are worth sending when there are this many remote rows for each. */
const ROWS_PER_KEY = 4;

export interface Keys {
  readonly column: string;
  readonly source: string;
  readonly count: number;
  /** `"column" IN (…)`. */
  readonly condition: string;
}

function mostKeys({ remoteRows }: SemiJoin): number {
  if (remoteRows === undefined) return MOST_KEYS_OF_VIEWS;
  return Math.min(MOST_KEYS, Math.floor(remoteRows / ROWS_PER_KEY));
}

/** undefined when there are too many. Throws QUERY, CANCELLED. */
export async function fetchKeys(local: Local, semiJoin: SemiJoin): Promise<Keys | undefined> {
  const most = mostKeys(semiJoin);
  const [[found, json, typed] = []] = await local.rows(
    `SELECT count(*), coalesce(to_json(list(k ORDER BY k)), '[]')::VARCHAR, any_value(typeof(k))
      FROM (SELECT DISTINCT k FROM (${await local.text(semiJoin.keys)}) z(k)
        WHERE k IS NOT NULL LIMIT ${most + 1})`,
  );
  const [count, text] = [Number(found), String(json)];
  if (count > most || text.length > MOST_BYTES) return undefined;
  const { column, source } = semiJoin;
  const type = quoteText(JSON.stringify([String(typed ?? 'INTEGER')]));
  const list = `SELECT unnest(from_json(${quoteText(text)}, ${type}))`;
  return { column, source, count, condition: `${quoteName(column)} IN (${list})` };
}
