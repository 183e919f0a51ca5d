/** The status page's server side: who sees what, who may change what, and how many may look. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { auditTrail } from '../harness/auditTrail.js';
import { EventReader } from '../harness/eventReader.js';
import { HttpMount } from '../harness/httpMount.js';
import { succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';

const TOKENS = `
[[token]]
name = "ops"
token = "token-of-ops"
write = ["*"]
[[token]]
name = "dashboards"
token = "token-of-dashboards"
read = ["sales"]
[[token]]
name = "etl"
token = "token-of-etl"
read = ["sales"]
write = ["copy", "stock"]
`;

const as = (name: string) => ({ authorization: `Bearer token-of-${name}` });

async function guarded(scene: Scene): Promise<HttpMount> {
  const tokens = join(await scene.tempDir(), 'tokens.toml');
  await writeFile(tokens, TOKENS);
  return HttpMount.start(scene, ['--tokens', tokens]);
}

async function makeDatabase(scene: Scene, http: HttpMount, name: string): Promise<void> {
  const writer = scene.duckdb();
  await writer.open(http.mount.path(`${name}.duckdb`));
  await writer.sql('CREATE TABLE t AS SELECT range AS i FROM range(100000); CHECKPOINT');
  await writer.sql('INSERT INTO t VALUES (1)');
  await writer.end();
  await http.snapshot(name);
}

async function look(http: HttpMount, what: string, token: string, query: string) {
  const answer = await http.send(`/api/${what}?${query}`, { headers: as(token) });
  assert.equal(answer.status, 200, answer.body.toString());
  assert.equal(answer.headers['cache-control'], 'no-store');
  return JSON.parse(answer.body.toString());
}

async function act(
  http: HttpMount,
  action: string,
  body: object,
  headers: Readonly<Record<string, string>> = as('ops'),
) {
  const { status, body: text } = await http.send(`/api/actions/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status, text: text.toString() };
}

acceptance('the page and its files: strict policy, nothing of data', { seconds: 60 }, async (s) => {
  const http = await guarded(s);
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
  const http = await guarded(scene);
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
  const http = await guarded(scene);
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
  await reader.open(timeline.marks[0].path, { readOnly: true });
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

acceptance('who may look', { seconds: 60 }, async (scene) => {
  const http = await guarded(scene);
  await makeDatabase(scene, http, 'sales');
  await makeDatabase(scene, http, 'stock');
  const status = async (path: string, headers: Record<string, string> = {}) =>
    (await http.send(path, { headers })).status;
  for (const what of ['timeline', 'snapshots', 'database']) {
    const [sales, stock] = [`/api/${what}?database=sales`, `/api/${what}?database=stock`];
    assert.equal(await status(sales), 401);
    assert.equal(await status(sales, { authorization: 'Bearer nonsense' }), 401);
    assert.equal(await status(sales, as('dashboards')), 200);
    assert.equal(await status(stock, as('dashboards')), 403);
    assert.equal(await status(`/api/${what}?database=nix`, as('ops')), 404);
    assert.equal(await status(`/api/${what}`, as('dashboards')), 403);
    assert.equal(await status(sales, { ...as('ops'), 'sec-fetch-site': 'cross-site' }), 403);
    assert.equal(await status(sales, { ...as('ops'), origin: 'http://evil.example' }), 403);
  }
  assert.equal(await status('/api/events'), 401);
  assert.equal(await status('/api/events', { ...as('ops'), 'sec-fetch-site': 'same-site' }), 403);
  assert.equal(await status('/api/nix?database=sales', as('ops')), 404);
  const put = await http.send('/api/events', { method: 'PUT', headers: as('ops') });
  assert.equal(put.status, 405);
  const posted = await http.send('/api/events', { method: 'POST', headers: as('ops') });
  assert.equal(posted.status, 405);
});

acceptance('actions, and who did them', { seconds: 120 }, async (scene) => {
  const http = await guarded(scene);
  await makeDatabase(scene, http, 'sales');
  await makeDatabase(scene, http, 'stock');
  const [database, snapshot] = ['sales', await http.snapshot('sales')];
  const done = async (action: string, body: object, token = 'ops') => {
    const { status, text } = await act(http, action, body, as(token));
    assert.equal(status, 200, text);
    return JSON.parse(text);
  };
  assert.equal((await done('name', { database, snapshot, name: 'good' })).snapshot.name, 'good');
  await done('clone', { database, snapshot: 'good', name: 'copy' }, 'etl');
  const reader = scene.duckdb();
  await reader.open(http.mount.path('copy.duckdb'), { readOnly: true });
  assert.equal(Number((await reader.sql('SELECT count(*) AS n FROM t'))[0]!['n']), 100_001);
  await reader.end();
  const writer = scene.duckdb();
  await writer.open(http.mount.path('sales.duckdb'));
  await writer.sql('DROP TABLE t');
  const busy = await act(http, 'restore', { database, snapshot });
  assert.equal(busy.status, 409, busy.text);
  assert.match(busy.text, new RegExp(String(writer.pid)), 'who writes it');
  await writer.end();
  await done('restore', { database, snapshot });
  const restored = scene.duckdb();
  await restored.open(http.mount.path('sales.duckdb'), { readOnly: true });
  assert.equal(Number((await restored.sql('SELECT count(*) AS n FROM t'))[0]!['n']), 100_001);
  await done('snapshot', { database, name: 'after' });
  const rules = ['--keep-within', '0', '--keep-last', '1'];
  succeeded(await http.mount.cli(['retention', 'sales', ...rules]));
  const plan = await done('gc', { database, dryRun: true });
  assert.ok(plan.dryRun && plan.snapshots > 0);
  const report = await done('gc', { database, dryRun: false });
  assert.equal(report.snapshots, plan.snapshots);

  for (const [action, body, status] of [
    ['clone', { database, name: 'copy' }, 409],
    ['clone', { database, name: 'a@b' }, 400],
    ['clone', { database: 'nix', name: 'other' }, 404],
    ['name', { database, snapshot: 'nix', name: 'x' }, 404],
    ['name', { database, snapshot: { a: 1 }, name: 'x' }, 400],
    ['restore', { database }, 400],
    ['gc', { database }, 400],
    ['nix', {}, 404],
  ] as const) {
    const refused = await act(http, action, body);
    assert.equal(refused.status, status, `${action}: ${refused.text}`);
  }
  await http.mount.stop();
  const lines = auditTrail(await http.mount.log()).filter(({ by }) => by === 'http');
  assert.deepEqual(
    lines.map(({ action, grant, database: name }) => [action, grant, name]).slice(0, 4),
    [
      ['snapshot-name', 'ops', 'sales'],
      ['clone', 'etl', 'copy'],
      ['restore', 'ops', 'sales'],
      ['snapshot', 'ops', 'sales'],
    ],
  );
  assert.ok(lines.slice(4).every(({ action }) => action === 'gc'));
  assert.ok(lines.length > 4);
  assert.ok(lines.every(({ address }) => address === '127.0.0.1'));
  assert.doesNotMatch(await http.mount.log(), /token-of-/);
});

acceptance('actions are refused to who may not', { seconds: 90 }, async (scene) => {
  const http = await guarded(scene);
  await makeDatabase(scene, http, 'sales');
  await makeDatabase(scene, http, 'stock');
  const sales = { database: 'sales', snapshot: '~0', name: 'x', dryRun: true };
  const refused = async (action: string, body: object, token: string) => {
    const { status, text } = await act(http, action, body, as(token));
    assert.equal(status, 403, `${action} by ${token}: ${text}`);
  };
  for (const action of ['snapshot', 'name', 'clone', 'restore', 'gc']) {
    assert.equal((await act(http, action, sales, {})).status, 401);
    await refused(action, sales, 'dashboards');
    await refused(action, sales, 'etl');
    for (const site of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'http://evil.example' }]) {
      const { status } = await act(http, action, sales, { ...as('ops'), ...site });
      assert.equal(status, 403);
    }
    const form = { ...as('ops'), 'content-type': 'application/x-www-form-urlencoded' };
    assert.equal((await act(http, action, sales, form)).status, 400);
    const get = await http.send(`/api/actions/${action}`, { headers: as('ops') });
    assert.equal(get.status, 405);
  }
  await refused('clone', { database: 'stock', name: 'sales2' }, 'etl');
  await refused('clone', { database: 'stock', name: 'copy' }, 'dashboards');
  await refused('gc', { dryRun: true }, 'etl');
  assert.equal((await act(http, 'gc', { database: 'stock', dryRun: true }, as('etl'))).status, 200);
  const names = (await http.mount.status()).databases.map(({ name }) => name);
  assert.deepEqual(names, ['sales', 'stock']);
  assert.deepEqual(
    auditTrail(await http.mount.log()).filter(({ by }) => by === 'http'),
    [],
  );
});

/** Node's own client does not let a program lie about the host so easily. */
function statusUnder(
  endpoint: string,
  host: string,
  path: string,
  method = 'GET',
): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(`${endpoint}${path}`, { method, headers: { host }, agent: false });
    sent.once('response', (answer) => {
      resolve(answer.statusCode ?? 0);
      sent.destroy();
    });
    sent.once('error', reject);
    sent.end();
  });
}

