/** The results as one page that needs no network: a bar for every ratio. */
import { isNoisy, machineText } from './machine.js';
import { groups, type Report, sizeText } from './report.js';
import { amount, type Row, ratioText, targetText, verdict } from './rows.js';

const WIDTH = 320;
const HEIGHT = 18;
/** Ratios beyond these are cut off; the scale is logarithmic, with 1 in the middle. */
const WIDEST = 8;

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

function xOf(ratio: number): number {
  const log = Math.log(Math.min(WIDEST, Math.max(1 / WIDEST, ratio))) / Math.log(WIDEST);
  return Math.round(((log + 1) / 2) * WIDTH * 10) / 10;
}

function line(x: number, kind: string): string {
  return `<line class="${kind}" x1="${x}" x2="${x}" y1="0" y2="${HEIGHT}"/>`;
}

/** From 1 to the median; a whisker from the least to the greatest, a mark for the target. */
function bar({ ratio, target, met }: Row): string {
  if (ratio === undefined) return '';
  const [one, middle] = [xOf(1), xOf(ratio.median)];
  const kind = met === undefined ? 'plain' : met ? 'good' : 'bad';
  const x = Math.min(one, middle);
  const width = Math.max(1, Math.abs(middle - one));
  const bound =
    target?.of === 'ratio' ? xOf('atMost' in target ? target.atMost : target.atLeast) : undefined;
  const y = HEIGHT / 2;
  return `<svg width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${ratio.median}">
    <rect class="${kind}" x="${x}" y="4" width="${width}" height="${HEIGHT - 8}"/>
    <line class="whisker" x1="${xOf(ratio.min)}" x2="${xOf(ratio.max)}" y1="${y}" y2="${y}"/>
    ${line(one, 'one')}${bound === undefined ? '' : line(bound, 'target')}</svg>`;
}

function tableRow(row: Row): string {
  const title = [row.baselineIs && `baseline: ${row.baselineIs}`, row.note]
    .filter((text) => text !== undefined && text !== '')
    .join('; ');
  const cells = [
    ratioText(row),
    amount(row.value, row.unit),
    amount(row.baseline, row.unit),
    targetText(row),
    verdict(row),
  ];
  const verdictClass = row.met === undefined ? '' : row.met ? ' class="yes"' : ' class="no"';
  const texts = cells.map(
    (text, i) => `<td${i === 4 ? verdictClass : ''}>${escapeHtml(text)}</td>`,
  );
  return `<tr><td>${escapeHtml(row.label)}<small>${escapeHtml(title)}</small></td>
    <td>${bar(row)}</td>${texts.join('')}</tr>`;
}

const STYLE = `
  body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
    color: #222; background: #fff; }
  table { border-collapse: collapse; width: 100%; }
  td, th { padding: .25rem .6rem; text-align: left; vertical-align: top;
    border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
  th[colspan] { padding-top: 1.2rem; }
  small { display: block; color: #666; }
  .good { fill: #2a8a4a; } .bad { fill: #c0392b; } .plain { fill: #7f8fa6; }
  .whisker, .one { stroke: #222; } .target { stroke: #d68910; stroke-width: 2; }
  .yes { color: #2a8a4a; } .no { color: #c0392b; font-weight: bold; }
  @media (prefers-color-scheme: dark) {
    body { color: #ddd; background: #181818; } td, th { border-color: #444; }
    small { color: #999; } .whisker, .one { stroke: #ddd; } }
`;

export function htmlReport(report: Report): string {
  const { machine, databaseBytes, rows } = report;
  const sections = [...groups(rows)].map(
    ([group, some]) =>
      `<tr><th colspan="7">${escapeHtml(group)}</th></tr>${some.map(tableRow).join('\n')}`,
  );
  const noisy = isNoisy(machine) ? ' Noisy: other processes were at work before the run.' : '';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>openduck-fuse: performance</title>
<style>${STYLE}</style></head><body>
<h1>openduck-fuse against the local file system</h1>
<p>${escapeHtml(machineText(machine))}.${noisy} Database of ${sizeText(databaseBytes)}.</p>
<p>A bar goes from 1 (the black line: as fast as the local file system) to the median ratio, on a
logarithmic scale from 1/${WIDEST} to ${WIDEST}; the thin line spans all rounds, the orange one is the target.
Longer to the right means more time, or, in rows per second (/s), more work.</p>
<table><tr><th>work</th><th></th><th>ratio</th><th>mount</th><th>baseline</th><th>target</th>
<th>met</th></tr>
${sections.join('\n')}
</table></body></html>
`;
}
