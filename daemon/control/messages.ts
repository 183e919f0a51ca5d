/**
 * Summaries of the engine ↔ messages of control.proto. Decoding throws CORRUPT or
 * INVALID_ARGUMENT.
 */
import type {
  AsideSummary,
  DatabaseSummary,
  DroppedSummary,
  SnapshotSummary,
} from '../../fs/engineCommands.js';
import { checkedNumber, databaseId, snapshotId } from '../../proto/ids.js';
import type { WorkerState } from '../execution/mountedWorker.js';
import type {
  AsideMessage,
  DatabaseMessage,
  DroppedMessage,
  Int64,
  SnapshotMessage,
  WorkerMessage,
} from './protocol.js';

export function numberOf(value: Int64, what: string): number {
  return checkedNumber(BigInt(value), what);
}

export function encodeDatabase(summary: DatabaseSummary): DatabaseMessage {
  const { writer, ...rest } = summary;
  return { ...rest, writerPid: writer?.pid };
}

export function decodeDatabase(message: DatabaseMessage): DatabaseSummary {
  return {
    id: databaseId(message.id),
    name: message.name,
    size: numberOf(message.size, 'size'),
    files: message.files.map((f) => ({ name: f.name, size: numberOf(f.size, 'file size') })),
    version: numberOf(message.version, 'version'),
    publishedVersion: numberOf(message.publishedVersion, 'published version'),
    head: message.head === undefined ? undefined : snapshotId(message.head),
    committedAt: message.committedAt,
    depth: message.depth,
    writer: message.writerPid === undefined ? undefined : { pid: message.writerPid },
    readers: message.readers,
    segmentBytes: numberOf(message.segmentBytes, 'segment bytes'),
    damage: message.damage,
  };
}

export function decodeAside(message: AsideMessage): AsideSummary {
  return {
    id: message.id,
    database: message.database,
    commits: numberOf(message.commits, 'commits'),
    base: message.base === undefined ? undefined : snapshotId(message.base),
    setAsideAt: message.setAsideAt,
    damaged: message.damaged,
  };
}

export function decodeDropped(message: DroppedMessage): DroppedSummary {
  return {
    id: databaseId(message.id),
    name: message.name,
    droppedAt: message.droppedAt,
    committedAt: message.committedAt,
    head: message.head === undefined ? undefined : snapshotId(message.head),
    size: numberOf(message.size, 'size'),
  };
}

export function encodeSnapshot(summary: SnapshotSummary): SnapshotMessage {
  return summary;
}

export function decodeSnapshot(message: SnapshotMessage): SnapshotSummary {
  return {
    id: snapshotId(message.id),
    database: message.database,
    name: message.name,
    sequence: numberOf(message.sequence, 'sequence'),
    version: numberOf(message.version, 'version'),
    committedAt: message.committedAt,
    publishedAt: message.publishedAt,
    reason: message.reason,
    size: numberOf(message.size, 'size'),
  };
}

/** undefined: there is none. */
export function decodeWorker(worker: WorkerMessage | null | undefined): WorkerState | undefined {
  if (worker === undefined || worker === null) return undefined;
  return { ...worker, figures: worker.figures ?? undefined };
}
