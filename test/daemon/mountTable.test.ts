import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkApart, isOurMount } from '../../daemon/mountpoint.js';
import { parseMountTable } from '../../layers/os/mountTable.js';

const TABLE = `
36 35 98:0 /mnt1 / rw,noatime master:1 - ext4 /dev/root rw,errors=continue
50 36 0:45 / /mnt/a\\040b\\134c rw,nosuid shared:7 master:1 - fuse.openduck-fuse openduck-fuse rw
51 36 0:46 / /mnt/d\\303\\274ck rw - fuse openduck-fuse rw,user_id=0
52 36 0:47 / /mnt/other rw - fuse.sshfs host: rw
53 36 0:48 / /mnt/tmp rw - tmpfs openduck-fuse rw
not a line of the table
`;

test('the mount table: optional fields, escapes, and lines that are not of its form', () => {
  const entries = parseMountTable(TABLE);
  assert.deepEqual(
    entries.map((entry) => entry.mountpoint),
    ['/', '/mnt/a b\\c', '/mnt/dück', '/mnt/other', '/mnt/tmp'],
  );
  assert.deepEqual(entries[0], {
    mountpoint: '/',
    type: 'ext4',
    source: '/dev/root',
    device: '98:0',
  });
  assert.deepEqual(entries.map(isOurMount), [false, true, true, false, false]);
});

test('a mountpoint and the data directory must not lie in each other', () => {
  for (const [mountpoint, dataDir] of [
    ['/a', '/a'],
    ['/a/b', '/a'],
    ['/a', '/a/b'],
    ['/', '/a'],
  ] as const) {
    assert.throws(() => checkApart(mountpoint, dataDir, 'the data directory'), {
      code: 'INVALID_ARGUMENT',
    });
  }
  checkApart('/a/bc', '/a/b', 'the data directory');
});
