/** Databases and snapshots as tables for people. */
import type { DatabaseSummary, SnapshotSummary } from '../fs/engineCommands.js';
import { formatAge, formatSize } from './quantities.js';
import { formatTable } from './table.js';

export function databaseTable(databases: readonly DatabaseSummary[], now: number): string {
  const rows = databases.map((database) => [
    database.name,
    formatSize(database.size),
    String(database.version),
    String(database.publishedVersion),
    formatAge(database.committedAt, now),
    String(database.readers),
    database.writer === undefined ? '-' : String(database.writer.pid),
    database.damage ?? '',
  ]);
  return formatTable(
    [
      { title: 'DATABASE' },
      { title: 'SIZE', align: 'right' },
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

export function snapshotTable(snapshots: readonly SnapshotSummary[], now: number): string {
  const rows = snapshots.map((snapshot) => [
    snapshot.id,
    snapshot.committedAt,
    formatAge(snapshot.committedAt, now),
    formatSize(snapshot.size),
    snapshot.reason,
    snapshot.name ?? '',
  ]);
  return formatTable(
    [
      { title: 'SNAPSHOT' },
      { title: 'TIME' },
      { title: 'AGE', align: 'right' },
      { title: 'SIZE', align: 'right' },
      { title: 'REASON' },
      { title: 'NAME' },
    ],
    rows,
  );
}
