/** Reads the text format of Prometheus, strictly, for tests. */
import assert from 'node:assert/strict';

export interface Metrics {
  /** `name{label="value",…}` as it stands there → value. */
  readonly series: ReadonlyMap<string, number>;
  /** Metric → type. */
  readonly types: ReadonlyMap<string, string>;
  /** Of series, without labels. */
  readonly names: ReadonlySet<string>;
}

const SERIES = /^([a-z_:][a-z0-9_:]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)$/;

/** Throws at what Prometheus would not take. */
export function parseExposition(text: string): Metrics {
  const [series, types, names] = [
    new Map<string, number>(),
    new Map<string, string>(),
    new Set<string>(),
  ];
  assert.ok(text.endsWith('\n'), 'it ends with a newline');
  let current = '';
  for (const line of text.slice(0, -1).split('\n')) {
    const help = /^# HELP (\S+) \S.*$/.exec(line)?.[1];
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
    if (help !== undefined) {
      assert.ok(!types.has(help), `${help} stands there twice`);
      current = help;
    } else if (type !== null) {
      assert.equal(type[1], current, 'HELP before TYPE');
      types.set(current, type[2]!);
    } else {
      const match = SERIES.exec(line);
      assert.ok(match !== null, `not a series: ${line}`);
      const [, name, labels = '', value] = match as unknown as [string, string, string?, string?];
      const base =
        types.get(current) === 'histogram' ? /^(.*)_(bucket|sum|count)$/.exec(name)?.[1] : name;
      assert.equal(base, current, `${line} belongs to ${current}`);
      assert.ok(!series.has(name + labels), `${name}${labels} stands there twice`);
      series.set(name + labels, value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value));
      names.add(name);
    }
  }
  return { series, types, names };
}
