/** The text of `/metrics`, and that the dashboard and the alerts ask for what there is. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { Exposition } from '../../daemon/http/exposition.js';
import { HttpStats } from '../../daemon/http/httpStats.js';
import { type MetricsInput, MOST_LABELLED, metricsText } from '../../daemon/http/metrics.js';
import type { DatabaseSummary } from '../../fs/engineCommands.js';
import { BUCKETS_MS, OperationStats } from '../../fs/session/operationStats.js';
import { Opcode } from '../../proto/fuse/constants.js';
import { databaseId } from '../../proto/ids.js';
import { parseExposition } from '../harness/exposition.js';

const FIGURES = { done: 100, failed: 4, cancelled: 1, refused: 0, running: 3, waiting: 2 };
const DOCS = fileURLToPath(new URL('../../../docs/metrics/', import.meta.url));

function summary(name: string, n: number): DatabaseSummary {
  return {
    id: databaseId('01a21243-b293-795e-9a04-e5b6fd30da6e'),
    name,
    size: 100 + n,
    files: [],
    version: 7,
    publishedVersion: 5,
    head: undefined,
    committedAt: new Date(1e12 + n * 1000).toISOString(),
    depth: 3,
    writer: n === 0 ? { pid: 1 } : undefined,
    readers: 2,
    segmentBytes: 4096,
    damage: n === 1 ? 'bad' : undefined,
  };
}

function inputOf(databases: DatabaseSummary[]): MetricsInput {
  const operations = new OperationStats();
  operations.add(Opcode.READ, 0.005);
  operations.add(Opcode.READ, 0.02);
  operations.add(Opcode.READ, 99_999);
  operations.add(Opcode.FSYNC, 1);
  operations.add(Opcode.FSYNC, 1);
  operations.fail(Opcode.FSYNC);
  operations.readBytes = 2 ** 40;
  const stats = new HttpStats();
  stats.answered(206);
  stats.answered(206);
  stats.answered(404);
  const cache = { cacheHits: 1, cacheMisses: 2, cacheBytes: 3, cacheLimitBytes: 4 };
  const more = { cacheFetchedBytes: 5, cacheEvictions: 6, cacheBroken: 0, publishLagMs: 1500 };
  const counters = { ...operations.counters(), ...cache, ...more, handles: 1, nodes: 2 };
  return {
    version: '1.2.3',
    uptimeSeconds: 60,
    cpuSeconds: 1.5,
    memoryBytes: 1e8,
    status: { databases, aside: [], counters },
    operations: operations.times(),
    detailsOf: ({ name }) =>
      name === 'dropped'
        ? undefined
        : { publishLagMs: 1500, epoch: 9, isLeaseHeld: true, isLeaseLost: false },
    worker: { endpoint: 'http://x', pid: 5, restarts: 2, figures: FIGURES },
    http: { stats, connections: 3, sending: 1, waiting: 0, openSnapshots: 2 },
  };
}

test('metrics: names, types, histograms', () => {
  const metrics = parseExposition(metricsText(inputOf([summary('a', 0), summary('dropped', 1)])));
  const value = (series: string) => metrics.series.get(series);
  assert.equal(value('openduck_build_info{version="1.2.3"}'), 1);
  assert.equal(value('openduck_fuse_read_bytes_total'), 2 ** 40);
  assert.equal(value('openduck_database_publish_lag_seconds{database="a"}'), 1.5);
  assert.equal(value('openduck_database_lease_epoch{database="a"}'), 9);
  assert.equal(value('openduck_database_writer{database="a"}'), 1);
  assert.equal(value('openduck_database_writer{database="dropped"}'), undefined);
  assert.equal(value('openduck_databases_damaged'), 1);
  assert.equal(value('openduck_http_responses_total{status="2xx"}'), 2);
  assert.equal(value('openduck_worker_restarts_total'), 2);
  assert.equal(value('openduck_worker_executions_total{outcome="failed"}'), 4);
  assert.equal(value('openduck_worker_waiting'), 2);
  assert.equal(value('openduck_fuse_operation_errors_total{operation="FSYNC"}'), 1);

  const bucket = (operation: string, le: string) =>
    value(`openduck_fuse_operation_seconds_bucket{operation="${operation}",le="${le}"}`);
  assert.equal(bucket('READ', '0.00001'), 1);
  assert.equal(bucket('READ', '0.000025'), 2);
  assert.equal(bucket('READ', '10'), 2);
  assert.equal(bucket('READ', '+Inf'), 3);
  assert.equal(bucket('FSYNC', '0.0005'), 0);
  assert.equal(bucket('FSYNC', '0.001'), 2, 'a limit belongs to its bucket');
  assert.equal(value('openduck_fuse_operation_seconds_count{operation="READ"}'), 3);
  const sum = value('openduck_fuse_operation_seconds_sum{operation="READ"}');
  assert.ok(Math.abs(sum! - 99.999025) < 1e-9, String(sum));

  for (const [name, type] of metrics.types) {
    assert.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`);
    assert.doesNotMatch(name, /_(ms|mib|millis)/i, 'base units');
  }
});

test('metrics: labels are escaped, and only so many databases have series', () => {
  const out = new Exposition();
  out.addAll('m', 'gauge', 'a\nb', [[{ database: 'a"b\\c\nd' }, Number.POSITIVE_INFINITY]]);
  assert.equal(out.text, '# HELP m a\\nb\n# TYPE m gauge\nm{database="a\\"b\\\\c\\nd"} +Inf\n');
  const many = Array.from({ length: MOST_LABELLED + 20 }, (_, n) => summary(`d${n}`, n));
  const { series } = parseExposition(metricsText(inputOf(many)));
  assert.equal(series.get('openduck_databases'), MOST_LABELLED + 20);
  assert.equal(series.get('openduck_databases_omitted'), 20);
  assert.equal(series.has('openduck_database_layers{database="d19"}'), false, 'the oldest');
  assert.equal(series.has('openduck_database_layers{database="d20"}'), true);
  assert.ok(series.size < MOST_LABELLED * 12 + 200, `${series.size} series`);
});

test('operations: every time falls into one bucket, unknown opcodes too', () => {
  const stats = new OperationStats();
  for (const ms of [0, ...BUCKETS_MS, 1e9]) stats.add(Opcode.LOOKUP, ms);
  stats.add(4096, 1);
  stats.add(-1, 1);
  const [other, lookup] = stats.times();
  assert.deepEqual([other?.operation, other?.count], ['OTHER', 2]);
  assert.equal(lookup?.operation, 'LOOKUP');
  assert.equal(lookup?.count, BUCKETS_MS.length + 2);
  assert.equal(stats.counters()['LOOKUP'], BUCKETS_MS.length + 2);
});

test('the dashboard and the alerts ask only for metrics that exist', async () => {
  const known = parseExposition(metricsText(inputOf([summary('a', 0)]))).names;
  const dashboard = await readFile(`${DOCS}grafana.json`, 'utf8');
  const { panels } = JSON.parse(dashboard) as { panels: { id: number; gridPos: unknown }[] };
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const alerts = await readFile(`${DOCS}alerts.yml`, 'utf8');
  for (const [file, text] of Object.entries({ dashboard, alerts })) {
    const used = new Set(text.match(/\b(openduck|process)_[a-z_]+/g) ?? []);
    for (const name of used) assert.ok(known.has(name), `${file}: there is no ${name}`);
    assert.ok(used.size >= 10, file);
  }
  const both = dashboard + alerts;
  const unused = [...known].filter(
    (name) => !both.includes(name.replace(/_(bucket|sum|count)$/, '')),
  );
  assert.deepEqual(
    unused.sort(),
    [
      'openduck_cache_evictions_total',
      'openduck_database_damaged',
      'openduck_database_lease_held',
      'openduck_database_published_version',
      'openduck_databases_omitted',
      'openduck_http_open_snapshots',
      'openduck_uptime_seconds',
    ],
    'what no panel and no alert uses',
  );
});
