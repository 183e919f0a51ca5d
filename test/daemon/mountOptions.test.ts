import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHelperWords } from '../../daemon/mountOptions.js';

const wordsOf = (...words: string[]) => parseHelperWords(words).words;

test('what mount(8) hands over for an /etc/fstab line', () => {
  const options =
    'ro,noatime,noexec,nosuid,nodev,data-dir=/var/lib/duck,metadata-file=/etc/duck.url,' +
    'objects=s3://bucket/p,writer-wait=30s,allow_other,user=ada,_netdev,nofail,x-systemd.automount';
  assert.deepEqual(wordsOf('openduck-fuse', '/mnt/duck', '-o', options), [
    'mount',
    '/mnt/duck',
    '--read-only',
    '--data-dir=/var/lib/duck',
    '--metadata-file=/etc/duck.url',
    '--objects=s3://bucket/p',
    '--writer-wait=30s',
    '--allow-other',
  ]);
  assert.deepEqual(wordsOf('none', '/m', '-o', 'rw,no-allow-other'), [
    'mount',
    '/m',
    '--no-allow-other',
  ]);
  assert.deepEqual(wordsOf('none', '/m'), ['mount', '/m']);
});

test('flags of a helper, alone and together', () => {
  const request = parseHelperWords(['none', '/m', '-sfv', '-t', 'fuse.openduck', '-o', 'rw,odd=1']);
  assert.deepEqual(request, { words: ['mount', '/m'], isFake: true, isVerbose: true });
});

test('what is wrong is told, and a password is not repeated', () => {
  const refuse = (words: string[], message: RegExp) =>
    assert.throws(() => parseHelperWords(words), { code: 'USAGE', message });
  refuse(['none'], /a source and a directory/);
  refuse(['none', '/m', '-N', '1'], /unknown flag '-N'/);
  refuse(['none', '/m', '-o', 'odd=1'], /unknown mount option 'odd'/);
  refuse(['none', '/m', '-o', 'metadata=postgres://ada:hidden@h/d'], /^(?!.*hidden).*password/);
});
