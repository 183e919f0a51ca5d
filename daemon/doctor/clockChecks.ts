/** Whether our clock and that of a server agree. */
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
