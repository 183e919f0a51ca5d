/** `openduck-fuse stats` of a daemon at work, in a pipe and on a terminal. */
import assert from 'node:assert/strict';
import { MAIN } from '../harness/mountFixture.js';
import { run, succeeded } from '../harness/proc.js';
import { acceptance } from '../harness/scene.js';

acceptance('stats: lines, JSON, a live table, and no daemon', { seconds: 90 }, async (scene) => {
  const mount = await scene.mount();
  const writer = scene.duckdb();
  await writer.open(mount.path('a.duckdb'));
  await writer.sql('CREATE TABLE t AS SELECT range AS i FROM range(100000)');
  let isOver = false;
  const writing = (async () => {
    while (!isOver) await writer.sql('INSERT INTO t SELECT range FROM range(1000)');
  })();

  const lines = succeeded(await mount.cli(['stats', '--count', '3', '--interval', '300ms']));
  const [header, ...rest] = lines.trimEnd().split('\n');
  assert.match(header ?? '', /^time +ops\/s +read\/s +write\/s +commits\/s/);
  assert.equal(rest.length, 3);
  const json = ['stats', '--count', '2', '--interval', '500ms', '--json'];
  const objects = succeeded(await mount.cli(json))
    .trimEnd()
    .split('\n');
  const rates = objects.map((text) => JSON.parse(text) as Record<string, number>);
  assert.equal(rates.length, 2);
  assert.ok(rates.some(({ commits }) => commits! > 0));
  assert.ok(rates.some(({ operations, writtenBytes }) => operations! > 0 && writtenBytes! > 0));
  assert.equal(rates[0]!['writers'], 1);

  // util-linux: a terminal for it. Ctrl-C ends it, and the terminal is as it was.
  const command = `timeout -s INT 3 ${process.execPath} ${MAIN} stats --data-dir ${mount.dataDir}`;
  const live = await run('script', ['-qec', command, '/dev/null'], { timeoutMs: 20_000 });
  assert.match(live.stdout, /openduck-fuse at .*\r?\n/);
  assert.match(live.stdout, /DATABASE +COMMITS\/S/);
  assert.ok(live.stdout.includes('\u001b[?1049h'));
  assert.ok(
    live.stdout.trimEnd().endsWith('\u001b[?1049l'),
    JSON.stringify(live.stdout.slice(-60)),
  );
  isOver = true;
  await writing;

  const wrong = await mount.cli(['stats', '--interval', '1ms']);
  assert.equal(wrong.code, 2);
  await writer.end();
  await mount.stop();
  const none = await mount.cli(['stats']);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /no daemon runs/);
});
