import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseOpenduckUrl } from '../../exec/client/address.js';
import { sessionSettings } from '../../exec/client/options.js';
import { isPlainRead } from '../../exec/client/readOnly.js';
import { endpointText, parseEndpoint } from '../../exec/protocol/endpoint.js';

const usage = { code: 'USAGE' };

test('openduck: URLs as the existing extension has them', () => {
  const none = { endpoint: undefined, token: undefined, database: '', at: undefined };
  const cases: [string, object][] = [
    ['openduck:', none],
    ['openduck:mydb', { ...none, database: 'mydb' }],
    ['od:mydb', { ...none, database: 'mydb' }],
    ['OPENDUCK://mydb/', { ...none, database: 'mydb' }],
    [
      'openduck:mydb?endpoint=http://host:7878&token=a=b?c+d',
      { ...none, database: 'mydb', endpoint: 'http://host:7878', token: 'a=b?c+d' },
    ],
    ['od:m%20y?token=%41%zz&at=~3', { ...none, database: 'm y', token: '%41%zz', at: '~3' }],
    ['od:x?&endpoint=&', { ...none, database: 'x' }],
  ];
  for (const [url, target] of cases) assert.deepEqual(parseOpenduckUrl(url, {}), target, url);
  assert.throws(() => parseOpenduckUrl('http://host', {}), usage);
  assert.throws(() => parseOpenduckUrl('od:x?tokn=secret', {}), { ...usage, message: /'tokn'/ });
});

test('what is missing comes from the environment', () => {
  const environment = { OPENDUCK_ENDPOINT: 'host:1', OPENDUCK_TOKEN: 'T' };
  const named = parseOpenduckUrl('od:x', environment);
  assert.deepEqual([named.endpoint, named.token], ['host:1', 'T']);
  const own = parseOpenduckUrl('od:x?endpoint=other&token=U', environment);
  assert.deepEqual([own.endpoint, own.token], ['other', 'U']);
  const session = sessionSettings('http://third', { environment, token: 'V', database: 'd' });
  assert.equal(endpointText(session.endpoint), 'http://third:7878');
  assert.deepEqual([session.token, session.database], ['V', 'd']);
  assert.throws(() => sessionSettings('od:x', { environment: {} }), usage);
});

test('endpoints: what is read is what is written', () => {
  const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65_535 }), fc.boolean(), (name, port, secure) => {
      const endpoint = { host: name, port, secure };
      assert.deepEqual(parseEndpoint(endpointText(endpoint)), endpoint);
    }),
  );
  assert.deepEqual(parseEndpoint('localhost'), { host: 'localhost', port: 7878, secure: false });
  assert.equal(parseEndpoint('https://h/').secure, true);
  for (const wrong of [
    '',
    'ftp://h',
    'h:0',
    'h:65536',
    'h:x',
    '[1::',
    '[x]:1',
    'http://u@h/path',
  ]) {
    assert.throws(() => parseEndpoint(wrong), usage, wrong);
  }
});

test('only what reads, and nothing else, is sent twice', () => {
  const reads = [
    'SELECT 1',
    ' -- a comment\n/* and\nanother */ from t;',
    '(select 1)',
    'WITH a AS (SELECT 1) SELECT * FROM a',
    'EXPLAIN SELECT 1',
    'SHOW TABLES',
  ];
  for (const sql of reads) assert.ok(isPlainRead(sql), sql);
  const others = [
    'INSERT INTO t VALUES (1)',
    'WITH a AS (SELECT 1) INSERT INTO t FROM a',
    'SELECT 1; DELETE FROM t',
    'EXPLAIN ANALYZE SELECT 1',
    "SELECT nextval('s')",
    'BEGIN',
    'COPY t TO $1',
    '/* only a comment */',
    '',
  ];
  for (const sql of others) assert.ok(!isPlainRead(sql), sql);
});
