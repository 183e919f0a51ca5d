/**
 * What a test run must not leave behind: mounts, processes, temporary directories.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { forceUnmountUnder, mountsUnder } from './mountTable.js';
import { makeTempDir, RUN_VARIABLE, runId, runPrefix, tempParent } from './testRun.js';

interface LeakedProcess {
  readonly pid: number;
  readonly command: string;
}

/** Processes that carry this run's mark, apart from `known` and this process's own ancestors. */
function leakedProcesses(known: ReadonlySet<number>): LeakedProcess[] {
  const marked: LeakedProcess[] = [];
  const mark = `${RUN_VARIABLE}=${runId}`;
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || known.has(pid)) continue;
    try {
      if (/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) continue;
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
      const isMarked = environment.some((v) => v === mark || v.startsWith(`${mark}.`));
      const ours = isMarked || command.includes(runPrefix);
      if (ours) marked.push({ pid, command });
    } catch {
      // Gone meanwhile, a kernel thread, or another user's.
    }
  }
  return marked;
}

function ancestors(): Set<number> {
  const found = new Set<number>();
  for (let pid = process.pid; pid > 1; ) {
    found.add(pid);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    pid = Number(/^PPid:\s*(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return found;
}

export function tempDirsOfRun(): string[] {
  return readdirSync(tempParent)
    .filter((name) => name.startsWith(runPrefix))
    .map((name) => join(tempParent, name));
}

/** One sentence for every thing left behind; empty when clean. */
export function findLeaks(): string[] {
  return [
    ...mountsUnder(join(tempParent, runPrefix)).map((m) => `mount left: ${m.mountpoint}`),
    ...leakedProcesses(ancestors()).map((p) => `process left: ${p.pid} ${p.command}`),
    ...tempDirsOfRun().map((dir) => `directory left: ${dir}`),
  ];
}

/** Synchronous. Removes a temporary directory, but never through a mount in it. */
export function removeTempDir(dir: string): void {
  forceUnmountUnder(dir);
  const still = mountsUnder(dir);
  if (still.length > 0) throw new Error(`cannot unmount ${still[0]!.mountpoint}`);
  rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
}

/** `work` with a directory that is gone afterwards. */
export async function withTempDir(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await makeTempDir();
  try {
    await work(dir);
  } finally {
    removeTempDir(dir);
  }
}

/** Kills, unmounts and removes all that carries this run's mark. */
export function removeLeaks(): void {
  const kill = () => {
    for (const { pid } of leakedProcesses(ancestors())) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone meanwhile.
      }
    }
  };
  kill();
  forceUnmountUnder(join(tempParent, runPrefix));
  kill();
  for (const dir of tempDirsOfRun()) removeTempDir(dir);
}
