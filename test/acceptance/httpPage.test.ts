/** The status page's server side: its files, its events, and what it tells of a database. */
import assert from 'node:assert/strict';
import { EventReader } from '../harness/eventReader.js';
import { HttpMount } from '../harness/httpMount.js';
import { as, makeDatabase, mountWithTokens } from '../harness/pageMount.js';
import { succeeded } from '../harness/proc.js';
import { acceptance } from '../harness/scene.js';

async function look(http: HttpMount, what: string, token: string, query: string) {
  const answer = await http.send(`/api/${what}?${query}`, { headers: as(token) });
  assert.equal(answer.status, 200, answer.body.toString());
  assert.equal(answer.headers['cache-control'], 'no-store');
  return JSON.parse(answer.body.toString());
}

acceptance('the page and its files: strict policy, nothing of data', { seconds: 60 }, async (s) => {
  const http = await mountWithTokens(s);
  const page = await http.send('/');
  assert.equal(page.status, 200, 'without a token: it tells nothing');
  assert.match(page.headers['content-type'] ?? '', /^text\/html/);
  const policy = String(page.headers['content-security-policy']);
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  const html = page.body.toString();
  assert.doesNotMatch(html, /<script>|<style|\son\w+=|style=|https?:\/\//);
  const files = [...html.matchAll(/(?:src|href)="(page\/[^"]+)"/g)].map(([, path]) => path!);
  assert.ok(files.length >= 4);
  const seen = new Set<string>();
  for (const path of files) {
    if (seen.has(path)) continue;
    seen.add(path);
    const file = await http.send(`/${path}`);
    assert.equal(file.status, 200, path);
    assert.equal(file.headers['x-content-type-options'], 'nosniff');
    for (const [, name] of file.body.toString().matchAll(/from '\.\/([\w.]+)'/g)) {
      files.push(`page/${name}`);
    }
    const text = file.body.toString();
    assert.doesNotMatch(
      text,
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/,
      path,
    );
    const again = await http.send(`/${path}`, {
      headers: { 'if-none-match': String(file.headers.etag) },
    });
    assert.equal(again.status, 304);
  }
  assert.ok(seen.size >= 17, `${seen.size} files`);
  for (const path of ['/page/', '/page/../package.json', '/page/app.ts', '/page/%2e%2e/x']) {
    assert.notEqual((await http.send(path)).status, 200, path);
  }
});

acceptance('events: what there is, and each commit', { seconds: 90 }, async (scene) => {
  const http = await mountWithTokens(scene);
  await makeDatabase(scene, http, 'sales');
  await makeDatabase(scene, http, 'stock');
  const all = await EventReader.open(`${http.endpoint}/api/events`, as('ops'));
  assert.equal(all.status, 200);
  assert.match(all.headers['content-type'] ?? '', /^text\/event-stream/);
  const hello = await all.until('hello');
  assert.equal(hello.mountpoint, http.mount.mountpoint);
  assert.deepEqual([hello.isGuarded, hello.grant, hello.seesAll], [true, 'ops', true]);
  const first = await all.until('state');
  const sales = await http.mount.database('sales');
  const shown = first.databases[0];
  assert.deepEqual([shown.name, shown.size, shown.head], ['sales', sales.size, sales.head]);
  assert.equal(shown.mayChange, true);
  assert.equal(shown.lease, 'held');

  const writer = scene.duckdb();
  await writer.open(http.mount.path('sales.duckdb'));
  await writer.sql('INSERT INTO t VALUES (2)');
  const after = await all.until('state', ({ databases }) => databases[0].writerPid === writer.pid);
  assert.equal(after.databases[0].name, 'sales');
  const version = (await http.mount.database('sales')).version;
  await all.until('state', ({ databases }) => databases[0].publishedVersion === version);
  await writer.sql('INSERT INTO t VALUES (3)');
  const point = await all.until('point', ({ commits }) => commits > 0);
  assert.ok(point.writtenBytes > 0 && point.operations > 0);

  const some = await EventReader.open(`${http.endpoint}/api/events`, as('dashboards'));
  assert.deepEqual((await some.until('hello')).seesAll, false);
  const seen = await some.until('state');
  assert.deepEqual(
    seen.databases.map(({ name, mayChange }: { name: string; mayChange: boolean }) => [
      name,
      mayChange,
    ]),
    [['sales', false]],
  );
  assert.equal(seen.rates, null);
  assert.ok(some.events.every(({ event }) => event !== 'history' && event !== 'point'));
  const found = await EventReader.open(`${http.endpoint}/api/events?search=TOC`, as('ops'));
  assert.equal((await found.until('state')).databases[0].name, 'stock');
  for (const reader of [all, some, found]) reader.close();
});

acceptance('events: a bounded number, and they end with the mount', { seconds: 90 }, async (s) => {
  const http = await HttpMount.start(s);
  const open = () => EventReader.open(`${http.endpoint}/api/events`);
  const readers: EventReader[] = [];
  for (let i = 0; i < 32; i++) readers.push(await open());
  assert.ok(readers.every(({ status }) => status === 200));
  const refused = await http.send('/api/events');
  assert.equal(refused.status, 503);
  assert.match(refused.body.toString(), /32 status pages/);
  readers.pop()!.close();
  let next = await open();
  for (let tries = 0; next.status !== 200 && tries < 50; tries++) {
    next.close();
    next = await open();
  }
  assert.equal(next.status, 200, 'there is room again');
  await next.until('state');
  await http.mount.stop();
  await Promise.all([...readers, next].map(({ ended }) => ended));
});

acceptance('one database: timeline, list, layers', { seconds: 90 }, async (scene) => {
  const http = await mountWithTokens(scene);
  await makeDatabase(scene, http, 'sales');
  await http.snapshot('sales', '--name', 'before');
  const writer = scene.duckdb();
  await writer.open(http.mount.path('sales.duckdb'));
  for (let i = 0; i < 5; i++) {
    await writer.sql(`UPDATE t SET i = i + 1 WHERE i % 5 = ${i}; CHECKPOINT`);
    await http.snapshot('sales');
  }
  await writer.end();
  const listed = JSON.parse(
    succeeded(await http.mount.cli(['snapshot', 'list', 'sales', '--json'])),
  );
  const ids: string[] = listed.snapshots.map(({ id }: { id: string }) => id);
  const timeline = await look(http, 'timeline', 'dashboards', 'database=sales');
  assert.equal(timeline.all, ids.length);
  const thinned = await look(http, 'timeline', 'dashboards', 'database=sales&slots=1');
  assert.deepEqual(
    thinned.marks.map(({ name }: { name: string | null }) => name),
    ['before', null],
  );
  assert.equal(thinned.marks[1].count, ids.length - 1);
  assert.equal(thinned.marks[1].id, ids[0]);
  assert.equal(thinned.marks[0].path, http.mount.path('sales@before.duckdb'));
  const pages: string[] = [];
  for (let below = ''; ; ) {
    const page = await look(http, 'snapshots', 'ops', `database=sales&limit=2${below}`);
    pages.push(...page.snapshots.map(({ id }: { id: string }) => id));
    if (!page.more) break;
    below = `&below=${page.snapshots.at(-1).sequence}`;
  }
  assert.deepEqual(pages, ids);
  const named = await look(http, 'snapshots', 'ops', 'database=sales&named=1');
  assert.equal(named.snapshots.length, 1);
  const reader = scene.duckdb();
  await reader.open(timeline.marks.at(-1).path, { readOnly: true });
  assert.ok(Number((await reader.sql('SELECT count(*) AS n FROM t'))[0]!['n']) >= 100_000);

  const detail = await look(http, 'database', 'ops', 'database=sales');
  const summary = await http.mount.database('sales');
  assert.equal(detail.layers.length, summary.depth);
  assert.equal(detail.path, http.mount.path('sales.duckdb'));
  const live = detail.layers.reduce(
    (sum: number, l: { liveBytes: number }) => sum + l.liveBytes,
    0,
  );
  assert.ok(live > 100_000 && live <= summary.size, `${live} of ${summary.size}`);
  const dead = detail.layers.some(
    (layer: { liveBytes: number; dataBytes: number }) => layer.liveBytes < layer.dataBytes,
  );
  assert.ok(dead, 'checkpoints rewrote blocks');
  for (const query of ['slots=0', 'slots=401', 'from=x', 'from=-1', 'to=1e3', 'slots=']) {
    const path = `/api/timeline?database=sales&${query}`;
    assert.equal((await http.send(path, { headers: as('ops') })).status, 400, query);
  }
});

acceptance('warnings are shown', { seconds: 60 }, async (scene) => {
  const http = await HttpMount.start(scene);
  const reader = await EventReader.open(`${http.endpoint}/api/events`);
  await reader.until('state', ({ problems }) => problems.length === 0);
  // The level changes at run time, and the log says so with a warning.
  succeeded(await http.mount.cli(['log-level', 'debug']));
  const { problems } = await reader.until('state', (state) => state.problems.length > 0);
  assert.deepEqual([problems[0].level, problems[0].number], ['warn', 1]);
  assert.match(problems[0].message, /another level/);
  reader.close();
});
