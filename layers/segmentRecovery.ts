/**
 * What a database's log says after a crash: which records count, where the torn tail begins, and
 * what is damaged although it had been acknowledged.
 *
 * A record that fails its checksum may be one of two things. Either it is part of what was being
 * written when the machine stopped: nobody was told that it is safe, and it is cut off. Or it had
 * been on the disk and went bad: then cutting would silently undo acknowledged commits. Commits of
 * a database are made durable one after another, and its snapshots are sealed in between. So a
 * COMMIT or a SEALED proves that all before the previous COMMIT had reached the disk, ACKNOWLEDGED
 * proves the same of its own COMMIT, and RESET of everything before it.
 */
import { join } from 'node:path';
import { errorCode } from '../proto/errors.js';
import type { DatabaseId } from '../proto/ids.js';
import type { Disk } from './os/disk.js';
import { cutSegment, openSegment, type Segment, segmentNumber } from './segment.js';
import { RecordType, SEGMENT_HEADER_BYTES } from './segmentFormat.js';
import { type LogEntry, type LogGap, type LogRecord, scanSegment } from './segmentScan.js';

export interface RecoveredLog {
  /** Open segments, by number. */
  readonly segments: readonly Segment[];
  /** Records that count, in order. Some may be not intact: see `damage`. */
  readonly records: readonly LogRecord[];
  readonly nextNumber: number;
  /** Bytes of the torn tail that were cut off, from the first bad record on. */
  readonly cutBytes: number;
  /**
   * Sentences about acknowledged bytes that are lost beyond what `records` tells; empty is good.
   */
  readonly damage: readonly string[];
}

/** Whether an entry can be trusted. */
const isSound = (entry: LogEntry): entry is LogRecord => entry.kind === 'record' && entry.intact;

/** Index of the last entry that is proven to have been durable, −1 for none. Pure. */
export function lastProven(entries: readonly LogEntry[]): number {
  const commitAt = new Map<number, number>();
  let lastCommit = -1;
  let proven = -1;
  for (const [i, entry] of entries.entries()) {
    if (!isSound(entry)) continue;
    const { type, a } = entry.header;
    if (type === RecordType.COMMIT) {
      proven = Math.max(proven, lastCommit);
      lastCommit = i;
      commitAt.set(a, i);
    } else if (type === RecordType.ACKNOWLEDGED) {
      // Its COMMIT may itself be unreadable: then everything up to here is proven.
      proven = Math.max(proven, commitAt.get(a) ?? i);
    } else if (type === RecordType.SEALED) {
      // Its version need not be that of a COMMIT: a new file is published without waiting for the
      // disk, so what stands between the last COMMIT and here may be torn.
      proven = Math.max(proven, lastCommit);
    } else if (type === RecordType.RESET) {
      proven = Math.max(proven, i); // an earlier recovery made all before it durable
    }
  }
  return proven;
}

interface OpenedLog {
  readonly segments: Segment[];
  readonly damage: string[];
  /** Number of the newest segment, readable or not; 0 for none. */
  highest: number;
}

/** Adds what it opens to `log`, so that the caller can close it also when this throws. */
async function openSegments(
  disk: Disk,
  directory: string,
  database: DatabaseId,
  first: number,
  log: OpenedLog,
): Promise<void> {
  const numbers = (await disk.list(directory))
    .map(segmentNumber)
    .filter((n) => n !== undefined)
    .sort((a, b) => a - b);
  log.highest = numbers.at(-1) ?? 0;
  for (const number of numbers) {
    if (number < first) continue;
    try {
      log.segments.push(await openSegment(disk, directory, database, number));
    } catch (error) {
      if (errorCode(error) !== 'CORRUPT' && errorCode(error) !== 'UNSUPPORTED') throw error;
      log.damage.push(`${join(directory, String(number))}: ${(error as Error).message}`);
    }
  }
}

/** Where the last SEALED record says that the log is still needed from; 0 for everything. */
function neededFrom(entries: readonly LogEntry[]): number {
  let needed = 0;
  for (const entry of entries) {
    if (isSound(entry) && entry.header.type === RecordType.SEALED) needed = entry.header.b;
  }
  return needed;
}

