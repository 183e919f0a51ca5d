import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountArguments } from '../../daemon/daemonize.js';
import { resolveSettings, type SettingSources } from '../../daemon/settings.js';

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
  refuse({ flags: { objects: 's3://bucket/x' } }, 'UNSUPPORTED', /^--objects: 's3:\/\/bucket\/x'/);
  refuse({ flags: { metadata: 'postgres://db' } }, 'UNSUPPORTED', /^--metadata/);
  refuse({ flags: { objects: 'file:///a%2Fb' } }, 'USAGE', /not a file URL/);
});

test('the background daemon gets every setting as a flag', () => {
  const flags = {
    'data-dir': '/d',
    'writer-wait': '7s',
    'publish-interval': '250ms',
    objects: 'file:///o%20o',
    'read-only': true,
    'log-level': 'debug',
  };
  const settings = resolveSettings({ ...NOBODY, flags });
  assert.deepEqual(mountArguments('/m', settings), [
    'mount',
    '/m',
    '--foreground',
    '--data-dir=/d',
    '--no-allow-other',
    '--read-only',
    '--writer-wait=7000ms',
    '--publish-interval=250ms',
    '--log-level=debug',
    '--objects=file:///o%20o',
  ]);
});
