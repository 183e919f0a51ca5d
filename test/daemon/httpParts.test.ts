/** The parts of the HTTP side that need no server: ranges, conditions, paths, slots, settings. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { accessConfig, authorizeOf, isGuarded } from '../../daemon/execution/accessConfig.js';
import { serverFlags, serverSecrets } from '../../daemon/execution/serverArguments.js';
import { resolveServerSettings } from '../../daemon/execution/serverSettings.js';
import { rangeOf } from '../../daemon/http/byteRange.js';
import { rangeCounts, verdictOf } from '../../daemon/http/conditions.js';
import { fixedPath, parseDatabasePath } from '../../daemon/http/databasePath.js';
import { type HttpPorts, HttpSide } from '../../daemon/http/httpSide.js';
import { Slots } from '../../daemon/http/slots.js';
import { ManualClock } from '../fs/manualClock.js';
import { seededRandom, testSeed } from '../harness/seeds.js';

test('ranges', () => {
  const cases: readonly [string | undefined, number, unknown][] = [
    [undefined, 10, undefined],
    ['bytes=0-0', 10, { start: 0, length: 1 }],
    ['bytes=2-5', 10, { start: 2, length: 4 }],
    ['bytes=2-', 10, { start: 2, length: 8 }],
    ['bytes=-3', 10, { start: 7, length: 3 }],
    ['bytes=-30', 10, { start: 0, length: 10 }],
    ['bytes=5-99999999999999999999999', 10, { start: 5, length: 5 }],
    ['Bytes = 1 - 2', 10, { start: 1, length: 2 }],
    ['bytes=10-', 10, 'unsatisfiable'],
    ['bytes=99999999999999999999999-', 10, 'unsatisfiable'],
    ['bytes=-0', 10, 'unsatisfiable'],
    ['bytes=0-', 0, 'unsatisfiable'],
    ['bytes=-5', 0, 'unsatisfiable'],
    ['bytes=5-2', 10, undefined],
    ['bytes=-', 10, undefined],
    ['bytes=1-2,4-5', 10, undefined],
    ['items=0-1', 10, undefined],
    ['bytes=+1-2', 10, undefined],
    ['bytes=0x1-2', 10, undefined],
  ];
  for (const [header, size, expected] of cases) {
    assert.deepEqual(rangeOf(header, size), expected, `${header} of ${size}`);
  }
  const seed = seededRandom(testSeed()).seed;
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat(), (first, last, size) => {
      const range = rangeOf(`bytes=${first}-${last}`, size);
      if (range === undefined) return last < first;
      if (range === 'unsatisfiable') return first >= size;
      return range.start === first && first + range.length - 1 === Math.min(last, size - 1);
    }),
    { seed },
  );
});

test('conditions', () => {
  const tag = '"a"';
  const verdicts: readonly [Record<string, string>, string][] = [
    [{}, 'go'],
    [{ 'if-match': '"a"' }, 'go'],
    [{ 'if-match': '"b", "a"' }, 'go'],
    [{ 'if-match': '*' }, 'go'],
    [{ 'if-match': '"b"' }, 'failed'],
    [{ 'if-match': 'W/"a"' }, 'failed'],
    [{ 'if-none-match': '"a"' }, 'unchanged'],
    [{ 'if-none-match': 'W/"a"' }, 'unchanged'],
    [{ 'if-none-match': '*' }, 'unchanged'],
    [{ 'if-none-match': '"b"' }, 'go'],
    [{ 'if-match': '"b"', 'if-none-match': '"a"' }, 'failed'],
  ];
  for (const [headers, expected] of verdicts) {
    assert.equal(verdictOf(headers, tag), expected, JSON.stringify(headers));
  }
  assert.equal(rangeCounts(undefined, tag), true);
  assert.equal(rangeCounts('"a"', tag), true);
  assert.equal(rangeCounts('"b"', tag), false);
  assert.equal(rangeCounts('W/"a"', tag), false);
  assert.equal(rangeCounts('Wed, 25 Nov 2026 10:00:00 GMT', tag), false);
});

test('paths of databases', () => {
  const parse = (path: string, query = '') => ({ ...parseDatabasePath(`/db/${path}`, query) });
  const plain = { database: 'a', ref: undefined, suffix: '.duckdb', session: undefined };
  assert.deepEqual(parse('a.duckdb'), plain);
  assert.deepEqual(parse('a.duckdb.wal'), { ...plain, suffix: '.duckdb.wal' });
  assert.deepEqual(parse('a@x%20y.duckdb'), { ...plain, ref: 'x y' });
  assert.deepEqual(parse('a.duckdb', 'session=s%31'), { ...plain, session: 's1' });
  assert.deepEqual(parse(fixedPath('d ü', 'id', '.duckdb').slice(4)), {
    ...plain,
    database: 'd ü',
    ref: 'id',
  });
  for (const bad of [
    '',
    'a',
    '..',
    '../a.duckdb',
    '%2e%2e%2fa.duckdb',
    'a%2Fb.duckdb',
    'a.duckdb/',
  ]) {
    assert.throws(() => parse(bad), { code: 'NOT_FOUND' }, bad);
  }
  for (const bad of ['.a.duckdb', '@x.duckdb', 'a@.duckdb', 'a%00.duckdb', 'a.duckdb.tmp']) {
    assert.throws(() => parse(bad), { code: 'NOT_FOUND' }, bad);
  }
  assert.throws(() => parse('%E0%A4%A.duckdb'), { code: 'INVALID_ARGUMENT' });
  assert.throws(() => parse('a.duckdb', 'session='), { code: 'INVALID_ARGUMENT' });
  assert.throws(() => parse('a.duckdb', `session=${'x'.repeat(129)}`), {
    code: 'INVALID_ARGUMENT',
  });
});

test('slots: so many run, so many wait, and not for ever', async () => {
  const clock = new ManualClock();
  const slots = new Slots(clock, { running: 2, waiting: 2, waitMs: 1000 });
  const [first, second] = [await slots.take(), await slots.take()];
  const third = slots.take();
  const refused = assert.rejects(slots.take(), { code: 'OVERLOADED' }, 'it waits in vain');
  await assert.rejects(slots.take(), { code: 'OVERLOADED' }, 'too many wait');
  assert.deepEqual([slots.running, slots.waiting], [2, 2]);
  first();
  first(); // twice counts once
  const giveThird = await third;
  assert.deepEqual([slots.running, slots.waiting], [2, 1]);
  clock.advance(1000);
  await refused;
  assert.deepEqual([slots.running, slots.waiting], [2, 0]);
  giveThird();
  second();
  assert.deepEqual([slots.running, slots.waiting], [0, 0]);
  (await slots.take())();
});

const settingsOf = (flags: Record<string, unknown>) =>
  resolveServerSettings({
    flags,
    environment: {},
    file: undefined,
    user: { id: 0, home: '/root' },
    workingDirectory: '/',
  });

test('settings: where it listens, and what a daemon in the background is told', async () => {
  assert.equal(settingsOf({}).http.listen, undefined);
  assert.deepEqual(settingsOf({ http: '' }).http.listen, { host: '127.0.0.1', port: 7880 });
  assert.deepEqual(settingsOf({ http: ':9' }).http.listen, { host: '127.0.0.1', port: 9 });
  assert.throws(() => settingsOf({ http: 'nonsense' }), { code: 'USAGE' });

  assert.deepEqual(serverFlags(settingsOf({ token: 'secret' })), []);
  assert.deepEqual(serverSecrets(settingsOf({ token: 'secret' })), {});
  const alone = settingsOf({ http: '[::1]:9', token: 'secret' });
  assert.deepEqual(serverFlags(alone), ['--http=[::1]:9']);
  assert.deepEqual(serverSecrets(alone), { OPENDUCK_TOKEN: 'secret' });
  const granted = settingsOf({ http: ':9', tokens: '/t.toml' });
  assert.deepEqual(serverFlags(granted), ['--tokens=/t.toml', '--http=127.0.0.1:9']);
  const both = serverFlags(settingsOf({ http: ':9', worker: ':8', tokens: '/t.toml' }));
  for (const flag of ['--worker=127.0.0.1:8', '--http=127.0.0.1:9', '--tokens=/t.toml']) {
    assert.equal(both.filter((other) => other === flag).length, 1, flag);
  }

  const noPorts = {} as HttpPorts; // nothing is listened on, so none is asked
  assert.equal(await HttpSide.start(settingsOf({}), noPorts), undefined);
  const accessOf = async (flags: Record<string, unknown>) => {
    const { access, http } = settingsOf(flags);
    return accessConfig(access, http.listen!.host);
  };
  await assert.rejects(accessOf({ http: '0.0.0.0:9' }), {
    code: 'USAGE',
    message: /without a token/,
  });
  const config = await accessOf({ http: '0.0.0.0:9', token: 'secret' });
  assert.equal(isGuarded(config), true);
  assert.equal(authorizeOf(config)('secret')?.mayRead('any'), true);
  assert.equal(authorizeOf(config)('other'), undefined);
  await assert.rejects(accessOf({ http: '', tokens: '/nix.toml' }), { code: 'USAGE' });
});
