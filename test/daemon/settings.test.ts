import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { mountArguments } from '../../daemon/daemonize.js';
import { serverSecrets } from '../../daemon/execution/serverArguments.js';
import { hasPassword, isSamePlace, withoutPassword } from '../../daemon/postgresUrl.js';
import { SecretText } from '../../daemon/secretText.js';
import type { SettingSources } from '../../daemon/settingSources.js';
import { resolveDaemonSettings, resolveSettings } from '../../daemon/settings.js';
import { metadataFileOf } from '../../daemon/storeSettings.js';
import { OpenduckError } from '../../proto/errors.js';

const NOBODY: SettingSources = {
  flags: {},
  environment: {},
  file: undefined,
  user: { id: 1000, home: '/home/ada' },
  workingDirectory: '/work',
};

const FILE = (values: Record<string, unknown>) => ({
  path: '/etc/duck/openduck.toml',
  directory: '/etc/duck',
  values,
});

test('the defaults of a user and of root', () => {
  const user = resolveSettings(NOBODY);
  assert.equal(user.dataDir, '/home/ada/.local/share/openduck');
  assert.equal(user.dataDirGiven, false);
  assert.equal(user.allowOther, false);
  assert.equal(user.writerWaitMs, 5000);
  assert.equal(user.publishIntervalMs, 1000);
  assert.equal(user.readOnly, false);
  assert.equal(user.logLevel, 'info');
  assert.equal(user.ack, 'local');
  assert.equal(user.gcIntervalMs, 3_600_000);
  assert.equal(user.undropWithinMs, 7 * 86_400_000);
  assert.equal(user.cacheBytes, 10 * 2 ** 30);
  assert.equal(user.metadata, undefined);
  assert.equal(user.objects, undefined);
  const root = resolveSettings({ ...NOBODY, user: { id: 0, home: '/root' } });
  assert.equal(root.dataDir, '/var/lib/openduck');
  assert.equal(root.allowOther, true);
  const xdg = (value: string) =>
    resolveSettings({ ...NOBODY, environment: { XDG_DATA_HOME: value } }).dataDir;
  assert.equal(xdg('/data'), '/data/openduck');
  assert.equal(xdg('relative'), '/home/ada/.local/share/openduck');
});

test('flags win over the environment, that over the file, and that over the default', () => {
  const file = FILE({ 'writer-wait': '3s', 'read-only': true, 'data-dir': 'data' });
  const environment = { OPENDUCK_WRITER_WAIT: '2s', OPENDUCK_READ_ONLY: '' };
  const all = resolveSettings({ ...NOBODY, file, environment, flags: { 'writer-wait': '1s' } });
  assert.equal(all.writerWaitMs, 1000);
  assert.equal(all.readOnly, true, 'an empty variable is none');
  assert.equal(all.dataDir, '/etc/duck/data', 'relative to the file');
  assert.equal(all.dataDirGiven, true);
  assert.equal(resolveSettings({ ...NOBODY, file, environment }).writerWaitMs, 2000);
  assert.equal(resolveSettings({ ...NOBODY, file }).writerWaitMs, 3000);
  assert.equal(resolveSettings({ ...NOBODY, flags: { 'data-dir': 'd' } }).dataDir, '/work/d');
});

test('a flag can say no to what the file says yes to', () => {
  const file = FILE({ 'read-only': true, 'allow-other': true });
  const settings = resolveSettings({ ...NOBODY, file, flags: { 'read-only': false } });
  assert.equal(settings.readOnly, false);
  assert.equal(settings.allowOther, true);
});

test('errors name where the wrong value came from', () => {
  const refuse = (sources: Partial<SettingSources>, code: string, message: RegExp) =>
    assert.throws(() => resolveSettings({ ...NOBODY, ...sources }), { code, message });
  refuse({ flags: { 'writer-wait': '5' } }, 'USAGE', /^--writer-wait/);
  refuse({ environment: { OPENDUCK_READ_ONLY: 'maybe' } }, 'USAGE', /^OPENDUCK_READ_ONLY/);
  refuse({ file: FILE({ 'log-level': 'loud' }) }, 'USAGE', /^log-level in \/etc\/duck/);
  refuse({ file: FILE({ 'data-dir': 7 }) }, 'USAGE', /^data-dir in .*needs a text/);
  refuse({ file: FILE({ writer_wait: '5s' }) }, 'USAGE', /unknown setting 'writer_wait'/);
  refuse({ flags: { objects: 'gs://bucket/x' } }, 'UNSUPPORTED', /^--objects: 'gs:\/\/bucket\/x'/);
  refuse(
    { flags: { objects: 's3://B' } },
    'USAGE',
    /^--objects: 's3:\/\/B' does not name a bucket/,
  );
  refuse({ flags: { metadata: 'mysql://db' } }, 'UNSUPPORTED', /^--metadata/);
  refuse({ flags: { ack: 'none' } }, 'USAGE', /^--ack: 'none' is not/);
  refuse({ flags: { 'cache-size': '10' } }, 'USAGE', /^--cache-size: '10' is not a size/);
  refuse({ flags: { 's3-sse': 'rot13' } }, 'USAGE', /^--s3-sse: 'rot13'/);
  refuse({ flags: { 's3-endpoint': 'host:9000' } }, 'USAGE', /^--s3-endpoint: not an http/);
  refuse({ flags: { objects: 'file:///a%2Fb' } }, 'USAGE', /not a file URL/);
});

