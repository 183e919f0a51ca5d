/** The databases of a mount as a worker sees them: by its files, as any process. */
import { join } from 'node:path';
import type { DatabaseSource } from '../../exec/worker/databaseSource.js';
import { fileStamp } from '../../layers/os/fileStamp.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { OpenduckError } from '../../proto/errors.js';

const SUFFIX = '.duckdb';
/** Of the mount; `.snapshots/NAME` changes its size and time with every commit. */
const SNAPSHOTS = '.snapshots';

/** A name out of a request must not lead out of the mount. */
function checkName(name: string): void {
  if (!/[/\0]/.test(name) && !/^[.@]/.test(name) && !name.includes('@')) return;
  throw new OpenduckError('INVALID_NAME', `'${name}' cannot be the name of a database`, {
    database: name,
  });
}

function checkReference(reference: string, database: string): void {
  if (reference !== '' && !/[/\0]/.test(reference)) return;
  const hint = 'A snapshot is named by its id or the beginning of it, its name, a time, or ~N.';
  const message = `'${reference}' cannot mean a snapshot`;
  throw new OpenduckError('INVALID_ARGUMENT', message, { database, hint });
}

export function mountedDatabases(mountpoint: string): DatabaseSource {
  const path = (database: string, snapshot: string | undefined): string => {
    checkName(database);
    if (snapshot === undefined) return join(mountpoint, database + SUFFIX);
    checkReference(snapshot, database);
    return join(mountpoint, `${database}@${snapshot}${SUFFIX}`);
  };
  const version = async (
    database: string,
    snapshot: string | undefined,
  ): Promise<string | undefined> => {
    checkName(database);
    const newest = await fileStamp(join(mountpoint, SNAPSHOTS, database));
    if (newest === undefined || snapshot === undefined) return newest?.identity;
    const file = await fileStamp(path(database, snapshot));
    if (file !== undefined) return file.identity;
    throw new OpenduckError('NOT_FOUND', `'${database}' has no snapshot '${snapshot}'`, {
      database,
      hint: `See 'openduck-fuse snapshot list ${database}'.`,
    });
  };
  const names = async (): Promise<string[]> =>
    (await nodeDisk.list(mountpoint))
      .filter((name) => name.endsWith(SUFFIX))
      .map((name) => name.slice(0, -SUFFIX.length))
      .sort();
  return { names, version, path };
}
