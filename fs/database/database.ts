/**
 * One database: its live files, its log, its newest version. Every change goes through here, in the
 * order: append to the log, then change memory; so that memory never has what the log has not.
 *
 * Commit points (design §5.1): a version of the whole set is made at every fsync of any file, when
 * the last write handle closes, and by create, rename, unlink and attribute changes at once. Its
 * images are each file's content as of that file's last commit.
 *
 * Invariants: changes that make versions run one after another (`#serial`); versions are made in
 * the order of their numbers; a failed log accepts no change any more.
 */
import type { SourceNumber } from '../../layers/extentMap.js';
import type { FileAttributes } from '../../layers/layer.js';
import type { Segment } from '../../layers/segment.js';
import { RecordType } from '../../layers/segmentFormat.js';
import { type Place, SegmentLog } from '../../layers/segmentLog.js';
import type { SourceTable } from '../../layers/sources.js';
import { OpenduckError } from '../../proto/errors.js';
import {
  type DatabaseId,
  type FileId,
  fileId,
  type VersionNumber,
  versionNumber,
  type WallTime,
} from '../../proto/ids.js';
import { encodeNamedAttributes } from './attributesCodec.js';
import type { DatabasePorts, DatabaseState } from './databaseState.js';
import { type FollowedVersion, followFiles } from './followedVersion.js';
import type { Generation, HeldSource } from './generation.js';
import { Version } from './image.js';
import { emptyContent, hasUncommitted, LiveFile } from './liveFile.js';
import { Orphans } from './orphans.js';
import { SegmentShelf } from './segmentShelf.js';
import { SerialQueue } from './serialQueue.js';

const ALL_FILES = fileId(0);

export class Database {
  readonly id: DatabaseId;
  /** Folder of its segments. */
  readonly directory: string;
  name: string;
  readonly sources: SourceTable;
  readonly log: SegmentLog;
  readonly ports: DatabasePorts;
  /** Live files by suffix. */
  readonly files = new Map<string, LiveFile>();
  /** Newest version. */
  head: Version;
  /** Sources of the newest images; the database holds one reference. */
  generation: Generation;
  /** Sentences, found at load; not empty: reads of what is damaged fail, writers are refused. */
  damage: readonly string[] = [];
  /** More than ranges of bytes is lost: nobody knows what the newest version was. */
  headLost = false;
  /**
   * Recovery found segments: what was uncommitted in them is void before anything new is written.
   */
  resetFirst = false;
  /** The newest sentence about bytes that failed their checksum when they were read. */
  lostBytes: string | undefined;
  dropped = false;
  /** Dropped and let go: there are no versions any more. */
  #gone = false;
  /** Told of every new version, while the one before is still whole. */
  readonly listeners = new Set<(before: Version, after: Version) => void>();
  nextFileId: number;
  readonly #segments: SegmentShelf;
  readonly #serial = new SerialQueue();
  readonly #orphans = new Orphans();
  /** Writes whose record has its place in the log, but which the live file does not show yet. */
  #unapplied = 0;
  #version: VersionNumber;

  constructor(state: DatabaseState, ports: DatabasePorts) {
    this.id = state.id;
    this.name = state.name;
    this.ports = ports;
    this.sources = state.sources;
    this.generation = state.generation;
    this.nextFileId = state.nextFileId;
    this.#version = state.version;
    this.directory = state.directory;
    this.#segments = new SegmentShelf(state.sources, ports);
    for (const file of state.files) this.files.set(file.suffix, file);
    this.head = new Version(
      state.version,
      state.committedAt as Version['time'],
      new Map(state.files.map((file) => [file.suffix, file.synced])),
    );
    this.log = new SegmentLog({
      disk: ports.disk,
      directory: state.directory,
      database: state.id,
      random: ports.random,
      nextNumber: state.nextSegment,
      onSegment: (segment) => this.addSegment(segment),
    });
  }

