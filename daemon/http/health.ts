/** Whether the daemon can do its work, for load balancers and supervisors. */
import type { Engine } from '../../fs/engine.js';
import { errorCode } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';

const METADATA_LIMIT_MS = 3000;

/** Why not, without names of databases; undefined: it can. */
export async function mountHealth(
  engine: Engine,
  isMounted: () => boolean,
  clock: Clock,
): Promise<string | undefined> {
  if (!isMounted()) return 'the file system is not mounted';
  for (const { database } of engine.databases()) {
    if (database.log.failure !== undefined) return 'the log of a database cannot be written';
    if (database.damage.length > 0) return 'a database is damaged: openduck-fuse status';
  }
  return metadataHealth(engine, clock);
}

async function metadataHealth(engine: Engine, clock: Clock): Promise<string | undefined> {
  const { metadata } = engine.options;
  const [first] = engine.databases();
  const question =
    first === undefined ? metadata.listDatabases() : metadata.getDatabase(first.database.id);
  const asked = (question as Promise<unknown>).then(
    () => undefined,
    (error: unknown) => `the metadata does not answer (${errorCode(error)})`,
  );
  const late = clock.sleep(METADATA_LIMIT_MS).then(() => 'the metadata does not answer in time');
  return Promise.race([asked, late]);
}
