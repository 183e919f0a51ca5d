// Numbers and times as people read them; the same units as on the command line.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export const rate = (bytes) => `${size(bytes)}/s`;

export function count(value) {
  if (value === 0) return '0';
  if (value < 0.1) return value.toFixed(2);
  return value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en');
}

export const whole = (value) => value.toLocaleString('en');

export const percent = (part) =>
  part === null || part === undefined ? '–' : `${Math.floor(part * 1000) / 10} %`;

/** The largest unit that fits, rounded down. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

export const lag = (ms) => (ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms));

/** In the time zone of the reader. */
export const moment = (time) =>
  new Date(time).toLocaleString('sv', {
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });

export const timeOfDay = (time) => new Date(time).toLocaleTimeString('sv');

/** UUIDs of version 7 that are near in time differ at their end, not at their beginning. */
export const shortId = (id) => (id ? `…${id.slice(-8)}` : '–');

/** The server's clock: ages do not depend on the reader's. */
let ahead = 0;
export const setNow = (now) => {
  ahead = now - Date.now();
};
export const now = () => Date.now() + ahead;
export const age = (time) =>
  time === null || time === undefined ? '–' : duration(now() - new Date(time).getTime());
