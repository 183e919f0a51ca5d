/** clone, restore, reset and undrop on a data directory that no daemon has open. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { lockDataDirectory, unlockDataDirectory } from '../../daemon/dataDirectory.js';
import { openStorage } from '../../daemon/openStorage.js';
import { resolveSettings } from '../../daemon/settings.js';
import { storeLocations } from '../../daemon/stores.js';
import { silentLogger, systemClock, systemRandom } from '../../proto/ports.js';
import { commitText } from '../fs/hostsFixture.js';
import { runCommand } from './runCommand.js';

const root = await mkdtemp(join(tmpdir(), 'openduck-branches-'));
after(() => rm(root, { recursive: true }));

/** A database `duck` with two commits, `old` and `new one`, each a snapshot. */
async function makeData(): Promise<string> {
  const dataDir = await mkdtemp(join(root, 'data'));
  const holder = { pid: process.pid, command: 'test', mountpoint: undefined };
  const lock = await lockDataDirectory(dataDir, holder, systemClock);
  const settings = resolveSettings({
    flags: { 'data-dir': dataDir },
    environment: {},
    file: undefined,
    user: { id: process.getuid!(), home: root },
    workingDirectory: root,
  });
  const ports = { clock: systemClock, random: systemRandom, logger: silentLogger };
  const storage = await openStorage(settings, await storeLocations(settings), ports);
  for (const text of ['old', 'new one']) {
    const { publisher } = await commitText(storage.engine, 'duck', text);
    await publisher.publish('manual');
  }
  await storage.close();
  await unlockDataDirectory(lock);
  return dataDir;
}

test('branches by command, without a daemon', { timeout: 120_000 }, async () => {
  const dataDir = await makeData();
  const run = (...words: string[]) => runCommand([...words, '--data-dir', dataDir]);
  const json = async (...words: string[]) => {
    const result = await run(...words, '--json');
    assert.equal(result.code, 0, `${words.join(' ')}: ${result.stderr}`);
    return JSON.parse(result.stdout);
  };
  const made = await json('clone', 'duck@~1', 'branch');
  assert.deepEqual([made.name, made.size], ['branch', 3]);
  assert.match(
    (await run('clone', 'duck.duckdb', 'two.duckdb')).stdout,
    /^Cloned .* as two \(7 B\)/,
  );
  const taken = await run('clone', 'duck', 'two');
  assert.equal(taken.code, 1);
  assert.match(taken.stderr, /'two' exists already/);
  assert.equal((await run('clone', 'duck', 'a/b')).code, 2);
  assert.equal((await run('clone', 'none', 'x')).code, 3);

  const { snapshot } = await json('restore', 'duck', '--at', '~1');
  assert.deepEqual([snapshot.reason, snapshot.size, snapshot.sequence], ['restore', 3, 3]);
  assert.match((await run('restore', 'duck', '--at', '~1')).stdout, /^duck is restored \(7 B\)/);
  assert.equal((await run('restore', 'duck', '--at', '~99')).code, 3);
  assert.equal((await json('reset', 'branch')).snapshot.size, 3);
  const noBranch = await run('reset', 'duck');
  assert.equal(noBranch.code, 3);
  assert.match(noBranch.stderr, /is no branch/);

  assert.equal((await run('ls', '--dropped')).stdout, 'None was dropped.\n');
  assert.deepEqual((await json('ls', '--dropped')).dropped, []);
  const missing = await run('undrop', 'duck');
  assert.equal(missing.code, 3);
  assert.match(missing.stderr, /no database duck was dropped/);
});