const URL_WITH_PASSWORD = 'postgres://ada:pa%40ss@db.example:5433/duck?sslmode=require';

test('the URL of the metadata: flag, variable, config file, or the content of a file', () => {
  const urlOf = (sources: Partial<SettingSources>, text?: string) => {
    const { metadata } = resolveSettings({ ...NOBODY, ...sources }, text);
    assert.equal(metadata?.kind, 'postgres');
    return metadata?.kind === 'postgres' ? metadata.url.reveal() : undefined;
  };
  const other = 'postgresql://other/db';
  assert.equal(urlOf({ flags: { metadata: URL_WITH_PASSWORD } }), URL_WITH_PASSWORD);
  assert.equal(urlOf({ environment: { OPENDUCK_METADATA: other } }), other);
  assert.equal(urlOf({ file: FILE({ metadata: other }) }), other);
  const fromFile = { ...NOBODY, environment: { OPENDUCK_METADATA_FILE: 'duck.url' } };
  assert.equal(metadataFileOf(fromFile), '/work/duck.url');
  assert.equal(urlOf(fromFile, `${URL_WITH_PASSWORD}\n`), URL_WITH_PASSWORD);
  const stronger = { ...fromFile, flags: { metadata: other } };
  assert.equal(metadataFileOf(stronger), undefined);
  assert.equal(urlOf(stronger), other);
  const weaker = { ...fromFile, file: FILE({ metadata: other }) };
  assert.equal(urlOf(weaker, URL_WITH_PASSWORD), URL_WITH_PASSWORD);
  assert.equal(metadataFileOf({ ...NOBODY, flags: { 'metadata-file': '-' } }), '-');
  const input = { ...NOBODY, environment: { OPENDUCK_METADATA_FILE: '-' } };
  assert.throws(() => metadataFileOf(input), {
    code: 'USAGE',
    message: /^OPENDUCK_METADATA_FILE: -/,
  });
  const both = { ...NOBODY, flags: { metadata: other, 'metadata-file': 'f' } };
  assert.throws(() => metadataFileOf(both), { code: 'USAGE', message: /^--metadata-file/ });
});

test('a file that cannot be read matters only to who needs the metadata', () => {
  const error = new OpenduckError('NOT_PERMITTED', 'no');
  const sources = { ...NOBODY, flags: { 'metadata-file': '/root/duck.url' } };
  const settings = resolveDaemonSettings(sources, error);
  assert.deepEqual(settings.metadata, { kind: 'unreadable', error });
  assert.throws(() => mountArguments('/m', settings), error);
});

test('no error, text or list of arguments shows a password', () => {
  const wrong = ['postgers://ada:hidden@h/d', 'ada:hidden@h/d', 'postgres://ada:hid@den@h/d'];
  for (const metadata of wrong) {
    assert.throws(
      () => resolveDaemonSettings({ ...NOBODY, flags: { metadata } }),
      (error) => !/hid/.test(inspect(error, { depth: 9 })),
    );
  }
  const settings = resolveDaemonSettings({ ...NOBODY, flags: { metadata: URL_WITH_PASSWORD } });
  for (const text of [JSON.stringify(settings), inspect(settings, { depth: 9 })]) {
    assert.doesNotMatch(text, /pa%40ss/);
  }
  assert.equal(`${new SecretText('hidden')}`, '(secret)');
  const words = mountArguments('/m', settings);
  assert.ok(words.includes('--metadata-file=-'), words.join(' '));
  assert.doesNotMatch(words.join(' '), /pa%40ss|postgres/);
});

test('Postgres URLs without their passwords, and those that mean the same tables', () => {
  const shown = 'postgres://ada@db.example:5433/duck?sslmode=require';
  assert.equal(withoutPassword(URL_WITH_PASSWORD), shown);
  assert.equal(withoutPassword('postgres://h/d?password=x&user=ada'), 'postgres://h/d?user=ada');
  assert.deepEqual(
    ['--metadata', `--metadata=${URL_WITH_PASSWORD}`, shown, 'postgres://h/d?password=x'].map(
      hasPassword,
    ),
    [false, true, false, true],
  );
  const socket = 'postgres://ada:x@/d?host=/run/postgresql';
  assert.equal(withoutPassword(socket), 'postgres://ada@/d?host=%2Frun%2Fpostgresql');
  assert.equal(isSamePlace(withoutPassword(socket), socket), true);
  const url = 'postgres://ada:a@h/d?search_path=s';
  const same = [
    'postgresql://ada:b@h:5432/d?search_path=s&sslmode=require',
    'postgres://ada@h/d?search_path=s',
  ];
  for (const other of same) assert.equal(isSamePlace(url, other), true, other);
  for (const other of [
    'postgres://eve:a@h/d?search_path=s',
    'postgres://ada:a@g/d?search_path=s',
    'postgres://ada:a@h:1/d?search_path=s',
    'postgres://ada:a@h/e?search_path=s',
    'postgres://ada:a@h/d',
  ]) {
    assert.equal(isSamePlace(url, other), false, other);
  }
});