  /** A segment that extent maps may refer to from now on, under its number in the source table. */
  addSegment(segment: Segment, source?: SourceNumber): void {
    this.generation.add(this.#segments.add(segment, source));
  }

  /** Those of which something may still be read, by number. */
  get segments(): ReadonlyMap<number, HeldSource> {
    return this.#segments.held;
  }

  /** Its log was set aside: it stays when nothing reads it any more. */
  keepSegmentFiles(): void {
    this.#segments.keepFiles = true;
  }

  /** Work on the set as a whole, one after another. */
  serially<T>(work: () => Promise<T>): Promise<T> {
    return this.#serial.run(work);
  }

  damageError(): OpenduckError {
    return new OpenduckError('CORRUPT', `${this.name} is damaged: ${this.damage[0]}`, {
      database: this.name,
      hint: `Go back to a snapshot that is whole: openduck-fuse restore ${this.name} --at '~1'`,
    });
  }

  /** Makes the database ready to be changed. Throws CORRUPT when damaged, DISK_FULL, IO. */
  async prepareForWriting(): Promise<void> {
    if (this.damage.length > 0) throw this.damageError();
    if (this.log.failure !== undefined) throw this.log.failure;
    await this.log.ready();
    if (!this.resetFirst) return;
    this.log.append(RecordType.RESET, {});
    this.resetFirst = false;
  }

  /**
   * Writes buffer[at, at + length) at `offset` of a file. The 48 bytes before `at` are overwritten.
   * The buffer must stay as it is until a returned promise settles. Throws DISK_FULL, IO; nothing
   * changed then.
   */
  write(
    file: LiveFile,
    offset: number,
    buffer: Buffer,
    at: number,
    length: number,
  ): undefined | Promise<void> {
    const now = this.ports.clock.now();
    const place = this.log.appendWrite(file.id, offset, now, buffer, at, length);
    const apply = ({ segment, offset: position }: Place): void => {
      file.touch(segment.number, now);
      if (!file.linked) file.hold(this.generation);
      file.put(offset, length, this.segments.get(segment.number)!.number, position);
    };
    if (place instanceof Promise) {
      this.#unapplied++;
      return place.then(apply).finally(() => {
        this.#unapplied--;
      });
    }
    apply(place);
    return undefined;
  }

  /**
   * Whether a write is under way. A record that covers all writes before it is appended right after
   * this was seen to be false, without waiting in between: another write may begin meanwhile.
   */
  get writing(): boolean {
    return this.#unapplied > 0;
  }

  /** Takes part in the next commit of the file. Throws DISK_FULL, IO. */
  truncate(file: LiveFile, size: number): void {
    const now = this.ports.clock.now();
    this.log.append(RecordType.TRUNCATE, { file: file.id, a: size, b: now });
    file.touch(this.log.active!.number, now);
    file.resize(size);
  }

  /** A new empty file, published at once. The caller knows that there is none of that suffix. */
  async create(suffix: string, attributes: FileAttributes): Promise<LiveFile> {
    await this.prepareForWriting();
    return this.serially(async () => {
      const existing = this.files.get(suffix);
      if (existing !== undefined) return existing;
      const id = fileId(this.nextFileId);
      this.#appendVersion(RecordType.CREATE, id, encodeNamedAttributes(suffix, attributes));
      this.nextFileId++;
      const content = emptyContent();
      const file = new LiveFile(this.id, id, suffix, attributes, content, this.generation);
      this.files.set(suffix, file);
      this.#publishVersion();
      return file;
    });
  }

  /** A file that has the new suffix already is unlinked. */
  async rename(file: LiveFile, suffix: string): Promise<void> {
    await this.prepareForWriting();
    return this.serially(async () => {
      const payload = encodeNamedAttributes(suffix, file.attributes);
      this.#appendVersion(RecordType.RENAME, file.id, payload);
      const replaced = this.files.get(suffix);
      if (replaced !== undefined && replaced !== file) this.#unlinkLive(replaced);
      this.files.delete(file.suffix);
      file.suffix = suffix;
      this.files.set(suffix, file);
      this.#publishVersion();
    });
  }

  async unlink(file: LiveFile): Promise<void> {
    await this.prepareForWriting();
    return this.serially(async () => {
      if (!file.linked) return;
      this.#appendVersion(RecordType.UNLINK, file.id);
      this.#unlinkLive(file);
      this.files.delete(file.suffix);
      this.#publishVersion();
    });
  }

  #unlinkLive(file: LiveFile): void {
    file.unlink(this.generation);
    this.#orphans.add(file);
  }

