/** Sizes of the engine ← messages of control.proto. Decoding throws CORRUPT or INVALID_ARGUMENT. */
import type { DatabaseStorage, SnapshotStorage } from '../../fs/engineCommands.js';
import { databaseId, snapshotId } from '../../proto/ids.js';
import { numberOf } from './messages.js';
import type { StoredDatabaseMessage, StoredSnapshotMessage } from './protocol.js';

export function decodeDatabaseStorage(message: StoredDatabaseMessage): DatabaseStorage {
  return {
    id: databaseId(message.id),
    snapshots: numberOf(message.snapshots, 'snapshots'),
    layers: numberOf(message.layers, 'layers'),
    uniqueBytes: numberOf(message.uniqueBytes, 'unique bytes'),
    sharedBytes: numberOf(message.sharedBytes, 'shared bytes'),
    leaseHolder: message.leaseHolder,
  };
}

export function decodeSnapshotStorage(message: StoredSnapshotMessage): SnapshotStorage {
  return {
    id: snapshotId(message.id),
    depth: numberOf(message.depth, 'depth'),
    uniqueBytes: numberOf(message.uniqueBytes, 'unique bytes'),
    sharedBytes: numberOf(message.sharedBytes, 'shared bytes'),
  };
}
