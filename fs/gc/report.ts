/** What a collection did, or would do: plain data, ready to be printed. */
import type { RetentionPolicy } from '../../metadata/retention/policy.js';
import type { DatabaseId, SnapshotId } from '../../proto/ids.js';

export interface CollectOptions {
  /** Name; undefined: all databases, dropped ones too. */
  readonly database: string | undefined;
  readonly dryRun: boolean;
  /** Dropped databases can be brought back for so long. */
  readonly undropWithinMs: number;
  /** From the loss of the last reference to a layer to the deletion of its object. */
  readonly minAgeMs: number;
}

export interface CollectedDatabase {
  readonly id: DatabaseId;
  readonly name: string;
  /** It goes as a whole. */
  readonly dropped: boolean;
  readonly snapshots: readonly SnapshotId[];
}

export interface CollectedObject {
  readonly key: string;
  readonly bytes: number;
}

export interface CollectReport {
  readonly dryRun: boolean;
  /** Those that lose snapshots, or go. */
  readonly databases: readonly CollectedDatabase[];
  /** Layers that nobody refers to any more: their objects are deleted later. */
  readonly unused: readonly CollectedObject[];
  /** Objects that nobody ever referred to: deleted later, too. */
  readonly orphans: readonly CollectedObject[];
  /** Objects that are deleted now. */
  readonly deleted: readonly CollectedObject[];
  /** Unused for long enough, but somebody reads them. */
  readonly held: number;
}

export function bytesOf(objects: readonly CollectedObject[]): number {
  return objects.reduce((sum, { bytes }) => sum + bytes, 0);
}

export function snapshotsGone({ databases }: CollectReport): number {
  return databases.reduce((sum, { snapshots }) => sum + snapshots.length, 0);
}

/** How long a dropped database can be brought back, and when nobody can need an unused layer. */
export const UNDROP_WITHIN_MS = 7 * 86_400_000;
export const MIN_AGE_MS = 3_600_000;

export interface RetentionSummary {
  readonly database: string;
  readonly policy: RetentionPolicy;
  /** Nobody has set one for this database. */
  readonly isDefault: boolean;
}
