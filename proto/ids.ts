/**
 * Branded identifiers and quantities: interchangeable to the machine, not to the compiler.
 * Quantities are numbers checked to be ≤ 2^53 − 1 where they enter (`checkedNumber`), because a
 * u64 as a bare number silently loses bits.
 */
import { OpenduckError } from './errors.js';

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** UUID (any version, lower-case text) of a database; survives renames. */
export type DatabaseId = Branded<string, 'DatabaseId'>;
/** UUID v7 (lower-case text) of a snapshot. */
export type SnapshotId = Branded<string, 'SnapshotId'>;
/** UUID v7 (lower-case text) of a layer. */
export type LayerId = Branded<string, 'LayerId'>;
/**
 * Number of a file within its database, ≥ 1; survives renames. Given out again only when a restore
 * went back behind it.
 */
export type FileId = Branded<number, 'FileId'>;
/**
 * Number of a version within its database, ≥ 1, grows by one with every publication. 0: none yet.
 */
export type VersionNumber = Branded<number, 'VersionNumber'>;
/** Milliseconds since 1970, UTC. */
export type WallTime = Branded<number, 'WallTime'>;
/** Milliseconds of a clock that never goes back; only differences mean something. */
export type MonotonicTime = Branded<number, 'MonotonicTime'>;
/** The epoch of a writer lease: grows by one with every acquisition. */
export type Epoch = Branded<number, 'Epoch'>;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function parseUuid(text: string, what: string): string {
  if (!UUID.test(text)) throw new OpenduckError('INVALID_ARGUMENT', `not a ${what} id: ${text}`);
  return text;
}

export const databaseId = (text: string) => parseUuid(text, 'database') as DatabaseId;
export const snapshotId = (text: string) => parseUuid(text, 'snapshot') as SnapshotId;
export const layerId = (text: string) => parseUuid(text, 'layer') as LayerId;
export const fileId = (n: number) => n as FileId;
export const versionNumber = (n: number) => n as VersionNumber;
export const wallTime = (ms: number) => ms as WallTime;
export const epoch = (n: number) => n as Epoch;

/** u64 or i64 → number. Throws CORRUPT when it does not fit into 2^53 − 1 or is negative. */
export function checkedNumber(value: bigint, what: string): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new OpenduckError('CORRUPT', `${what} out of range: ${value}`);
  }
  return Number(value);
}
