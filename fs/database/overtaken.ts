/**
 * A log whose host was away (crashed, cut off) while another one took its database over and
 * published: its records do not belong on top of the newest snapshot. What it has and nobody else
 * is set aside.
 */
import { RecordType } from '../../layers/segmentFormat.js';
import { type RecoveredLog, recoverLog } from '../../layers/segmentRecovery.js';
import type { DatabaseRecord, SnapshotRecord } from '../../metadata/store.js';
import { type Epoch, type SnapshotId, snapshotId, versionNumber } from '../../proto/ids.js';
import type { AssemblyPorts } from './assemble.js';
import type { NotedLease } from './logDirectory.js';
import { carriesVersion } from './replay.js';

/** What a log says of itself. */
interface LogSummary {
  /** The newest snapshot that its host knows to have published, or to have begun with. */
  readonly base: SnapshotId | undefined;
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
  const log = await summarize(record, directory, lease, ports);
  if (log.version === 0 || belongsOn(head, log, lease)) return directory;
  await leaveOvertaken(record, directory, log, lease, ports);
  return ports.directories.current(record.id);
}

/**
 * Whether the log goes on from `head`: that is the snapshot it names, or the next one of its own
 * host, which had no time to note it.
 */
function belongsOn(head: SnapshotRecord, { base }: LogSummary, lease: NotedLease): boolean {
  if (head.id === base) return true;
  return head.parent === base && isUnder(lease, head.epoch);
}

const isUnder = ({ since, epoch }: NotedLease, other: Epoch): boolean =>
  other >= since && other <= epoch;

async function summarize(
  record: DatabaseRecord,
  directory: string,
  lease: NotedLease,
  { disk }: AssemblyPorts,
): Promise<LogSummary> {
  const { records, segments } = await recoverLog(disk, directory, record.id);
  for (const segment of segments) await segment.file.close();
  return summaryOf(records, lease);
}

function summaryOf(records: RecoveredLog['records'], lease: NotedLease): LogSummary {
  let { base, baseVersion } = lease;
  let version = 0;
  for (const { header, payload, intact } of records) {
    if (carriesVersion(header.type)) version = Math.max(version, header.a);
    // A segment that a reader kept may end with one of an earlier lease.
    if (header.type !== RecordType.SEALED || !intact || header.a < baseVersion) continue;
    base = snapshotOf(payload!);
    baseVersion = versionNumber(header.a);
  }
  return { base, version };
}

/** 16 bytes → the text of a UUID. */
function snapshotOf(payload: Buffer): SnapshotId {
  const hex = payload.toString('hex');
  return snapshotId(
    [8, 12, 16, 20, 32].map((end, i) => hex.slice([0, 8, 12, 16, 20][i], end)).join('-'),
  );
}

async function leaveOvertaken(
  record: DatabaseRecord,
  directory: string,
  { base, version }: LogSummary,
  lease: NotedLease,
  { metadata, disk, directories, clock, logger }: AssemblyPorts,
): Promise<void> {
  const snapshots = await metadata.listSnapshots(record.id);
  const ours = snapshots.find(({ id, epoch }) => id === base || isUnder(lease, epoch)); // newest
  const published = ours?.version ?? versionNumber(0);
  if (version <= published) {
    await disk.removeTree(directory);
    return;
  }
  await directories.setAside(directory, {
    database: record.id,
    name: record.name,
    base: ours?.id,
    publishedVersion: published,
    version: versionNumber(version),
    setAsideAt: new Date(clock.now()).toISOString(),
  });
  logger.error(
    { database: record.name, code: 'LEASE_LOST', commits: version - published, directory },
    'another host took the database over while this one was away: commits that only this host ' +
      'has were set aside; openduck-fuse recover makes a database of them',
  );
}
