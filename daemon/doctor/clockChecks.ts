/** Whether our clock is right: by the kernel, by our own files, and by the clocks of servers. */
import { join } from 'node:path';
import { directoryAttributes } from '../../layers/os/directories.js';
import { isClockKept } from '../../layers/os/syscalls.js';
import { dataPaths } from '../dataDirectory.js';
import { formatDuration } from '../quantities.js';
import { type Finding, fail, ok, warn } from './finding.js';

/** S3 refuses requests that are signed 15 minutes off. */
const REFUSED_MS = 15 * 60_000;
const NOTICED_MS = 60_000;

const ADVICE = 'Let chrony or systemd-timesyncd set the clock of this host.';

/** `theirs`: milliseconds since 1970. `who`: e.g. `Postgres`. */
export function compareClocks(check: string, who: string, ours: number, theirs: number): Finding {
  const off = Math.abs(ours - theirs);
  if (off < NOTICED_MS) return ok(check, `the clocks of this host and of ${who} agree`);
  const message = `the clock of this host is ${formatDuration(off)} off that of ${who}`;
  return off < REFUSED_MS ? warn(check, message, ADVICE) : fail(check, message, ADVICE);
}

/** By chrony, systemd-timesyncd or another; `unknown` where a container may not ask. */
type Keeping = 'kept' | 'not-kept' | 'unknown';

function askKernel(): Keeping {
  try {
    return isClockKept() ? 'kept' : 'not-kept';
  } catch {
    return 'unknown'; // the other checks of the clock stand by themselves
  }
}

/** Milliseconds since 1970 of the newest change of the data directory and its log; 0: none yet. */
async function lastChange(dataDir: string): Promise<number> {
  const { log } = dataPaths(dataDir);
  let newest = 0;
  for (const path of [dataDir, log, join(dataDir, 'stores.json')]) {
    const found = await directoryAttributes(path).catch(() => ({ modifiedMs: 0 }));
    newest = Math.max(newest, found.modifiedMs);
  }
  return newest;
}

/** `now`: ms since 1970. Snapshots are found by time, leases and signatures end by it. */
export async function checkClock(
  dataDir: string,
  now: number,
  keeping = askKernel(),
): Promise<Finding> {
  const ahead = (await lastChange(dataDir)) - now;
  if (ahead > NOTICED_MS) {
    const message = `the clock is ${formatDuration(ahead)} behind the files in ${dataDir}`;
    return fail('clock', message, `${ADVICE} Until then, times name the wrong snapshots.`);
  }
  if (keeping === 'not-kept') {
    return warn('clock', 'nothing keeps the clock of this host right', ADVICE);
  }
  const how = keeping === 'unknown' ? 'is not behind the files' : 'is kept right';
  return ok('clock', `the clock ${how} (${new Date(now).toISOString()})`);
}