acceptance('without tokens: to look at only, and only here', { seconds: 60 }, async (scene) => {
  const http = await HttpMount.start(scene);
  await makeDatabase(scene, http, 'sales');
  const reader = await EventReader.open(`${http.endpoint}/api/events`);
  assert.deepEqual((await reader.until('hello')).isGuarded, false);
  const [shown] = (await reader.until('state')).databases;
  assert.deepEqual([shown.name, shown.mayChange], ['sales', false]);
  reader.close();
  const sales = { database: 'sales', snapshot: '~0', name: 'x', dryRun: true };
  for (const action of ['snapshot', 'name', 'clone', 'restore', 'gc']) {
    for (const headers of [{}, { authorization: 'Bearer anything' }]) {
      const { status, text } = await act(http, action, sales, headers);
      assert.equal(status, 403, action);
      assert.match(text, /--token/);
    }
  }
  // A name that another web site has made to mean this machine.
  for (const path of ['/', '/page/app.js', '/api/events', '/api/database?database=sales']) {
    assert.equal(await statusUnder(http.endpoint, 'evil.example', path), 403, path);
    assert.equal(await statusUnder(http.endpoint, 'localhost:7880', path), 200, path);
  }
  assert.equal(await statusUnder(http.endpoint, 'evil.example', '/api/actions/gc', 'POST'), 403);
  await http.mount.stop();
  const lines = auditTrail(await http.mount.log());
  assert.deepEqual(
    lines.filter(({ by }) => by === 'http'),
    [],
  );
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
