/**
 * WHEN: how a user points at a moment of a database's history. The forms, tried in this order:
 *
 * | form | meaning |
 * |---|---|
 * | a snapshot's name | that snapshot (the store looks it up before it parses) |
 * | 4 or more hexadecimal digits, dashes as in a UUID or none | the snapshot whose id begins so |
 * | `~N` | the N-th snapshot before the head; `~0` is the head |
 * | `now` | the head |
 * | `5 minutes ago`, `90s ago`, `5min`, `2d` | the newest snapshot committed by then |
 * | `yesterday` | the same, 24 hours ago |
 * | `2026-05-01`, `2026-05-01T10:30[:15[.250]][Z or ±hh[:mm]]` | the newest one committed by then |
 * | a time, `_` and an id | that id: names in `.snapshots` that the time alone does not tell |
 *
 * A space may stand for the `T`; a date alone is its midnight; without `Z` or an offset the time is
 * local. Upper and lower case are the same. `123d` is the beginning of an id: write `123 days`.
 */
import { OpenduckError } from '../proto/errors.js';
import { type WallTime, wallTime } from '../proto/ids.js';

export type When =
  /** `prefix` is the beginning of an id in UUID form: lower case, with its dashes. */
  | { readonly kind: 'id'; readonly prefix: string }
  | { readonly kind: 'back'; readonly steps: number }
  | { readonly kind: 'time'; readonly at: WallTime }
  /** None of the forms: only a name could have been meant. */
  | { readonly kind: 'other' };

const ID_DIGITS = /^[0-9a-f]{4,32}$/;
const DASHES = [8, 13, 18, 23];
const BACK = /^~(\d{1,9})$/;
const AGO = /^(\d{1,9}) *([a-z]+)( +ago)?$/;
const DATE = /(\d{4})-(\d\d)-(\d\d)/.source;
const TIME_OF_DAY = /(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?/.source;
const ZONE = /(z|[+-]\d\d(?::?\d\d)?)/.source;
const DATE_TIME = new RegExp(`^${DATE}(?:[t ]${TIME_OF_DAY}${ZONE}?)?$`);
const DATED_ID = new RegExp(`^${DATE}t${TIME_OF_DAY}z_([0-9a-f-]+)$`);
const LIKE_A_DATE = /^\d{4}-\d/;

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Milliseconds. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ...['s', 'sec', 'secs', 'second', 'seconds'].map((unit) => [unit, SECOND] as const),
  ...['m', 'min', 'mins', 'minute', 'minutes'].map((unit) => [unit, MINUTE] as const),
  ...['h', 'hour', 'hours'].map((unit) => [unit, HOUR] as const),
  ...['d', 'day', 'days'].map((unit) => [unit, DAY] as const),
  ...['w', 'week', 'weeks'].map((unit) => [unit, 7 * DAY] as const),
]);

/** For error messages. */
export const WHEN_FORMS =
  'a snapshot name or id, ~N, 2026-05-01T10:30:00Z, 2026-05-01 10:30, 5 minutes ago, or 5min';

function invalid(text: string, why: string): OpenduckError {
  return new OpenduckError('INVALID_ARGUMENT', `'${text}' is not a moment: ${why}`, {
    hint: `Give ${WHEN_FORMS}.`,
  });
}

/** The same digits with the dashes of a UUID, or undefined when they are at other places. */
function uuidPrefix(text: string): string | undefined {
  const digits = text.replaceAll('-', '');
  if (!ID_DIGITS.test(digits)) return undefined;
  let dashed = '';
  for (const digit of digits) {
    if (DASHES.includes(dashed.length)) dashed += '-';
    dashed += digit;
  }
  if (text === digits || text === dashed) return dashed;
  return text === `${dashed}-` && DASHES.includes(dashed.length) ? text : undefined;
}

