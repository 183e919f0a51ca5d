/** Durations and sizes: what people write (`5s`, `10GiB`) and what they like to read. */
import { OpenduckError } from '../proto/errors.js';

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

/** Timers take a 31-bit number of milliseconds; more would fire at once. */
const LONGEST_DURATION = 24 * 86_400_000;

const SIZE_UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

function parse(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-zA-Z]+)$/.exec(text.trim());
  const name = match?.[2] ?? '';
  const unit = Object.hasOwn(units, name) ? units[name] : undefined;
  return unit === undefined ? undefined : Math.round(Number(match![1]) * unit);
}

/** Milliseconds, for a timer. `what` names the setting in errors. Throws USAGE. */
export function parseDuration(text: string, what: string): number {
  const value = parseSpan(text, what);
  if (value > LONGEST_DURATION) {
    throw new OpenduckError('USAGE', `${what}: ${text} is too long`, {
      hint: 'The longest duration is 24d.',
    });
  }
  return value;
}

/** Milliseconds, of any length. `what` names the setting in errors. Throws USAGE. */
export function parseSpan(text: string, what: string): number {
  const value = text.trim() === '0' ? 0 : parse(text, DURATION_UNITS);
  if (value === undefined || !Number.isSafeInteger(value)) {
    throw new OpenduckError('USAGE', `${what}: '${text}' is not a duration`, {
      hint: 'Write a number and a unit: 500ms, 5s, 2m, 1h, 1d or 2w.',
    });
  }
  return value;
}

/** Bytes. `what` names the setting in errors. Throws USAGE. */
export function parseSize(text: string, what: string): number {
  const value = text.trim() === '0' ? 0 : parse(text.toLowerCase(), SIZE_UNITS);
  if (value === undefined || !Number.isSafeInteger(value)) {
    throw new OpenduckError('USAGE', `${what}: '${text}' is not a size`, {
      hint: 'Write a number and a unit: 64MiB, 10GiB, 1TB.',
    });
  }
  return value;
}

/** `0 B`, `4.0 KiB`, `1.5 GiB`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  while (value >= 1023.95 && unit < names.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${names[unit]}`;
}

/** The largest unit that fits, rounded down: `0 s`, `59 s`, `3 min`, `5 h`, `12 d`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** How long ago an ISO time was at `now`; a dash for none. */
export function formatAge(isoTime: string | undefined, now: number): string {
  return isoTime === undefined ? '-' : formatDuration(now - Date.parse(isoTime));
}
