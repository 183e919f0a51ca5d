/**
 * Rows in a box, as DuckDB's own shell draws them. In a terminal it is as wide as the terminal at
 * most: long texts are cut, then columns in the middle are left out, and of many rows only the
 * first and the last are shown. In a pipe nothing is left out.
 */
import { displayWidth, fitWidth } from './displayWidth.js';

export interface BoxColumn {
  readonly name: string;
  /** DuckDB's name of the type. */
  readonly type: string;
  readonly align: 'left' | 'right';
}

/** NULL is null. */
export type BoxRow = readonly (string | null)[];

export interface BoxContent {
  readonly columns: readonly BoxColumn[];
  /** All rows, or the first of them. */
  readonly head: readonly BoxRow[];
  /** The last rows, when some in between were left out. */
  readonly tail: readonly BoxRow[];
  readonly rowCount: number;
}

const NULL_TEXT = 'NULL';
const ELLIPSIS = '…';
const GAP_ROWS = 3;
const LONG_TYPE = 20;
/** A column is not made narrower than this to make room for others. */
const NARROWEST = 8;
/** `│ ` before, and ` │` after all. */
const FRAME = 3;

/** Control characters would break the lines or drive the terminal. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\r') return '\\r';
    if (character === '\t') return '\\t';
    return `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`;
  });
}

function padded(text: string, width: number, align: 'left' | 'right' | 'center'): string {
  const fitted = fitWidth(text, width);
  const space = width - displayWidth(fitted);
  if (align === 'left') return fitted + ' '.repeat(space);
  if (align === 'right') return ' '.repeat(space) + fitted;
  const before = Math.floor(space / 2);
  return ' '.repeat(before) + fitted + ' '.repeat(space - before);
}

const boxWidth = (widths: readonly number[]): number =>
  widths.reduce((sum, width) => sum + width + FRAME, 1);

/** The largest width such that all columns cut to it fit into `room`. */
function widthCap(widths: readonly number[], room: number): number {
  const fits = (cap: number): boolean => boxWidth(widths.map((w) => Math.min(w, cap))) <= room;
  let low = 1;
  let high = Math.max(1, ...widths);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

interface Layout {
  /** Indexes into the columns; -1 is the column that stands for those left out. */
  readonly shown: readonly number[];
  readonly widths: readonly number[];
}

/** Which columns to show and how wide. `room`: cells, undefined: as many as it takes. */
export function layOut(natural: readonly number[], room: number | undefined): Layout {
  const all = natural.map((_, i) => i);
  if (room === undefined || boxWidth(natural) <= room) return { shown: all, widths: natural };
  const needed = (shown: readonly number[]): number[] =>
    shown.map((i) => (i < 0 ? 1 : Math.min(natural[i]!, NARROWEST)));
  let shown = all;
  for (let kept = natural.length - 1; boxWidth(needed(shown)) > room && kept >= 1; kept--) {
    const first = Math.ceil(kept / 2);
    shown = [...all.slice(0, first), -1, ...all.slice(natural.length - (kept - first))];
  }
  const widths = shown.map((i) => (i < 0 ? 1 : natural[i]!));
  const cap = widthCap(widths, room);
  return { shown, widths: widths.map((width) => Math.min(width, cap)) };
}

function footerText(content: BoxContent, shownColumns: number): string | undefined {
  const { columns, rowCount, head, tail } = content;
  const shownRows = head.length + tail.length;
  const allRows = shownRows === rowCount;
  const allColumns = shownColumns === columns.length;
  if (allRows && allColumns && rowCount > 0) return undefined;
  const count = (n: number, what: string): string =>
    `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`;
  const rows = count(rowCount, 'row') + (allRows ? '' : ` (${shownRows} shown)`);
  const names = count(columns.length, 'column') + (allColumns ? '' : ` (${shownColumns} shown)`);
  return allColumns ? rows : `${rows}, ${names}`;
}

/** Lines, each ended by a newline. `room`: the terminal's width in cells. */
export function boxTable(content: BoxContent, room: number | undefined): string {
  const { columns, head, tail } = content;
  const clean = (row: BoxRow): string[] =>
    row.map((cell) => (cell === null ? NULL_TEXT : visible(cell)));
  const first = head.map(clean);
  const last = tail.map(clean);
  const names = columns.map(({ name }) => visible(name));
  const types = columns.map(({ type }) => visible(type));
  // In a terminal a long type makes no column wider than its values need.
  const typeWidth = (type: string): number =>
    room === undefined ? displayWidth(type) : Math.min(LONG_TYPE, displayWidth(type));
  const natural = columns.map((_, i) => {
    const texts = [names, ...first, ...last].map((row) => displayWidth(row[i]!));
    return texts.reduce((most, width) => Math.max(most, width), typeWidth(types[i]!));
  });
  const { shown, widths } = layOut(natural, room);
  const line = (cells: readonly string[], aligns: readonly ('left' | 'right' | 'center')[]) =>
    `│${shown
      .map(
        (i, at) => ` ${padded(i < 0 ? ELLIPSIS : cells[i]!, widths[at]!, aligns[i] ?? 'center')} `,
      )
      .join('│')}│\n`;
  const rule = (left: string, middle: string, right: string): string =>
    `${left}${widths.map((width) => '─'.repeat(width + 2)).join(middle)}${right}\n`;
  const centred = columns.map(() => 'center' as const);
  const aligned = columns.map(({ align }) => align);
  const dots = columns.map(() => '·');
  const gap = tail.length === 0 ? [] : Array.from({ length: GAP_ROWS }, () => line(dots, centred));
  const body = [
    ...first.map((row) => line(row, aligned)),
    ...gap,
    ...last.map((row) => line(row, aligned)),
  ];
  const footer = footerText(content, shown.filter((i) => i >= 0).length);
  return [
    rule('┌', '┬', '┐'),
    line(names, centred),
    line(types, centred),
    rule('├', '┼', '┤'),
    ...body,
    rule('└', '┴', '┘'),
    footer === undefined ? '' : `  ${footer}\n`,
  ].join('');
}
