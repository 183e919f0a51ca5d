/**
 * A program of its own: looks at one path and prints what is there, as JSON lines. It runs in a
 * child process because a stat of a hung mount never returns, and only SIGKILL ends one that waits.
 *
 *   {"real": "/mnt/duck"}                      first, and without asking the mounted file system
 *   {"kind": "directory", "empty": true}       or {"kind": "other"} or {"error": "ENOTCONN"}
 */
import { opendirSync, realpathSync, statSync } from 'node:fs';

function print(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function isEmpty(path: string): boolean {
  const directory = opendirSync(path);
  try {
    return directory.readSync() === null;
  } finally {
    directory.closeSync();
  }
}

function probe(path: string): object {
  try {
    print({ real: realpathSync.native(path) });
    if (!statSync(path).isDirectory()) return { kind: 'other' };
    return { kind: 'directory', empty: isEmpty(path) };
  } catch (error) {
    return { error: (error as NodeJS.ErrnoException).code ?? 'UNKNOWN' };
  }
}

print(probe(process.argv[2] ?? ''));
