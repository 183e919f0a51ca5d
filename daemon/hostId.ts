/**
 * Who a data directory is among all that share the same metadata. Host name and path are for
 * people: containers may have the same of both, so that an id made once is added, which is kept in
 * the data directory.
 */
import { hostname } from 'node:os';
import { readText } from '../layers/os/textFile.js';
import { OpenduckError } from '../proto/errors.js';
import { type Clock, type Random, uuidV7 } from '../proto/ports.js';
import { dataPaths } from './dataDirectory.js';
import { writeDurableText } from './durableText.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Of the id, its random end: its beginning is the time, the same for hosts set up together. */
const SHOWN_DIGITS = 8;

/** Call it under the lock. Makes the id when there is none. Throws CORRUPT, DISK_FULL, IO. */
export async function readHostId(dataDir: string, clock: Clock, random: Random): Promise<string> {
  const path = dataPaths(dataDir).hostId;
  const text = await readText(path);
  if (text === undefined) {
    const made = uuidV7(clock, random);
    await writeDurableText(path, `${made}\n`);
    return made;
  }
  const id = text.trim();
  if (UUID.test(id)) return id;
  throw new OpenduckError('CORRUPT', `${path} is not what was written there`, {
    hint: 'Remove it; a writer lease that this host holds then has to run out first.',
  });
}

/** The name in writer leases, e.g. `db1:/var/lib/openduck#1f0c2a9b`. */
export function holderName(dataDir: string, hostId: string): string {
  return `${hostname()}:${dataDir}#${hostId.slice(-SHOWN_DIGITS)}`;
}