test('the background daemon gets every setting as a flag', () => {
  const flags = {
    'data-dir': '/d',
    'writer-wait': '7s',
    'publish-interval': '250ms',
    objects: 'file:///o%20o',
    'read-only': true,
    ack: 'object',
    'cache-size': '2GiB',
    'lease-ttl': '5s',
    'log-level': 'debug',
  };
  const settings = resolveDaemonSettings({ ...NOBODY, flags });
  assert.deepEqual(mountArguments('/m', settings), [
    'mount',
    '/m',
    '--foreground',
    '--data-dir=/d',
    '--no-allow-other',
    '--read-only',
    '--writer-wait=7000ms',
    '--publish-interval=250ms',
    '--ack=object',
    '--cache-size=2147483648B',
    '--lease-ttl=5000ms',
    '--gc-interval=3600000ms',
    '--undrop-within=604800000ms',
    '--log-level=debug',
    '--objects=file:///o%20o',
  ]);
  const words = mountArguments('/m', settings, { drainMs: 1500, cutWriters: true });
  assert.deepEqual(words.slice(-3), ['--replace', '--drain=1500ms', '--cut-writers']);
});

/** What the flags of a background daemon and its environment mean there. */
function settingsThere(settings: ReturnType<typeof resolveDaemonSettings>) {
  const flags: Record<string, unknown> = {};
  for (const word of mountArguments('/m', settings).slice(3)) {
    const [, no, name, , value] = /^--(no-)?([a-z0-9-]+?)(=(.*))?$/s.exec(word)!;
    flags[name!] = value ?? no === undefined;
  }
  return resolveDaemonSettings({ ...NOBODY, flags, environment: serverSecrets(settings) });
}

test('no setting gets lost on its way to the background daemon', () => {
  const flags = {
    'data-dir': '/d',
    'gc-interval': 'off',
    'undrop-within': '3w',
    worker: '0.0.0.0:7000',
    token: 'hidden-token',
    'tls-cert': 'c.pem',
    'tls-key': '/k.pem',
    'tls-client-ca': 'ca.pem',
    'init-sql': 'lake.sql',
    'external-access': false,
    'max-concurrency': '3',
    'max-queue': '0',
    'memory-limit': '3GiB',
    threads: '5',
    gateway: 'http://gate:7879',
    'gateway-token': 'other-token',
    'gateway-ca': 'g.pem',
    advertise: 'https://me:7000',
    databases: 'a,b',
    tables: ['t', 'u'],
    'compute-context': 'lake',
  };
  const settings = resolveDaemonSettings({ ...NOBODY, flags });
  assert.deepEqual(settingsThere(settings), settings);
  const { access, worker } = settingsThere(settings);
  assert.deepEqual(
    [access.token?.reveal(), worker.gatewayToken?.reveal()],
    ['hidden-token', 'other-token'],
  );
  assert.doesNotMatch(mountArguments('/m', settings).join(' '), /hidden-token|other-token/);
  const none = resolveDaemonSettings({ ...NOBODY, flags: { 'data-dir': '/d' } });
  assert.deepEqual(settingsThere(none), none);
});

test('the background daemon finds the same S3 store', () => {
  const flags = {
    objects: 's3://bucket/some/prefix/',
    's3-endpoint': 'https://s3.example:9000/',
    's3-region': 'eu-central-1',
    's3-path-style': true,
    's3-sse': 'aws:kms:key/1',
    's3-ca': 'ca.pem',
  };
  const settings = resolveDaemonSettings({ ...NOBODY, flags });
  const expected = [
    '--objects=s3://bucket/some/prefix',
    '--s3-endpoint=https://s3.example:9000',
    '--s3-region=eu-central-1',
    '--s3-path-style',
    '--s3-sse=aws:kms:key/1',
    '--s3-ca=/work/ca.pem',
  ];
  assert.deepEqual(mountArguments('/m', settings).slice(-expected.length), expected);
});

test('garbage collection: an interval or off, and how long dropped databases stay', () => {
  const withFlags = (flags: Record<string, string>) => resolveSettings({ ...NOBODY, flags });
  assert.equal(withFlags({ 'gc-interval': 'off' }).gcIntervalMs, undefined);
  assert.equal(withFlags({ 'gc-interval': '2h' }).gcIntervalMs, 7_200_000);
  assert.equal(withFlags({ 'undrop-within': '10w' }).undropWithinMs, 70 * 86_400_000);
  assert.throws(() => withFlags({ 'gc-interval': '1ms' }), { code: 'USAGE' });
  assert.throws(() => withFlags({ 'undrop-within': 'soon' }), { code: 'USAGE' });
});
