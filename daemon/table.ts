/** Plain text in aligned columns, for people; programs use --json. */

export interface Column {
  readonly title: string;
  /** Numbers and sizes stand to the right. */
  readonly align?: 'left' | 'right';
}

/** A character counts as one cell; names with wide characters misalign, nothing worse. */
function width(text: string): number {
  return [...text].length;
}

function pad(text: string, cells: number, align: Column['align']): string {
  const space = ' '.repeat(Math.max(0, cells - width(text)));
  return align === 'right' ? space + text : text + space;
}

/** Control characters would break the lines or drive the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}

/** Lines without trailing spaces, each ended by a newline. Missing cells are empty. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  const lines = [columns.map((c) => c.title), ...rows.map((row) => row.map(printable))];
  const widths = columns.map((_, i) => Math.max(...lines.map((cells) => width(cells[i] ?? ''))));
  return lines
    .map((cells) => columns.map((c, i) => pad(cells[i] ?? '', widths[i]!, c.align)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** `name  value` lines. */
export function formatPairs(pairs: readonly (readonly [string, string])[]): string {
  const widest = Math.max(0, ...pairs.map(([name]) => width(name)));
  return pairs
    .map(([name, value]) => `${pad(name, widest, 'left')}  ${printable(value)}\n`)
    .join('');
}
