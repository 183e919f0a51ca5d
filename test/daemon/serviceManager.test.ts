/** What a service manager hears: the words of sd_notify(3), and a watchdog that tells the truth. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { MountAnswer } from '../../daemon/mountAnswer.js';
import { probeMount } from '../../daemon/mountAnswer.js';
import { createServiceManager } from '../../daemon/serviceManager.js';
import { notifyAddress } from '../../layers/os/notifySocket.js';
import { type Logger, systemClock } from '../../proto/ports.js';
import { NotifyReceiver } from '../harness/notifyReceiver.js';
import { sleep } from '../harness/testRun.js';

const root = await mkdtemp(join(tmpdir(), 'openduck-notify-'));
after(() => rm(root, { recursive: true, force: true }));

/** Remembers `level: message`. */
function rememberingLogger(): { readonly logger: Logger; readonly said: string[] } {
  const said: string[] = [];
  const at = (level: string) => (_: object, message: string) =>
    void said.push(`${level}: ${message}`);
  return {
    logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
    said,
  };
}

interface Wishes {
  readonly usec?: string;
  readonly watchdogPid?: string;
  readonly probe?: () => Promise<MountAnswer>;
}

function managerOf(name: string, { usec, watchdogPid, probe }: Wishes = {}) {
  const { logger, said } = rememberingLogger();
  const manager = createServiceManager({
    environment: { NOTIFY_SOCKET: name, WATCHDOG_USEC: usec, WATCHDOG_PID: watchdogPid },
    pid: process.pid,
    clock: systemClock,
    logger,
    ...(probe === undefined ? {} : { probe }),
  });
  return { manager, said };
}

const answered = async (): Promise<MountAnswer> => ({ kind: 'answered' });
const silent = async (): Promise<MountAnswer> => ({ kind: 'silent', reason: 'no answer' });

for (const name of [join(root, 'socket'), `@openduck-test-${process.pid}`]) {
  test(`ready and stopping, to ${name.startsWith('@') ? 'an abstract name' : 'a path'}`, () => {
    const receiver = new NotifyReceiver(name);
    try {
      const { manager, said } = managerOf(name);
      assert.deepEqual(receiver.lines(), [], 'nothing is said before the mount is ready');
      manager.ready('/mnt/duck');
      manager.stopping('SIGTERM');
      receiver.lines();
      assert.deepEqual(receiver.received, [
        'READY=1\nSTATUS=Mounted at /mnt/duck',
        'STOPPING=1\nSTATUS=Unmounting and publishing what is left (SIGTERM)',
      ]);
      manager.close();
      manager.ready('/mnt/duck');
      assert.equal(receiver.received.length, 2, 'no word after the end');
      assert.deepEqual(said, []);
    } finally {
      receiver.close();
    }
  });
}

test('signs of life while the mount answers, and none while it does not', async () => {
  const name = join(root, 'watchdog');
  const receiver = new NotifyReceiver(name);
  let isHung = false;
  let probes = 0;
  const probe = () => {
    probes++;
    return isHung ? silent() : answered();
  };
  const { manager, said } = managerOf(name, { usec: '40000', probe });
  const signs = () => receiver.lines().filter((line) => line === 'WATCHDOG=1').length;
  try {
    manager.ready('/mnt/duck');
    await receiver.until('WATCHDOG=1', 3);
    assert.equal(said.length, 0);
    isHung = true;
    const before = probes;
    while (probes < before + 2) await sleep(5); // one may have been under way
    const last = signs();
    while (probes < before + 6) await sleep(5);
    assert.equal(signs(), last);
    assert.ok(said.every((line) => line.startsWith('error: the mount does not answer')));
    assert.ok(said.length >= 3);
    isHung = false;
    await receiver.until('WATCHDOG=1', last + 2);
  } finally {
    manager.close();
    receiver.close();
  }
});

test('while it ends, and when nobody could ask, signs of life go on', async () => {
  const name = join(root, 'ending');
  const receiver = new NotifyReceiver(name);
  let kind = 'unknown' as 'unknown' | 'silent';
  const probe = async (): Promise<MountAnswer> => ({ kind, reason: 'no such program' });
  const { manager } = managerOf(name, { usec: '40000', probe });
  try {
    manager.ready('/mnt/duck');
    await receiver.until('WATCHDOG=1', 2);
    manager.stopping('SIGTERM');
    kind = 'silent'; // it would be: the mount is gone
    const soFar = receiver.lines().filter((line) => line === 'WATCHDOG=1').length;
    await receiver.until('WATCHDOG=1', soFar + 2);
  } finally {
    manager.close();
    receiver.close();
  }
});

test('no watchdog of another process, and no other way of being asked', async () => {
  const name = join(root, 'other');
  const receiver = new NotifyReceiver(name);
  let probes = 0;
  const probe = () => {
    probes++;
    return answered();
  };
  try {
    for (const wishes of [
      {},
      { usec: '0' },
      { usec: 'soon' },
      { usec: '20000', watchdogPid: String(process.pid + 1) },
    ]) {
      const { manager } = managerOf(name, { ...wishes, probe });
      manager.ready('/mnt/duck');
      await sleep(30);
      manager.close();
    }
    assert.equal(probes, 0);
    assert.equal(receiver.lines().includes('WATCHDOG=1'), false);
  } finally {
    receiver.close();
  }
});

test('a manager that is gone costs one line in the log; a name that is none, too', () => {
  const { manager, said } = managerOf(join(root, 'nobody'));
  manager.ready('/mnt/duck');
  manager.stopping('SIGTERM');
  assert.deepEqual(said, ['warn: the service manager cannot be told how the daemon is']);
  for (const name of ['vsock:2:1', 'relative', '/', '@', `/${'x'.repeat(107)}`]) {
    assert.equal(notifyAddress(name), undefined, name);
    assert.deepEqual(managerOf(name).said, ['warn: NOTIFY_SOCKET does not name a Unix socket']);
  }
  assert.deepEqual(managerOf('').said, []);
});

test('whether a mount answers: a directory does, nothing does not', async () => {
  assert.deepEqual(await probeMount(root, 10_000), { kind: 'answered' });
  const gone = await probeMount(join(root, 'nothing'), 10_000);
  assert.equal(gone.kind, 'silent');
});
