/**
 * A log whose host was away (crashed, cut off) while another one took its database over and
 * published: its records do not belong on top of the newest snapshot. What it has and nobody else
 * is set aside.
 */
import { join } from 'node:path';
import { segmentNumber } from '../../layers/segment.js';
import { RecordType } from '../../layers/segmentFormat.js';
import { type RecoveredLog, recoverLog } from '../../layers/segmentRecovery.js';
import type { DatabaseRecord, SnapshotRecord } from '../../metadata/store.js';
import { type Epoch, type SnapshotId, snapshotId, versionNumber } from '../../proto/ids.js';
import { uuidText } from '../../proto/uuid.js';
import type { AssemblyPorts } from './assemble.js';
import type { NotedLease } from './logDirectory.js';
import { carriesVersion } from './replay.js';

/** What a log says of itself. */
interface LogSummary {
  /**
   * Snapshots that it may stand on: the one that was the newest when its host got the lease, and
   * the one that its host knows to have published last. Only one of them can be the newest.
   */
  readonly bases: readonly (SnapshotId | undefined)[];
  /** Newest version in it, 0 for none. */
  readonly version: number;
}

/**
 * The folder for the database's log: the one that is there, or a new one when that was overtaken.
 * Throws CORRUPT, IO, UNAVAILABLE.
 */
export async function usableLog(
  record: DatabaseRecord,
  head: SnapshotRecord | undefined,
  ports: AssemblyPorts,
): Promise<string> {
  const directory = await ports.directories.current(record.id);
  const lease = await ports.directories.leaseOf(directory);
  if (lease === undefined || head === undefined) return directory;
  await removeOlder(directory, lease.firstSegment, ports);
  const log = await summarize(record, directory, lease, ports);
  if (log.version === 0 || belongsOn(head, log, lease)) return directory;
  await leaveOvertaken(record, directory, log, lease, ports);
  return ports.directories.current(record.id);
}

/** Segments that readers kept until the daemon ended. Throws IO. */
async function removeOlder(
  directory: string,
  first: number,
  { disk }: AssemblyPorts,
): Promise<void> {
  for (const name of await disk.list(directory)) {
    const number = segmentNumber(name);
    if (number !== undefined && number < first) await disk.remove(join(directory, name));
  }
}

/**
 * Whether the log goes on from `head`: that is the snapshot it names, or the next one of its own
 * host, which had no time to note it.
 */
function belongsOn(head: SnapshotRecord, { bases }: LogSummary, lease: NotedLease): boolean {
  if (bases.includes(head.id)) return true;
  return bases.includes(head.parent) && isUnder(lease, head.epoch);
}

const isUnder = ({ since, epoch }: NotedLease, other: Epoch): boolean =>
  other >= since && other <= epoch;

async function summarize(
  record: DatabaseRecord,
  directory: string,
  lease: NotedLease,
  { disk }: AssemblyPorts,
): Promise<LogSummary> {
  const { records, segments } = await recoverLog(disk, directory, record.id, lease.firstSegment);
  for (const segment of segments) await segment.file.close();
  return summaryOf(records, lease.base);
}

function summaryOf(records: RecoveredLog['records'], began: SnapshotId | undefined): LogSummary {
  let sealed = began;
  let version = 0;
  for (const { header, payload, intact } of records) {
    if (carriesVersion(header.type)) version = Math.max(version, header.a);
    if (header.type === RecordType.SEALED && intact) sealed = snapshotId(uuidText(payload!));
  }
  return { bases: [began, sealed], version };
}

async function leaveOvertaken(
  record: DatabaseRecord,
  directory: string,
  { bases, version }: LogSummary,
  lease: NotedLease,
  { metadata, directories, clock, logger }: AssemblyPorts,
): Promise<void> {
  const snapshots = await metadata.listSnapshots(record.id);
  // The newest one.
  const ours = snapshots.find(({ id, epoch }) => bases.includes(id) || isUnder(lease, epoch));
  const published = ours?.version ?? versionNumber(0);
  const aside = {
    database: record.id,
    name: record.name,
    base: ours?.id,
    publishedVersion: published,
    version: versionNumber(version),
    setAsideAt: new Date(clock.now()).toISOString(),
  };
  if (version <= published) return directories.remove(directory, aside);
  await directories.setAside(directory, aside);
  logger.error(
    { database: record.name, code: 'LEASE_LOST', commits: version - published, directory },
    'another host took the database over while this one was away: commits that only this host ' +
      'has were set aside; openduck-fuse recover makes a database of them',
  );
}
