/** /metrics and /healthz of a daemon at work. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseExposition } from '../harness/exposition.js';
import { HttpMount } from '../harness/httpMount.js';
import { acceptance } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';

async function seriesOf(http: HttpMount, headers: Record<string, string> = {}) {
  const answer = await http.send('/metrics', { headers });
  assert.equal(answer.status, 200);
  assert.match(answer.headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/);
  const { series } = parseExposition(answer.body.toString());
  return (name: string) => series.get(name) ?? Number.NaN;
}

acceptance('metrics follow what is done', { seconds: 60 }, async (scene) => {
  const http = await HttpMount.start(scene);
  const before = await seriesOf(http);
  assert.equal(before('openduck_databases'), 0);
  const writer = scene.duckdb();
  await writer.open(http.mount.path('a.duckdb'));
  await writer.sql('CREATE TABLE t AS SELECT range AS i FROM range(300000); CHECKPOINT');
  for (let i = 0; i < 5; i++) await writer.sql(`INSERT INTO t VALUES (${i})`);
  await http.snapshot('a');
  const reader = scene.duckdb();
  await reader.open(http.mount.path('a.duckdb'), { readOnly: true });
  await reader.sql('SELECT sum(i) FROM t');
  const { length } = (await http.send('/db/a.duckdb')).body;
  await http.send('/db/nix.duckdb');
  await sleep(600);

  const after = await seriesOf(http);
  const status = await http.mount.status();
  const summary = await http.mount.database('a');
  assert.ok(after('openduck_fuse_written_bytes_total') >= 300_000);
  assert.ok(after('openduck_fuse_read_bytes_total') > 0);
  const fsyncs = after('openduck_fuse_operation_seconds_count{operation="FSYNC"}');
  assert.ok(fsyncs >= 6, `${fsyncs} FSYNCs`);
  assert.equal(fsyncs, status.counters['FSYNC'], 'status counts the same');
  const lookups = after('openduck_fuse_operation_seconds_count{operation="LOOKUP"}');
  assert.ok(after('openduck_fuse_operation_errors_total{operation="LOOKUP"}') <= lookups);
  assert.ok(after('openduck_fuse_operation_seconds_sum{operation="FSYNC"}') > 0);
  assert.equal(after('openduck_database_commits_total{database="a"}'), summary.version);
  assert.equal(after('openduck_database_size_bytes{database="a"}'), summary.size);
  assert.equal(after('openduck_database_readers{database="a"}'), 1);
  assert.equal(after('openduck_database_writer{database="a"}'), 1);
  assert.equal(after('openduck_database_publish_lag_seconds{database="a"}'), 0);
  assert.equal(after('openduck_http_sent_bytes_total'), length);
  assert.equal(after('openduck_http_responses_total{status="4xx"}'), 1);
  assert.equal(after('openduck_http_open_snapshots'), 1);
});

acceptance('publish lag rises while nothing can be published', { seconds: 60 }, async (scene) => {
  const http = await HttpMount.start(scene, ['--publish-interval', '1h']);
  const writer = scene.duckdb();
  await writer.open(http.mount.path('a.duckdb'));
  await writer.sql('CREATE TABLE t (i INTEGER)');
  await sleep(1500);
  await writer.sql('INSERT INTO t VALUES (1)');
  const name = 'openduck_database_publish_lag_seconds{database="a"}';
  const lag = (await seriesOf(http))(name);
  assert.ok(lag >= 1.4, `${lag} s since the first commit, not the last`);
  const { counters } = await http.mount.status();
  assert.ok(counters['publishLagMs']! >= 1400);
  await http.snapshot('a');
  await sleep(600);
  assert.equal((await seriesOf(http))(name), 0);
});

acceptance('metrics need a token that may read everything', { seconds: 60 }, async (scene) => {
  const tokens = join(await scene.tempDir(), 'tokens.toml');
  const entry = (name: string, read: string) =>
    `[[token]]\nname = "${name}"\ntoken = "token-of-${name}"\nread = ["${read}"]\n`;
  await writeFile(tokens, entry('some', 'a') + entry('all', '*'));
  const http = await HttpMount.start(scene, ['--tokens', tokens]);
  const status = async (authorization: string) =>
    (await http.send('/metrics', { headers: { authorization } })).status;
  assert.equal(await status(''), 401);
  assert.equal(await status('Bearer token-of-some'), 403);
  assert.equal(await status('Bearer token-of-all'), 200);
  assert.equal((await http.send('/healthz')).body.toString(), 'ok\n');
});
