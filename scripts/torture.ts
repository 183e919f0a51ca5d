/**
 * npm run torture -- [--minutes N] [--seed S] [--only NAME] [--report FILE]
 *
 * Runs the long forms of all harnesses, one after another, each with its share of the time, prints
 * what was tried, and exits 1 when a promise was refuted. With --report, writes
 * docs/reliability.md.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { TortureHarness, TortureResult } from '../test/torture/harness.js';

interface Run {
  readonly harness: TortureHarness;
  readonly seconds: number;
  readonly result: TortureResult;
}

const FOLDER = join(import.meta.dirname, '..', 'test', 'torture');

/** Every NAME.harness.js exports `harness`. */
async function harnesses(only: string | undefined): Promise<TortureHarness[]> {
  const found: TortureHarness[] = [];
  for (const file of readdirSync(FOLDER).sort()) {
    if (!file.endsWith('.harness.js')) continue;
    const module = (await import(pathToFileURL(join(FOLDER, file)).href)) as {
      harness: TortureHarness;
    };
    if (only === undefined || module.harness.name === only) found.push(module.harness);
  }
  return found;
}

const countsText = (counts: TortureResult['counts']): string =>
  Object.entries(counts)
    .map(([name, count]) => `${count.toLocaleString('en')} ${name}`)
    .join(', ');

/** A row for every harness; `--only` replaces those of its harness in a report that exists. */
function rowsOf(runs: readonly Run[], seed: number, existing: string): string[] {
  const rows = new Map<string, string>();
  for (const line of existing.split('\n')) {
    const name = /^\| (\w+) \| .* \| \d+ \| \w+ \|$/.exec(line)?.[1];
    if (name !== undefined) rows.set(name, line);
  }
  for (const { harness, seconds, result } of runs) {
    const { name, claim } = harness;
    const refuted = result.failures.length === 0 ? 'none' : `${result.failures.length}`;
    const time = `${Math.round(seconds)} s`;
    const cells = [name, claim, countsText(result.counts), time, `${seed}`, refuted];
    rows.set(name, `| ${cells.join(' | ')} |`);
  }
  return [...rows.values()];
}

function report(rows: readonly string[]): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  return `# Reliability

What was done to refute the promises of [semantics.md](semantics.md), and what came of it. This page is written by
\`npm run torture -- --report docs/reliability.md\`; do not edit it.

${new Date().toISOString().slice(0, 10)}, Linux ${release()}, Node ${process.version},
${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${memory} GiB. To repeat a row: \`npm run torture -- --only NAME --seed SEED\`.

| harness | what it could refute | tried | time | seed | refuted |
|---|---|---|---|---|---|
${rows.join('\n')}
`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string' },
      only: { type: 'string' },
      report: { type: 'string' },
    },
  });
  const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
  const all = await harnesses(values.only);
  if (all.length === 0) throw new Error(`no harness ${values.only ?? ''} in ${FOLDER}`);
  const shares = all.reduce((sum, { share = 1 }) => sum + share, 0);
  const log = (line: string): boolean => process.stdout.write(`${line}\n`);
  const runs: Run[] = [];
  for (const harness of all) {
    const budgetMs = (Number(values.minutes) * 60_000 * (harness.share ?? 1)) / shares;
    log(`${harness.name}: ${Math.round(budgetMs / 1000)} s, seed ${seed}`);
    const start = performance.now();
    const result = await harness.run({ seed, budgetMs, log: (line) => log(`  ${line}`) });
    runs.push({ harness, seconds: (performance.now() - start) / 1000, result });
    log(`  tried: ${countsText(result.counts)}`);
    for (const failure of result.failures) log(`  REFUTED: ${failure}`);
  }
  if (values.report !== undefined) {
    const isPart = values.only !== undefined && existsSync(values.report);
    const existing = isPart ? readFileSync(values.report, 'utf8') : '';
    writeFileSync(values.report, report(rowsOf(runs, seed, existing)));
  }
  const refuted = runs.reduce((n, run) => n + run.result.failures.length, 0);
  log(`${runs.length} harnesses, ${refuted} refutations, seed ${seed}`);
  process.exit(refuted === 0 ? 0 : 1);
}

await main();
