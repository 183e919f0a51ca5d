/** WHEN among the snapshots of one database, for the metadata double. */
import type { DatabaseRecord, SnapshotRecord } from '../../metadata/store.js';
import { formatTime, parseWhen } from '../../metadata/when.js';
import { OpenduckError } from '../../proto/errors.js';
import type { WallTime } from '../../proto/ids.js';

const MOST_LISTED = 10;

function byPrefix(
  database: DatabaseRecord,
  snapshots: readonly SnapshotRecord[],
  prefix: string,
): SnapshotRecord {
  const found = snapshots.filter(({ id }) => id.startsWith(prefix));
  if (found.length === 1) return found[0]!;
  const { name } = database;
  if (found.length === 0) {
    throw new OpenduckError('NOT_FOUND', `database '${name}' has no snapshot '${prefix}'`);
  }
  const listed = found.slice(0, MOST_LISTED).map(({ id }) => id);
  const more = found.length > MOST_LISTED ? ', and more' : '';
  const message = `'${prefix}' begins several ids: ${listed.join(', ')}${more}`;
  throw new OpenduckError('INVALID_ARGUMENT', message);
}

/** `snapshots`: newest first. Throws NOT_FOUND, INVALID_ARGUMENT. */
export function resolveAmong(
  database: DatabaseRecord,
  snapshots: readonly SnapshotRecord[],
  text: string,
  now: WallTime,
): SnapshotRecord {
  const { name } = database;
  const notFound = (what: string, command = 'snapshot list') =>
    new OpenduckError('NOT_FOUND', `database '${name}' ${what}`, {
      hint: `Run \`openduck-fuse ${command} ${name}\`.`,
    });
  const named = snapshots.find((snapshot) => snapshot.name === text);
  if (named !== undefined) return named;
  const when = parseWhen(text, now);
  if (when.kind === 'other') throw notFound(`has no snapshot named '${text}'`);
  if (snapshots.length === 0) throw notFound('has no snapshot yet', 'snapshot');
  if (when.kind === 'id') return byPrefix(database, snapshots, when.prefix);
  if (when.kind === 'back') {
    const found = snapshots[when.steps];
    if (found !== undefined) return found;
    throw notFound(`has no ~${when.steps}: it has ${snapshots.length} snapshot(s)`);
  }
  const found = snapshots.find((snapshot) => snapshot.commitTime <= when.at);
  if (found !== undefined) return found;
  const oldest = snapshots.toSorted((a, b) => a.commitTime - b.commitTime)[0]!;
  const at = formatTime(oldest.commitTime);
  throw notFound(`has none as old as ${formatTime(when.at)}; its oldest is ${oldest.id} of ${at}`);
}
