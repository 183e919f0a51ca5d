/** The results as text for the terminal, as docs/performance.md and as JSON. */
import { isNoisy, type Machine, machineText } from './machine.js';
import { amount, type Row, ratioText, targetText, verdict } from './rows.js';

export interface Report {
  readonly machine: Machine;
  readonly databaseBytes: number;
  readonly rounds: number;
  readonly seconds: number;
  /** The options to repeat it with. */
  readonly options: string;
  readonly rows: readonly Row[];
}

const NOISY = 'Other processes were at work on this machine before the run: the figures are noisy.';

/** Rows under the heading of their item, in order. */
export function groups(rows: readonly Row[]): Map<string, Row[]> {
  const found = new Map<string, Row[]>();
  for (const row of rows) found.set(row.group, [...(found.get(row.group) ?? []), row]);
  return found;
}

export const sizeText = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

function pad(cells: readonly string[], widths: readonly number[]): string {
  const padded = cells.map((cell, i) => cell.padEnd(widths[i]!));
  return padded.join('  ').trimEnd();
}

export function textReport({ machine, rows, databaseBytes, seconds }: Report): string {
  const table = (some: readonly Row[]) =>
    some.map((row) => [
      `  ${row.label}`,
      ratioText(row),
      amount(row.value, row.unit),
      amount(row.baseline, row.unit),
      targetText(row),
      verdict(row).split('\n')[0]!,
    ]);
  const head = ['', 'ratio (min–max)', 'mount', 'baseline', 'target', 'met'];
  const all = [head, ...table(rows)];
  const widths = head.map((_, i) =>
    Math.max(...all.map((cells) => (i === 5 ? 0 : cells[i]!.length))),
  );
  const lines = [...groups(rows)].flatMap(([group, some]) => [
    group,
    ...table(some).map((cells) => pad(cells, widths)),
  ]);
  const minutes = (seconds / 60).toFixed(1);
  return [
    machineText(machine),
    `database of ${sizeText(databaseBytes)}; the run took ${minutes} minutes`,
    ...(isNoisy(machine) ? [NOISY] : []),
    '',
    pad(head, widths),
    ...lines,
    '',
  ].join('\n');
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function markdownRow(row: Row, notes: string[]): string {
  const mark = row.note === undefined ? '' : ` [${notes.push(`${row.label}: ${row.note}`)}]`;
  const cells = [
    row.label + mark,
    ratioText(row),
    amount(row.value, row.unit),
    amount(row.baseline, row.unit),
    row.baselineIs.startsWith('the same') ? '' : row.baselineIs,
    targetText(row),
    verdict(row),
  ];
  return `| ${cells.map(cell).join(' | ')} |`;
}

export function markdownReport(report: Report): string {
  const { machine, rows, databaseBytes, rounds } = report;
  const notes: string[] = [];
  const tables = [...groups(rows)].map(
    ([group, some]) => `## ${group}

| work | ratio | mount | baseline | baseline is | target | met |
|---|---|---|---|---|---|---|
${some.map((row) => markdownRow(row, notes)).join('\n')}
`,
  );
  const list = notes.map((note, i) => `${i + 1}. ${note}`).join('\n');
  return `# Performance

What work on a mount takes, compared with the same work of stock DuckDB on the local file system. This page is
written by \`npm run bench${report.options}\`; do not edit it.

${machineText(machine)}.${isNoisy(machine) ? ` ${NOISY}` : ''}

The big database has ${sizeText(databaseBytes)}. Each work was done up to ${rounds} times on either side, in turn. A ratio is mount ÷ baseline
(the same on the local file system, if nothing else is said): the median of the pairs, with the least and the
greatest; the absolute figures are medians. Figures in seconds or milliseconds are better when lower, those
per second (/s) when higher. Numbers in brackets refer to the notes at the end.

${tables.join('\n')}
## Notes

${list}
`;
}

export function jsonReport(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}