function parseAgo(text: string, match: RegExpExecArray, now: WallTime): When {
  const unit = UNITS.get(match[2]!);
  if (unit === undefined && match[3] === undefined) return { kind: 'other' };
  if (unit === undefined) {
    throw invalid(text, `'${match[2]}' is not seconds, minutes, hours, days or weeks`);
  }
  // Before 1970 there is nothing to find, and a time that far back could not be printed.
  return { kind: 'time', at: wallTime(Math.max(0, now - Number(match[1]) * unit)) };
}

/** Minutes east of UTC; undefined: local time. */
function offsetMinutes(text: string, zone: string | undefined): number | undefined {
  if (zone === undefined) return undefined;
  if (zone === 'z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(':', '') || '0');
  if (hours > 23 || minutes > 59) throw invalid(text, `there is no offset ${zone}`);
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}

function parseDateTime(text: string, match: RegExpExecArray): When {
  const [year, month, day, hour, minute, second] = match
    .slice(1, 7)
    .map((part) => Number(part ?? '0')) as [number, number, number, number, number, number];
  const ms = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3));
  // setUTCFullYear, because Date.UTC takes years below 100 for the 20th century.
  const utc = new Date(0);
  utc.setUTCFullYear(year, month - 1, day);
  if (utc.getUTCMonth() !== month - 1 || utc.getUTCDate() !== day) {
    throw invalid(text, 'there is no such day');
  }
  if (hour > 23 || minute > 59 || second > 59) throw invalid(text, 'there is no such time of day');
  const offset = offsetMinutes(text, match[8]);
  if (offset !== undefined) {
    utc.setUTCHours(hour, minute - offset, second, ms);
    return { kind: 'time', at: wallTime(utc.getTime()) };
  }
  const local = new Date(2000, 0, 1, hour, minute, second, ms);
  local.setFullYear(year, month - 1, day);
  local.setHours(hour, minute, second, ms);
  return { kind: 'time', at: wallTime(local.getTime()) };
}

/**
 * Pure but for the local time zone of the process. `now` is what `ago` counts from. Throws
 * INVALID_ARGUMENT for a text that begins like one of the forms and then makes no sense.
 */
export function parseWhen(text: string, now: WallTime): When {
  const plain = text.trim().toLowerCase();
  const prefix = uuidPrefix(plain);
  if (prefix !== undefined) return { kind: 'id', prefix };
  const back = BACK.exec(plain);
  if (back !== null) return { kind: 'back', steps: Number(back[1]) };
  if (plain.startsWith('~')) throw invalid(text, '~ wants a number after it, as in ~3');
  // Not a time: a clock that was set back must not hide the newest snapshot.
  if (plain === 'now') return { kind: 'back', steps: 0 };
  const dated = uuidPrefix(DATED_ID.exec(plain)?.at(-1) ?? '');
  if (dated !== undefined) return { kind: 'id', prefix: dated };
  if (plain === 'yesterday') return { kind: 'time', at: wallTime(Math.max(0, now - DAY)) };
  const ago = AGO.exec(plain);
  if (ago !== null) return parseAgo(text, ago, now);
  const dateTime = DATE_TIME.exec(plain);
  if (dateTime !== null) return parseDateTime(text, dateTime);
  if (LIKE_A_DATE.test(plain)) throw invalid(text, 'dates are written 2026-05-01T10:30:00Z');
  return { kind: 'other' };
}

/** How times are written in messages and listings: ISO 8601 in UTC, milliseconds included. */
export function formatTime(at: WallTime): string {
  return new Date(at).toISOString();
}

/** 1–100 characters, none of `/`, `@`, NUL, and not `~N`. Throws INVALID_ARGUMENT. */
export function requireSnapshotName(name: string): void {
  const length = [...name].length;
  let why: string | undefined;
  if (length < 1 || length > 100) why = `it has ${length} characters, 1 to 100 are allowed`;
  else if (/[/@\0]/.test(name)) why = "it contains '/', '@' or NUL";
  else if (/^~\d+$/.test(name)) why = '~N means the N-th snapshot before the head';
  if (why === undefined) return;
  throw new OpenduckError('INVALID_ARGUMENT', `'${name}' cannot name a snapshot: ${why}`, {
    hint: 'Choose another name.',
  });
}
