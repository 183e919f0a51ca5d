/** Who keeps a mount busy, in an error that a user can act on. */
import { processesUsing } from '../layers/os/processes.js';
import { OpenduckError } from '../proto/errors.js';

/** How many processes an error names. */
const HOLDERS_NAMED = 8;

/** BUSY, naming the processes that this user may look at. Asks /proc only, never the mount. */
export async function busyError(mountpoint: string): Promise<OpenduckError> {
  const holders = await processesUsing(mountpoint);
  const named = holders.slice(0, HOLDERS_NAMED).map((h) => `${h.command} (pid ${h.pid})`);
  if (holders.length > HOLDERS_NAMED) named.push(`${holders.length - HOLDERS_NAMED} more`);
  const who = named.length > 0 ? `used by ${named.join(', ')}` : 'in use';
  return new OpenduckError('BUSY', `${mountpoint} is ${who}`, {
    hint: 'End them first, or detach the mount now with --lazy.',
  });
}
