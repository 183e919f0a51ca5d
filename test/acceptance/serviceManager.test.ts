/** A daemon under a service manager, on a real mount: ready, alive, stuck, and ending. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { NotifyReceiver } from '../harness/notifyReceiver.js';
import { acceptance } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';

const ALLOWED_MS = 4000;

acceptance(
  'READY, WATCHDOG and STOPPING; a stopped daemon gives no sign of life',
  {
    seconds: 120,
  },
  async (scene) => {
    const socket = join(await scene.tempDir(), 'notify');
    const receiver = new NotifyReceiver(socket);
    try {
      const env = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: String(ALLOWED_MS * 1000) };
      const mount = await scene.mount({ env });
      await receiver.until('READY=1');
      assert.ok(receiver.lines().includes(`STATUS=Mounted at ${mount.mountpoint}`));
      assert.deepEqual(await readdir(mount.mountpoint), [], 'ready means that it answers');
      await receiver.until('WATCHDOG=1', 3);
      process.kill(mount.pid, 'SIGSTOP');
      try {
        const signs = () => receiver.lines().filter((line) => line === 'WATCHDOG=1').length;
        const before = signs();
        await sleep(ALLOWED_MS);
        assert.ok(signs() <= before, 'signs of life from a stopped process');
      } finally {
        process.kill(mount.pid, 'SIGCONT');
      }
      const soFar = receiver.lines().filter((line) => line === 'WATCHDOG=1').length;
      await receiver.until('WATCHDOG=1', soFar + 1);
      await mount.stop();
      const lines = receiver.lines();
      assert.ok(lines.includes('STOPPING=1'));
      assert.ok(lines.some((line) => /^STATUS=Unmounting .*\(SIGTERM\)$/.test(line)));
    } finally {
      receiver.close();
    }
  },
);
