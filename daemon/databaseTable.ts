/** Databases and snapshots as tables for people. */
import type { DroppedSummary } from '../fs/engineCommands.js';
import { formatAge, formatSize } from './quantities.js';
import type { ListedDatabase, ListedSnapshot } from './storage.js';
import { formatTable } from './table.js';

const formatBytes = (bytes: number | undefined): string =>
  bytes === undefined ? '-' : formatSize(bytes);

/** A process of this host, else the host that has the lease: `db1` of `db1:/var/lib/openduck#…`. */
function writerOf({ writer, leaseHolder }: ListedDatabase): string {
  if (writer !== undefined) return String(writer.pid);
  return leaseHolder?.split(':')[0] ?? '-';
}

export function databaseTable(databases: readonly ListedDatabase[], now: number): string {
  const rows = databases.map((database) => [
    database.name,
    formatSize(database.size),
    formatBytes(database.uniqueBytes),
    formatBytes(database.sharedBytes),
    String(database.snapshots ?? '-'),
    String(database.depth),
    String(database.version),
    String(database.publishedVersion),
    formatAge(database.committedAt, now),
    String(database.readers),
    writerOf(database),
    database.damage ?? '',
  ]);
  return formatTable(
    [
      { title: 'DATABASE' },
      { title: 'SIZE', align: 'right' },
      { title: 'UNIQUE', align: 'right' },
      { title: 'SHARED', align: 'right' },
      { title: 'SNAPSHOTS', align: 'right' },
      { title: 'DEPTH', align: 'right' },
      { title: 'VERSION', align: 'right' },
      { title: 'PUBLISHED', align: 'right' },
      { title: 'AGE', align: 'right' },
      { title: 'READERS', align: 'right' },
      { title: 'WRITER', align: 'right' },
      { title: databases.some((database) => database.damage) ? 'DAMAGE' : '' },
    ],
    rows,
  );
}

export function snapshotTable(snapshots: readonly ListedSnapshot[], now: number): string {
  const rows = snapshots.map((snapshot) => [
    snapshot.id,
    snapshot.committedAt,
    formatAge(snapshot.committedAt, now),
    formatSize(snapshot.size),
    formatBytes(snapshot.uniqueBytes),
    formatBytes(snapshot.sharedBytes),
    String(snapshot.depth ?? '-'),
    snapshot.reason,
    snapshot.name ?? '',
  ]);
  return formatTable(
    [
      { title: 'SNAPSHOT' },
      { title: 'TIME' },
      { title: 'AGE', align: 'right' },
      { title: 'SIZE', align: 'right' },
      { title: 'UNIQUE', align: 'right' },
      { title: 'SHARED', align: 'right' },
      { title: 'DEPTH', align: 'right' },
      { title: 'REASON' },
      { title: 'NAME' },
    ],
    rows,
  );
}

export function droppedTable(dropped: readonly DroppedSummary[], now: number): string {
  const rows = dropped.map((database) => [
    database.name,
    database.droppedAt,
    formatAge(database.droppedAt, now),
    formatSize(database.size),
    database.id,
  ]);
  return formatTable(
    [
      { title: 'DATABASE' },
      { title: 'DROPPED' },
      { title: 'AGE', align: 'right' },
      { title: 'SIZE', align: 'right' },
      { title: 'ID' },
    ],
    rows,
  );
}
