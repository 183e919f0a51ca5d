/**
 * Whether our own mount answers: asked by a child process, as a thread of ours that waited for our
 * own answer could not be ended, not even by SIGKILL. statfs(2) is never answered from a cache of
 * the kernel.
 */
import { spawn } from 'node:child_process';

export type MountAnswer =
  | { readonly kind: 'answered' }
  | { readonly kind: 'silent'; readonly reason: string }
  /** It could not be asked, which says nothing about the mount. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** Takes a millisecond, where a Node of its own takes fifty. */
const PROGRAM = 'stat';

/** Resolves within `limitMs`; never throws. */
export function probeMount(mountpoint: string, limitMs: number): Promise<MountAnswer> {
  return new Promise((resolve) => {
    const child = spawn(PROGRAM, ['-f', '-c', '%i', mountpoint], {
      cwd: '/',
      stdio: 'ignore',
      timeout: limitMs,
      killSignal: 'SIGKILL',
    });
    child.once('error', (error) => resolve({ kind: 'unknown', reason: error.message }));
    child.once('exit', (code, signal) => {
      if (code === 0) resolve({ kind: 'answered' });
      else if (signal === 'SIGKILL') {
        resolve({ kind: 'silent', reason: `no answer in ${Math.round(limitMs)} ms` });
      } else resolve({ kind: 'silent', reason: `${PROGRAM}: ${signal ?? `exit code ${code}`}` });
    });
  });
}
