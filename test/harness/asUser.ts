/**
 * Tests of mounts by a user without privileges. Where /dev/fuse is closed to users (some virtual
 * machines; distributions open it), the test file runs itself again in a mount namespace of its
 * own, in which it is open.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { MAIN } from './mountFixture.js';
import { describe, run, shell } from './proc.js';
import type { Scene } from './scene.js';
import { NOBODY, RUN_VARIABLE, runId } from './testRun.js';

const INSIDE = 'TEST_OPENDUCK_INSIDE';

/** Why no unprivileged mount is possible here, or undefined. */
async function whyNot(): Promise<string | undefined> {
  const installed = await shell('command -v fusermount3');
  if (installed.code !== 0) return 'fusermount3 is not installed';
  const as = { uid: NOBODY };
  if ((await run('head', ['-c', '1', MAIN], as)).code !== 0)
    return `uid ${NOBODY} cannot read ${MAIN}`;
  const node = await run(process.execPath, ['--version'], as).catch(() => undefined);
  return node?.code === 0 ? undefined : `uid ${NOBODY} cannot run ${process.execPath}`;
}

/** The file again, where /dev/fuse is open to everybody. The node lives on under the bind mount. */
async function againInNamespace(scene: Scene, testFile: string, pattern: string): Promise<void> {
  const open = `d=$(mktemp -d) && mknod "$d/fuse" c 10 229 && chmod 666 "$d/fuse" &&
    mount --bind "$d/fuse" /dev/fuse && rm -r "$d" && exec "$@"`;
  const only = pattern === '' ? [] : [`--test-name-pattern=${pattern}`];
  const test = [process.execPath, '--test', ...only, fileURLToPath(testFile)];
  const command = ['--mount', '--propagation', 'private', 'sh', '-c', open, 'sh', ...test];
  // A part of its own, so that it does not take what this process has for its own leaks.
  const env = { [INSIDE]: '1', [RUN_VARIABLE]: `${runId}.user` };
  const result = await run('unshare', command, { timeoutMs: 580_000, env });
  assert.equal(result.code, 0, describe(result));
  scene.note('/dev/fuse is closed to users here: ran in a mount namespace where it is open');
}

/**
 * Does `work` where users may mount. `testFile`: URL of the test's own file; `pattern`: of its name,
 * when there are others in the file.
 */
export async function asUser(
  scene: Scene,
  testFile: string,
  work: () => Promise<void>,
  pattern = '',
): Promise<void> {
  const reason = await whyNot();
  if (reason !== undefined) return scene.skip(reason);
  const reachable = await shell(': < /dev/fuse', [], { uid: NOBODY });
  if (reachable.code === 0) return work();
  assert.equal(process.env[INSIDE], undefined, `the namespace did not help: ${reachable.stderr}`);
  await againInNamespace(scene, testFile, pattern);
}
