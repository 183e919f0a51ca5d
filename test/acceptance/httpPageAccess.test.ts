/** The status page's server side: who may look, and who may change what. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { auditTrail } from '../harness/auditTrail.js';
import { EventReader } from '../harness/eventReader.js';
import { HttpMount } from '../harness/httpMount.js';
import { act, as, makeDatabase, mountWithTokens } from '../harness/pageMount.js';
import { succeeded } from '../harness/proc.js';
import { acceptance } from '../harness/scene.js';

acceptance('who may look', { seconds: 60 }, async (scene) => {
  const http = await mountWithTokens(scene);
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
  const http = await mountWithTokens(scene);
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
  const http = await mountWithTokens(scene);
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
    assert.deepEqual([get.status, get.headers.allow], [405, 'POST']);
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