/** Sentences for segment numbers that are missing between those that are needed. */
function missingSegments(segments: readonly Segment[], needed: number): string[] {
  const numbers = segments.map((s) => s.number).filter((n) => n >= needed);
  const missing: string[] = [];
  for (const [i, number] of numbers.entries()) {
    const before = i === 0 ? (needed > 0 ? needed - 1 : number - 1) : numbers[i - 1]!;
    if (number !== before + 1) missing.push(`segments ${before + 1} to ${number - 1} are missing`);
  }
  return missing;
}

/**
 * Cuts the log at an entry and returns how many bytes that were. From the last segment back: a
 * crash in between leaves the bad entry in place, so that the next recovery cuts what follows it.
 */
async function cutFrom(segments: readonly Segment[], entry: LogEntry): Promise<number> {
  let bytes = 0;
  for (const segment of segments.toReversed()) {
    if (segment.number < entry.segment.number) break;
    const from = segment === entry.segment ? entry.position : SEGMENT_HEADER_BYTES;
    bytes += Math.max(0, segment.end - from);
    await cutSegment(segment, from);
  }
  return bytes;
}

function gapSentence({ segment, position, length }: LogGap): string {
  return `${segment.file.path}: bytes ${position}+${length} are no records any more`;
}

/**
 * A segment was left behind where its successor says: what stands after that is a failed append,
 * and when it ends before, its last records never reached the disk.
 */
function endWhereLeft(entries: LogEntry[], before: Segment | undefined, first?: LogEntry): void {
  if (first === undefined || !isSound(first) || first.header.type !== RecordType.ROLLED) return;
  if (before === undefined || before.number !== first.segment.number - 1) return;
  const end = first.header.a;
  for (let last = entries.at(-1); last?.segment === before; last = entries.at(-1)) {
    if (last.position < end) break;
    entries.pop();
  }
  if (before.end >= end) return;
  entries.push({ kind: 'gap', segment: before, position: before.end, length: end - before.end });
}

async function readLog({ segments, damage, highest }: OpenedLog): Promise<RecoveredLog> {
  const entries: LogEntry[] = [];
  for (const [i, segment] of segments.entries()) {
    const scanned = await scanSegment(segment);
    segment.end = scanned.end;
    endWhereLeft(entries, segments[i - 1], scanned.entries[0]);
    for (const entry of scanned.entries) entries.push(entry); // millions are too many to spread
  }
  const needed = neededFrom(entries);
  damage.push(...missingSegments(segments, needed));
  const proven = lastProven(entries);
  const tail = entries.findIndex((entry, i) => i > proven && !isSound(entry));
  const bad = entries[tail];
  if (bad !== undefined) entries.length = tail;
  for (const entry of entries) {
    if (entry.kind === 'gap' && entry.segment.number >= needed) damage.push(gapSentence(entry));
  }
  // A damaged log stays as it is, for whoever repairs it: nothing will be written after it.
  const cutBytes = bad !== undefined && damage.length === 0 ? await cutFrom(segments, bad) : 0;
  // After a crash of this program alone, what was read may be in the page cache only.
  for (const segment of segments) await segment.file.dataSync();
  // One that is not needed any more may be left over, without those that came after it.
  const counts = (entry: LogEntry) => entry.kind === 'record' && entry.segment.number >= needed;
  const records = entries.filter((entry): entry is LogRecord => counts(entry));
  return { segments, records, nextNumber: highest + 1, cutBytes, damage };
}

/**
 * Reads, verifies and cuts the log in `directory`, and makes durable what is left. `first`: segments
 * before it are not part of the log. Throws IO when the disk fails; damage is told, not thrown,
 * since the rest of the database may still be readable.
 */
export async function recoverLog(
  disk: Disk,
  directory: string,
  database: DatabaseId,
  first = 0,
): Promise<RecoveredLog> {
  const log: OpenedLog = { segments: [], damage: [], highest: 0 };
  try {
    await openSegments(disk, directory, database, first, log);
    return await readLog(log);
  } catch (error) {
    for (const segment of log.segments) await segment.file.close().catch(() => {});
    throw error;
  }
}