  async setAttributes(file: LiveFile, attributes: FileAttributes): Promise<void> {
    await this.prepareForWriting();
    return this.serially(async () => {
      const payload = encodeNamedAttributes(file.suffix, attributes);
      this.#appendVersion(RecordType.ATTRIBUTES, file.id, payload, attributes.modified);
      file.attributes = attributes;
      file.synced.modified = attributes.modified;
      if (file.linked) this.#publishVersion();
    });
  }

  #appendVersion(type: RecordType, file: FileId, payload?: Buffer, time?: number): void {
    const a = this.#version + 1;
    this.log.append(type, { file, a, b: time ?? this.ports.clock.now() }, payload);
    this.#version = versionNumber(a);
  }

  /**
   * fsync of one file: makes its content durable and publishes it. Resolves when both are so.
   * Throws DISK_FULL (nothing is published, try again) or IO (the log has failed).
   */
  commit(file: LiveFile): Promise<void> {
    return this.serially(async () => {
      if (this.log.failure !== undefined) throw this.log.failure;
      if (!file.linked || !file.dirty) return this.log.active && this.log.sync();
      while (this.writing) await this.log.settled();
      this.#appendVersion(RecordType.COMMIT, file.id);
      const image = file.freeze(this.generation);
      await this.log.sync();
      this.#acknowledge();
      file.publish(image);
      this.#publishVersion();
    });
  }

  /**
   * The last write handle is gone: publishes what was never fsynced, at once, and makes it durable
   * behind the caller's back, as a local file system would. Throws DISK_FULL, IO.
   */
  async commitAll(): Promise<void> {
    if (!hasUncommitted(this.files)) return;
    await new Promise<void>((published, failed) => {
      this.serially(async () => {
        while (this.writing) await this.log.settled();
        this.#appendVersion(RecordType.COMMIT, ALL_FILES);
        for (const file of this.files.values()) {
          if (file.dirty) file.publish(file.freeze(this.generation));
        }
        this.#publishVersion();
        published();
        await this.log.sync();
        this.#acknowledge();
      }).catch((error) => {
        const fields = { database: this.name, error: String(error) };
        this.ports.logger.error(fields, 'could not commit what was written before the last close');
        failed(error);
      });
    });
  }

  /** Tells a later recovery that the newest commit had reached the disk. */
  #acknowledge(): void {
    try {
      this.log.append(RecordType.ACKNOWLEDGED, { a: this.#version });
    } catch {
      // A full disk: the commit itself is safe; only the proof against a flipped bit is missing.
    }
  }

  #publishVersion(time: WallTime = this.ports.clock.now()): void {
    if (this.#gone) return; // nobody can look
    const images = new Map([...this.files].map(([suffix, file]) => [suffix, file.synced]));
    const before = this.head;
    this.head = new Version(this.#version, time, images);
    for (const listener of this.listeners) listener(before, this.head);
    before.release();
  }

  /**
   * What another host has published takes the place of the head. The caller knows that nothing is
   * uncommitted here and nobody writes.
   */
  follow(next: FollowedVersion, generation: Generation): void {
    for (const gone of followFiles(this, next.files, generation)) this.#unlinkLive(gone);
    const before = this.generation;
    this.generation = generation;
    before.release();
    this.nextFileId = next.nextFileId;
    this.#version = next.number;
    this.#publishVersion(next.time);
  }

  /** Makes durable what was published without waiting for the disk. Throws IO. */
  sync(): Promise<void> {
    return this.serially(async () => this.log.active && this.log.sync());
  }

  /** For a dropped database whose commits are all published: only open handles keep anything. */
  letGo(): Promise<void> {
    return this.serially(async () => {
      for (const file of this.files.values()) this.#unlinkLive(file);
      this.files.clear();
      this.#gone = true;
      this.head.release();
      // Whoever has an unlinked file open may write to it still, and for that the log is needed.
      this.#orphans.whenGone(() => this.generation.release());
    });
  }

  /** Waits for everything under way and closes the log's files. */
  async close(): Promise<void> {
    await this.serially(async () => {
      await this.log.close();
    });
    await this.#segments.close();
  }
}
