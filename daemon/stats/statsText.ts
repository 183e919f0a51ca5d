/** Rates as lines for a pipe, and as a screen for a terminal. Pure. */
import { formatDuration, formatSize } from '../quantities.js';
import { type Column, formatTable } from '../table.js';
import type { DatabaseRates, Rates } from './rates.js';

/** cached%: reads that waited for no disk; objects%: chunks that were in the cache of objects. */
const FIELDS: readonly (readonly [string, number, (rates: Rates) => string])[] = [
  ['ops/s', 8, ({ operations }) => count(operations)],
  ['read/s', 10, ({ readBytes }) => size(readBytes)],
  ['write/s', 10, ({ writtenBytes }) => size(writtenBytes)],
  ['commits/s', 9, ({ commits }) => count(commits)],
  ['cached%', 7, ({ fromMemory }) => percent(fromMemory)],
  ['objects%', 8, ({ cacheHits }) => percent(cacheHits)],
  ['lag', 7, ({ publishLagMs }) => lag(publishLagMs)],
  ['readers', 7, ({ readers }) => String(readers)],
  ['writers', 7, ({ writers }) => String(writers)],
  ['rss', 10, ({ memoryBytes }) => formatSize(memoryBytes)],
];

const count = (rate: number): string =>
  rate === 0 ? '0' : rate < 10 ? rate.toFixed(1) : String(Math.round(rate));
const size = (bytes: number): string => formatSize(Math.round(bytes));
const percent = (part: number | undefined): string =>
  part === undefined ? '-' : `${(part * 100).toFixed(part > 0.995 && part < 1 ? 1 : 0)}`;

function lag(ms: number): string {
  if (ms === 0) return '0';
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : formatDuration(ms);
}

/** `HH:MM:SS` in UTC, as the log has it. */
const timeText = (time: number): string => new Date(time).toISOString().slice(11, 19);

export function headerLine(): string {
  const titles = FIELDS.map(([title, width]) => title.padStart(width));
  return `${['time'.padEnd(8), ...titles].join(' ')}\n`;
}

/** `time`: wall clock, milliseconds. */
export function rateLine(time: number, rates: Rates): string {
  const cells = FIELDS.map(([, width, text]) => text(rates).padStart(width));
  return `${[timeText(time), ...cells].join(' ')}\n`;
}

export function rateJson(time: number, rates: Rates): string {
  const plain = { time: new Date(time).toISOString(), ...rates };
  return `${JSON.stringify(plain, (_, value) => (value === undefined ? null : value))}\n`;
}

const COLUMNS: readonly Column[] = [
  { title: 'DATABASE' },
  { title: 'COMMITS/S', align: 'right' },
  { title: 'UNPUBLISHED', align: 'right' },
  { title: 'SIZE', align: 'right' },
  { title: 'SEGMENTS', align: 'right' },
  { title: 'LAYERS', align: 'right' },
  { title: 'WRITER', align: 'right' },
  { title: 'READERS', align: 'right' },
];

function databaseRow({ database, commits, unpublished }: DatabaseRates): string[] {
  const { name, size: bytes, segmentBytes, depth, writer, readers, damage } = database;
  return [
    damage === undefined ? name : `${name} (damaged)`,
    count(commits),
    unpublished === 0 ? '-' : String(unpublished),
    formatSize(bytes),
    formatSize(segmentBytes),
    String(depth),
    writer === undefined ? '-' : `pid ${writer.pid}`,
    String(readers),
  ];
}

export interface Screen {
  readonly title: string;
  readonly time: number;
  /** The newest last. */
  readonly history: readonly { readonly time: number; readonly rates: Rates }[];
  readonly databases: readonly DatabaseRates[];
  readonly rows: number;
  readonly columns: number;
}

/** What fits on the terminal, one line for each of its rows but the last. */
export function screenText(screen: Screen): string {
  const { title, history, databases, rows, columns } = screen;
  const lines = Math.max(4, rows - 1);
  // Title, blank, header, blank, header of the databases.
  const shownHistory = history.slice(-Math.max(1, Math.min(12, Math.floor((lines - 5) / 2))));
  const left = Math.max(0, lines - 5 - shownHistory.length);
  const shown = databases.slice(0, left < databases.length ? Math.max(0, left - 1) : left);
  const more = databases.length - shown.length;
  const text =
    `${title}   ${timeText(screen.time)} UTC, ends with Ctrl-C\n\n` +
    headerLine() +
    shownHistory.map(({ time, rates }) => rateLine(time, rates)).join('') +
    (shown.length === 0 ? '' : `\n${formatTable(COLUMNS, shown.map(databaseRow))}`) +
    (more === 0 || shown.length === 0 ? '' : `and ${more} more\n`);
  return text
    .split('\n')
    .slice(0, lines)
    .map((line) => [...line].slice(0, columns).join(''))
    .join('\n');
}
