/**
 * Ports that fail once: the N-th operation of the disk, the object store or the metadata.
 */
import type { ObjectReader, ObjectStore } from '../../layers/objectStore.js';
import { type ErrorCode, OpenduckError } from '../../proto/errors.js';
import { diskError } from '../layers/memoryDisk.js';
import type { World } from './crashWorld.js';

/** What fails, and how. */
export interface FaultKind {
  readonly name: string;
  readonly port: 'disk' | 'objects' | 'metadata';
  /** How much of the operation happens nevertheless. */
  readonly share: number;
  /** `ENOSPC` or `EIO`. */
  readonly errno: string;
  /** What the caller must be told; a log that failed is IO whatever was the reason. */
  readonly code: ErrorCode;
}

const disk = (errno: string, share: number): FaultKind => ({
  name: `disk ${errno}, ${share * 100} % done`,
  port: 'disk',
  share,
  errno,
  code: errno === 'ENOSPC' ? 'DISK_FULL' : 'IO',
});

const port = (what: 'objects' | 'metadata', share: number, errno: string): FaultKind => ({
  ...disk(errno, share),
  name: `${what} ${errno}, ${share === 0 ? 'before' : 'after'} the effect`,
  port: what,
});

export const FAULT_KINDS: readonly FaultKind[] = [
  disk('ENOSPC', 0),
  disk('EIO', 0),
  disk('ENOSPC', 0.5),
  disk('EIO', 1),
  port('objects', 0, 'ENOSPC'),
  port('objects', 1, 'EIO'),
  port('metadata', 0, 'ENOSPC'),
  port('metadata', 1, 'EIO'),
];

/** Counts operations down; the one that reaches 0 fails. */
export class Fuse {
  readonly kind: FaultKind;
  left: number;
  /** The operation that failed. */
  burnt: string | undefined;
  /** Operations of the kind's port so far, but for those that only look. */
  asked = 0;
  /** While the harness looks, nothing counts. */
  looking = false;

  constructor(kind: FaultKind, left: number) {
    this.kind = kind;
    this.left = left;
  }

  /** The error, when this operation is the one. */
  burn(port: FaultKind['port'], operation: string): Error | undefined {
    if (port !== this.kind.port || this.looking) return undefined;
    this.asked++;
    this.left--;
    if (this.left !== 0) return undefined;
    this.burnt = operation;
    if (port === 'disk') return diskError(this.kind.errno, operation, 'by the fuse');
    return new OpenduckError(this.kind.code, `${operation} failed by the fuse`);
  }
}

export function armDisk({ disk }: Pick<World, 'disk'>, fuse: Fuse): void {
  disk.fault = (operation, path) => {
    if (operation === 'readCached') return undefined; // its answer is "not now", never an error
    const error = fuse.burn('disk', `${operation} ${path}`);
    return error && { share: fuse.kind.share, error };
  };
}

export function armMetadata({ metadata }: Pick<World, 'metadata'>, fuse: Fuse): void {
  metadata.hook = async (operation, after) => {
    if (after !== fuse.kind.share > 0) return;
    const error = fuse.burn('metadata', operation);
    if (error !== undefined) throw error;
  };
}

/** Reads have no effect: they fail the same way before and after. */
export function faultyObjects(store: ObjectStore, fuse: Fuse): ObjectStore {
  const burn = (operation: string) => {
    const error = fuse.burn('objects', operation);
    if (error !== undefined) throw error;
  };
  const putFile = async (key: string, path: string): Promise<void> => {
    if (fuse.kind.share > 0) await store.putFile(key, path);
    burn(`putFile ${key}`);
    if (fuse.kind.share === 0) await store.putFile(key, path);
  };
  const open = async (key: string): Promise<ObjectReader> => {
    burn(`open ${key}`);
    const reader = await store.open(key);
    return {
      key,
      size: reader.size,
      readCached: (buffer, at, length, position) => reader.readCached(buffer, at, length, position),
      read: async (buffer, at, length, position) => {
        burn(`read ${key}`);
        await reader.read(buffer, at, length, position);
      },
      close: () => reader.close(),
    };
  };
  return {
    url: store.url,
    putFile,
    open,
    head: (key) => store.head(key),
    list: (prefix) => store.list(prefix),
    delete: (key) => store.delete(key),
  };
}
