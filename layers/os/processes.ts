/**
 * Other processes as /proc shows them. Links below /proc/PID are read, never followed, so that no
 * mounted file system is asked anything: a hung one would keep the asker.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';

export interface ProcessUsing {
  readonly pid: number;
  /** The command's name, e.g. `duckdb`. */
  readonly command: string;
}

/** False also for a zombie: it has given up its files and locks already. */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    // "pid (name) S …": the name may contain anything, parentheses too.
    const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
    return state !== 'Z' && state !== 'X';
  } catch {
    return false;
  }
}

async function commandOf(pid: number): Promise<string> {
  try {
    return (await readFile(`/proc/${pid}/comm`, 'utf8')).trim();
  } catch {
    return '?';
  }
}

function isBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

async function linkLeadsBelow(link: string, directory: string): Promise<boolean> {
  try {
    return isBelow(await readlink(link), directory);
  } catch {
    return false; // ended meanwhile, or another user's
  }
}

async function mapsBelow(pid: number, directory: string): Promise<boolean> {
  try {
    const maps = await readFile(`/proc/${pid}/maps`, 'utf8');
    return maps.split('\n').some((line) => {
      const at = line.indexOf('/');
      return at > 0 && isBelow(line.slice(at), directory);
    });
  } catch {
    return false;
  }
}

async function uses(pid: number, directory: string): Promise<boolean> {
  for (const link of ['cwd', 'root', 'exe']) {
    if (await linkLeadsBelow(`/proc/${pid}/${link}`, directory)) return true;
  }
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const fd of descriptors) {
    if (await linkLeadsBelow(`/proc/${pid}/fd/${fd}`, directory)) return true;
  }
  return mapsBelow(pid, directory);
}

/**
 * Who has files, mappings or a working directory below `directory`; only those this user may look
 * at.
 */
export async function processesUsing(directory: string): Promise<ProcessUsing[]> {
  const found: ProcessUsing[] = [];
  for (const name of await readdir('/proc').catch(() => [])) {
    const pid = /^\d+$/.test(name) ? Number(name) : 0;
    if (pid === 0 || pid === process.pid) continue;
    if (await uses(pid, directory)) found.push({ pid, command: await commandOf(pid) });
  }
  return found;
}
