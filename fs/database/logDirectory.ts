/**
 * Where a database's log lies on this host: `segments/ID`. When another host has taken the database
 * over while the log held commits that nobody else has, the folder is *set aside*: `aside.json` in
 * it says what it is, nothing writes or deletes there any more, and the database goes on with
 * `segments/ID~2`, `~3`, … In a log that is in use, `lease.json` has the writer lease under which it
 * was last written.
 */
import { join } from 'node:path';
import type { Disk } from '../../layers/os/disk.js';
import { segmentNumber } from '../../layers/segment.js';
import { OpenduckError } from '../../proto/errors.js';
import type { DatabaseId, Epoch, SnapshotId, VersionNumber } from '../../proto/ids.js';

const ASIDE_FILE = 'aside.json';
const LEASE_FILE = 'lease.json';
const MAX_FILE_BYTES = 64 << 10;

/** What `lease.json` says. */
export interface NotedLease {
  /** First and last epoch of the lease under which the log is written. */
  readonly since: Epoch;
  readonly epoch: Epoch;
  /** The newest snapshot when it was acquired. */
  readonly base: SnapshotId | undefined;
  /** Segments before it were given up, and may be there because a reader kept them. */
  readonly firstSegment: number;
}

/** What `aside.json` says. */
export interface AsideRecord {
  readonly database: DatabaseId;
  /** Without `.duckdb`, when it was set aside. */
  readonly name: string;
  /** The log's records belong on top of this snapshot; undefined: on top of nothing. */
  readonly base: SnapshotId | undefined;
  /** The last version that was published, and the newest one in the log. */
  readonly publishedVersion: VersionNumber;
  readonly version: VersionNumber;
  /** ISO. */
  readonly setAsideAt: string;
  /** Something of it cannot be read: nobody knows what else was in it. */
  readonly damaged?: boolean;
}

/** A log that was set aside. */
export interface AsideLog extends AsideRecord {
  /** Name of its folder: how people refer to it. */
  readonly id: string;
}

/** False when its host wrote nothing that others have not: then it is only left over. */
export const hasUnpublished = ({ version, publishedVersion, damaged }: AsideRecord): boolean =>
  version > publishedVersion || damaged === true;

const numberOf = (name: string): number => Number(name.split('~')[1] ?? 1);

export class LogDirectories {
  readonly #disk: Disk;
  readonly #root: string;

  /** `root`: the folder `segments`. */
  constructor(disk: Disk, root: string) {
    this.#disk = disk;
    this.#root = root;
  }

  /** The folder of all of them. Throws DISK_FULL, IO. */
  make(): Promise<void> {
    return this.#disk.makeDirectory(this.#root);
  }

  path(name: string): string {
    return join(this.#root, name);
  }

  async #namesOf(database: DatabaseId): Promise<string[]> {
    const names = await this.#disk.list(this.#root);
    return names.filter((name) => name === database || name.startsWith(`${database}~`));
  }

  /**
   * The folder that a database's log is in, or will be in: the newest one that is not set aside. An
   * older one may be what is left of one that was being removed. Throws IO.
   */
  async current(database: DatabaseId): Promise<string> {
    const names = await this.#namesOf(database);
    names.sort((a, b) => numberOf(b) - numberOf(a));
    for (const name of names) if (!(await this.#isAside(name))) return this.path(name);
    const [newest] = names;
    return this.path(newest === undefined ? database : `${database}~${numberOf(newest) + 1}`);
  }

  /** Also those that cannot be read. Throws IO. */
  async hasSegments(directory: string): Promise<boolean> {
    const names = await this.#disk.list(directory);
    return names.some((name) => segmentNumber(name) !== undefined);
  }

  async #isAside(name: string): Promise<boolean> {
    return (await this.#disk.size(join(this.path(name), ASIDE_FILE))) !== undefined;
  }

  /**
   * Durable when it resolves. A folder that is not there has nothing to be kept. Throws DISK_FULL,
   * IO.
   */
  async setAside(directory: string, record: AsideRecord): Promise<void> {
    if ((await this.#disk.size(directory)) === undefined) return;
    await this.#write(join(directory, ASIDE_FILE), record);
  }

  /** Everything that was set aside on this host. Throws CORRUPT, IO. */
  async listAside(): Promise<AsideLog[]> {
    const found: AsideLog[] = [];
    for (const id of await this.#disk.list(this.#root)) {
      const record = await this.#read<AsideRecord>(join(this.path(id), ASIDE_FILE));
      if (record !== undefined) found.push({ ...record, id });
    }
    return found;
  }

  /**
   * Removes a log that nobody needs any more. It is set aside to the very end, with nothing that is
   * unpublished, also when the power goes: what is left is neither used nor shown. Throws
   * DISK_FULL, IO.
   */
  async remove(directory: string, record: AsideRecord): Promise<void> {
    const done = { ...record, publishedVersion: record.version };
    await this.#write(join(directory, ASIDE_FILE), done);
    for (const name of await this.#disk.list(directory)) {
      if (name !== ASIDE_FILE) await this.#disk.remove(join(directory, name));
    }
    await this.#write(join(directory, ASIDE_FILE), done); // makes the removals durable
    await this.#disk.removeTree(directory);
  }

  /** Before anything is written under a new lease. Throws DISK_FULL, IO. */
  async noteLease(directory: string, lease: NotedLease): Promise<void> {
    await this.#disk.makeDirectory(directory);
    await this.#write(join(directory, LEASE_FILE), lease);
  }

  /** Under which the log was last written; undefined: of one host alone. Throws CORRUPT, IO. */
  async leaseOf(directory: string): Promise<NotedLease | undefined> {
    return this.#read<NotedLease>(join(directory, LEASE_FILE));
  }

  async #write(path: string, value: object): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
    const draft = `${path}.new`;
    await this.#disk.remove(draft);
    const file = await this.#disk.open(draft, 'create');
    try {
      await file.write(bytes, 0, bytes.length, 0);
      await file.dataSync();
    } finally {
      await file.close();
    }
    await this.#disk.rename(draft, path);
  }

  async #read<T>(path: string): Promise<T | undefined> {
    if ((await this.#disk.size(path)) === undefined) return undefined;
    const file = await this.#disk.open(path, 'read');
    try {
      const buffer = Buffer.alloc(MAX_FILE_BYTES);
      const length = await file.read(buffer, 0, buffer.length, 0);
      return JSON.parse(buffer.toString('utf8', 0, length)) as T;
    } catch (cause) {
      if (!(cause instanceof SyntaxError)) throw cause;
      throw new OpenduckError('CORRUPT', `${path} is not what was written there`, { cause });
    } finally {
      await file.close();
    }
  }
}
