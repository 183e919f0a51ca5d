/** Another host has the database: what only this host has stays on its disk. */
import { versionNumber } from '../../proto/ids.js';
import type { AssembledDatabase, AssemblyPorts } from './assemble.js';

/** Nothing is written to the log any more when it resolves. Throws UNAVAILABLE, DISK_FULL, IO. */
export async function setAside(
  { database, publisher }: AssembledDatabase,
  { directories, clock }: AssemblyPorts,
): Promise<void> {
  publisher.abandon();
  database.keepSegmentFiles();
  // Behind a seal that is under way.
  await database.serially(async () => {
    const base = await publisher.newestOwn();
    await directories.setAside(database.directory, {
      database: database.id,
      name: database.name,
      base: base?.id,
      publishedVersion: base?.version ?? versionNumber(0),
      version: database.head.number,
      setAsideAt: new Date(clock.now()).toISOString(),
      ...(database.damage.length > 0 && { damaged: true }),
    });
  });
}
