/** `doctor` finds what a daemon left behind that is gone. */
import assert from 'node:assert/strict';
import type { Finding } from '../../daemon/doctor/finding.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { succeeded } from '../harness/proc.js';
import { acceptance } from '../harness/scene.js';

/** Of all mounts of this machine: others may have stale ones, too. */
async function staleMounts(mount: MountFixture): Promise<Finding> {
  const report = JSON.parse(succeeded(await mount.cli(['doctor', '--json']))) as {
    findings: Finding[];
  };
  return report.findings.find(({ check }) => check === 'stale-mounts')!;
}

acceptance(
  'doctor names a mount without a daemon, and how to end it',
  { seconds: 120 },
  async (scene) => {
    const mount = await scene.mount();
    assert.ok(!(await staleMounts(mount)).message.includes(mount.mountpoint));
    await mount.kill9();
    const found = await staleMounts(mount);
    assert.equal(found.level, 'warn');
    assert.ok(found.message.includes(mount.mountpoint), found.message);
    assert.match(found.advice ?? '', /openduck-fuse unmount --lazy/);
    succeeded(await mount.cli(['unmount', mount.mountpoint, '--lazy']));
    assert.ok(!(await staleMounts(mount)).message.includes(mount.mountpoint));
  },
);
