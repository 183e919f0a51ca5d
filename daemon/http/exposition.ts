/** Metrics as text, in the format that Prometheus reads (version 0.0.4). Pure. */

export type MetricType = 'counter' | 'gauge' | 'histogram';
export type Labels = Readonly<Record<string, string>>;

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const escapeLabel = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

function series(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
  const where = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
  return `${name}${where} ${numberText(value)}\n`;
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}

export interface Histogram {
  readonly labels: Labels;
  /** Observations in each bucket, not added up; one more than there are limits. */
  readonly buckets: readonly number[];
  readonly sum: number;
}

export class Exposition {
  #text = '';

  #head(name: string, type: MetricType, help: string): void {
    const line = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
    this.#text += `# HELP ${name} ${line}\n# TYPE ${name} ${type}\n`;
  }

  add(name: string, type: 'counter' | 'gauge', help: string, value: number | undefined): void {
    if (value !== undefined) this.addAll(name, type, help, [[{}, value]]);
  }

  /** Left out when there is no value. */
  addAll(
    name: string,
    type: 'counter' | 'gauge',
    help: string,
    values: readonly (readonly [Labels, number])[],
  ): void {
    if (values.length === 0) return;
    this.#head(name, type, help);
    for (const [labels, value] of values) this.#text += series(name, labels, value);
  }

  /** `limits`: upper ends of the buckets. */
  addHistograms(
    name: string,
    help: string,
    limits: readonly number[],
    histograms: readonly Histogram[],
  ): void {
    if (histograms.length === 0) return;
    this.#head(name, 'histogram', help);
    for (const { labels, buckets, sum } of histograms) {
      let count = 0;
      for (const [i, n] of buckets.entries()) {
        count += n;
        const le = numberText(limits[i] ?? Number.POSITIVE_INFINITY);
        this.#text += series(`${name}_bucket`, { ...labels, le }, count);
      }
      this.#text += series(`${name}_sum`, labels, sum);
      this.#text += series(`${name}_count`, labels, count);
    }
  }

  get text(): string {
    return this.#text;
  }
}
