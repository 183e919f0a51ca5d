/**
 * What is made of a Postgres URL, and that nothing secret of it is shown.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describePostgresUrl, parsePostgresUrl } from '../../metadata/postgres/url.js';
import { errorCode } from '../../proto/errors.js';

test('postgres URL: what is shown', () => {
  const cases: readonly (readonly [url: string, shown: string])[] = [
    ['postgres://u:p%40@h:5433/db?sslmode=require', 'postgres://u@h:5433/db'],
    ['postgresql://h/db', 'postgres://h/db'],
    ['postgres://u:p@/db?host=/run/pg&port=5433', 'postgres://u@/run/pg:5433/db'],
    ['postgres://%2Frun%2Fpg/db?user=u&password=p', 'postgres://u@/run/pg/db'],
    ['postgres://u:p@[::1]:5433/db', 'postgres://u@[::1]:5433/db'],
    ['postgres://u:p@h', 'postgres://u@h/'],
    ['postgres://u:12/p@h/db', 'postgres://(a URL that cannot be read)'],
    ['postgres://u:12?p@h/db', 'postgres://(a URL that cannot be read)'],
    ['postgres://u:12#p@h/db', 'postgres://(a URL that cannot be read)'],
    ['postgres://u:p@q@h/db', 'postgres://(a URL that cannot be read)'],
    ['mysql://u:p@h/db', 'postgres://(a URL that cannot be read)'],
  ];
  for (const [url, shown] of cases) assert.equal(describePostgresUrl(url), shown, url);
});

test('postgres URL: what is shown never has the password', () => {
  const letters = fc.constantFrom(...'@:/?#%&=[] ab1');
  const secret = fc.array(letters, { maxLength: 12 }).map((l) => `S3${l.join('')}S4`);
  fc.assert(
    fc.property(secret, fc.boolean(), (password, encode) => {
      const shown = encode ? encodeURIComponent(password) : password;
      const url = `postgres://user:${shown}@host:5432/db?sslmode=disable`;
      const description = describePostgresUrl(url);
      assert.ok(!description.includes('S3') && !description.includes('S4'), description);
      if (encode) {
        assert.equal(description, 'postgres://user@host:5432/db');
        assert.equal(parsePostgresUrl(url).config.password, password);
      }
    }),
  );
});

test('postgres URL: where and as whom', () => {
  const { config } = parsePostgresUrl(
    'postgres://a%20b:c%2Fd@127.0.0.1:5433/e%20f?options=-c%20x%3Dy&search_path=%22My%20duck%22,b',
  );
  assert.deepEqual(config, {
    host: '127.0.0.1',
    port: 5433,
    user: 'a b',
    password: 'c/d',
    database: 'e f',
    ssl: false,
    options: '-c x=y -c search_path="My\\ duck",b',
  });
  const socket = parsePostgresUrl('postgres://u@/db?host=%2Frun%2Fpg&sslmode=verify-full').config;
  assert.equal(socket.host, '/run/pg');
  assert.equal(socket.ssl, false);
  assert.equal(parsePostgresUrl('postgres://%2Frun%2Fpg/db').config.host, '/run/pg');
  assert.equal(parsePostgresUrl('postgres://[::1]/db').config.host, '::1');
});

test('postgres URL: TLS is verified unless it says otherwise', () => {
  const tls = (host: string, mode: string) => {
    const { config, unverified } = parsePostgresUrl(`postgres://${host}/db${mode}`);
    const { ssl } = config;
    if (typeof ssl !== 'object') return ssl === true ? 'verified' : 'none';
    assert.equal(unverified, ssl.rejectUnauthorized === false);
    if (ssl.rejectUnauthorized === false) return 'unverified';
    return ssl.checkServerIdentity === undefined ? 'verified' : 'any name';
  };
  const cases: readonly (readonly [host: string, mode: string, expected: string])[] = [
    ['db.example.com', '', 'verified'],
    ['10.0.0.1', '', 'verified'],
    ['db.example.com', '?sslmode=prefer', 'verified'],
    ['db.example.com', '?sslmode=allow', 'verified'],
    ['db.example.com', '?sslmode=verify-full', 'verified'],
    ['db.example.com', '?sslmode=verify-full&sslrootcert=system', 'verified'],
    ['db.example.com', '?sslmode=verify-ca', 'any name'],
    ['db.example.com', '?sslmode=require', 'unverified'],
    [
      'db.example.com',
      `?sslmode=require&sslrootcert=${fileURLToPath(import.meta.url)}`,
      'any name',
    ],
    ['db.example.com', '?sslmode=disable', 'none'],
    ['localhost', '', 'none'],
    ['127.0.0.2', '', 'none'],
    ['127.example.com', '', 'verified'],
    ['[::1]', '', 'none'],
    ['localhost', '?sslmode=verify-full', 'verified'],
  ];
  for (const [host, mode, expected] of cases) {
    assert.equal(tls(host, mode), expected, `${host} ${mode}`);
  }
  for (const mode of ['?sslmode=maybe', '?sslcrl=x', '?sslmode=require&sslcert=/none']) {
    assert.throws(
      () => tls('db.example.com', mode),
      (error) => errorCode(error) === 'INVALID_ARGUMENT',
    );
  }
});
