/** `openduck-fuse stats` of a daemon at work, in a pipe and on a terminal. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAIN, type MountFixture } from '../harness/mountFixture.js';
import { run, succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';

const VIEW_LIMIT_MS = 60_000;

/** What a terminal gets of the live view until Ctrl-C, which comes after the first picture. */
async function interruptedView(scene: Scene, mount: MountFixture): Promise<string> {
  const dir = await scene.tempDir();
  const [seen, pidFile] = [join(dir, 'seen'), join(dir, 'pid')];
  const view = `${process.execPath} ${MAIN} stats --data-dir ${mount.dataDir}`;
  const command = `sh -c 'echo $$ > ${pidFile}; exec ${view}'`;
  // util-linux: a terminal for it.
  const ended = run('script', ['-qfec', command, seen], { timeoutMs: 2 * VIEW_LIMIT_MS });
  const deadline = Date.now() + VIEW_LIMIT_MS;
  while (!/DATABASE/.test(await readFile(seen, 'utf8').catch(() => ''))) {
    if (Date.now() > deadline) throw new Error('no picture');
    await sleep(50);
  }
  process.kill(Number(await readFile(pidFile, 'utf8')), 'SIGINT');
  return (await ended).stdout;
}

acceptance('stats: lines, JSON, a live table, and no daemon', { seconds: 240 }, async (scene) => {
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

  const live = await interruptedView(scene, mount);
  assert.match(live, /openduck-fuse at .*\r?\n/);
  assert.match(live, /DATABASE +COMMITS\/S/);
  assert.ok(live.includes('\u001b[?1049h'));
  assert.ok(live.trimEnd().endsWith('\u001b[?1049l'), JSON.stringify(live.slice(-60)));
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
