/**
 * The files of the cache, whatever is in them. Nothing here throws at a reader: what goes wrong on
 * the disk is logged, and the answer is "not here".
 *
 * - A file appears by rename, when all of it is written. Nothing is fsynced: what a power cut tears
 *   fails its checksum.
 * - Room is made before a file is written, so that the files never take more than the limit.
 * - Nothing is written before all that is there is known.
 */
import { join } from 'node:path';
import { describeError, errorCode } from '../../proto/errors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import { inLanes } from '../lanes.js';
import type { Disk, DiskFile } from '../os/disk.js';
import { Background } from './background.js';
import { CacheHealth, PAUSE_MS } from './cacheHealth.js';
import { bytesOnDisk, CacheIndex, type Victim } from './cacheIndex.js';
import { loadContents, saveOrder, writeDraft } from './contents.js';
import { bucketOf, entryPath, INCOMING } from './names.js';

const REMOVALS_IN_FLIGHT = 4;
const SAVE_ORDER_MS = 5 * 60_000;

export interface EntryFilesOptions {
  readonly disk: Disk;
  readonly directory: string;
  /** Limit. */
  readonly bytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class EntryFiles {
  readonly index: CacheIndex;
  readonly health: CacheHealth;
  /** Told of an entry whose file goes. */
  onRemove: (name: string) => void = () => {};
  /** Files that did not hold. */
  broken = 0;
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #background = new Background();
  readonly #putting = new Map<string, Promise<boolean>>();
  readonly #removing = new Map<string, Promise<void>>();
  /** Folders that are there. */
  readonly #folders = new Set<string>();
  /** Paths in INCOMING that are in use. */
  readonly #drafts = new Set<string>();
  /** Those that could not be removed, and what is reserved for them. */
  readonly #leftovers = new Map<string, number>();
  #draftCount = 0;
  #complete = false;
  #ready: Promise<boolean>;
  #savedChanges = 0;
  #closed = false;
  #stopTimer: () => void = () => {};

  /** Begins to look at what is there, in the background. */
  constructor({ disk, directory, bytes, clock, logger }: EntryFilesOptions) {
    this.#disk = disk;
    this.#directory = directory;
    this.#clock = clock;
    this.#logger = logger;
    this.index = new CacheIndex(bytes);
    this.health = new CacheHealth(clock, logger, directory, this.index);
    this.#ready = this.#load();
  }

  /** Whether something can be stored now. */
  get accepting(): boolean {
    return this.#complete && !this.#closed && !this.health.paused;
  }

  /** Resolves when all that is there is known; with false when the directory fails. */
  get ready(): Promise<boolean> {
    return this.#ready;
  }

  /** Whether it may be there: as long as not all is known, anything may. */
  mayHave(name: string): boolean {
    return !this.#complete || this.index.has(name);
  }

  /** Throws what the disk throws. */
  open(name: string): Promise<DiskFile> {
    return this.#disk.open(entryPath(this.#directory, name), 'read');
  }

  /** Up to `most` bytes of an entry; undefined when it is not there, or cannot be read and goes. */
  async readUpTo(name: string, most: number): Promise<Buffer | undefined> {
    try {
      const file = await this.open(name);
      try {
        const bytes = Buffer.allocUnsafeSlow(most);
        return bytes.subarray(0, await file.read(bytes, 0, most, 0));
      } finally {
        await file.close();
      }
    } catch (error) {
      await this.dropUnreadable(name, error);
      return undefined;
    }
  }

  /** Writes an entry. Says whether it is there now. */
  put(name: string, parts: readonly Buffer[], trial = false): Promise<boolean> {
    const running = this.#putting.get(name);
    if (running !== undefined) return running;
    const work = this.#put(name, parts, trial).finally(() => this.#putting.delete(name));
    this.#putting.set(name, work);
    return work;
  }

  async #put(name: string, parts: readonly Buffer[], trial: boolean): Promise<boolean> {
    if (this.health.paused || !(await this.#ready) || this.#closed) return false;
    this.health.recover();
    await this.#removeLeftovers();
    const bytes = bytesOnDisk(parts.reduce((sum, part) => sum + part.length, 0));
    const victims = this.index.reserve(bytes, trial);
    if (victims === undefined) return false;
    const draft = this.#newDraft();
    let reserved = bytes;
    try {
      await this.#removeAll(victims);
      await this.#removing.get(name);
      await this.#makeFolder(INCOMING);
      await this.#makeFolder(bucketOf(name));
      reserved = 0; // from here on it is the draft's
      await writeDraft(this.#disk, draft, parts);
      await this.#disk.rename(draft, entryPath(this.#directory, name), false);
    } catch (error) {
      this.index.release(reserved);
      await this.#removeDraft(draft, bytes - reserved);
      await this.#failed(error);
      return false;
    }
    this.#drafts.delete(draft);
    this.index.release(bytes);
    this.index.add(name, bytes, true, trial);
    return true;
  }

  /** Removes an entry that is not wanted any more. */
  async remove(name: string): Promise<void> {
    await this.#putting.get(name);
    if (!this.mayHave(name)) return;
    const bytes = this.index.peek(name)?.bytes ?? 0;
    this.index.delete(name);
    await this.#remove({ name, bytes }).catch((error) => this.#failed(error));
  }

  /** Removes one that was read and does not hold; `why` is an error or a sentence. */
  async dropBroken(name: string, why: unknown): Promise<void> {
    if (!this.mayHave(name)) return; // somebody else was quicker, or it was evicted
    this.broken++;
    const fields = { file: entryPath(this.#directory, name), error: describeError(why) };
    this.#logger.warn(fields, 'a damaged file of the cache is removed and fetched again');
    await this.remove(name);
  }

  /** Removes one that could not be read, if there is one. */
  async dropUnreadable(name: string, error: unknown): Promise<void> {
    if (!this.index.has(name)) return;
    if (errorCode(error) === 'NOT_FOUND') await this.remove(name);
    else await this.dropBroken(name, error);
  }

  /**
   * A second name for a local file, opened for reading, until `endKeeping`; undefined when that
   * cannot be.
   */
  async keepBeside(path: string): Promise<DiskFile | undefined> {
    if (this.#closed || this.health.paused) return undefined;
    const draft = this.#newDraft();
    try {
      await this.#makeFolder(INCOMING);
      await this.#disk.link(path, draft, false);
      return await this.#disk.open(draft, 'read');
    } catch {
      await this.#removeDraft(draft, 0); // on another file system, or not there
      return undefined;
    }
  }

  async endKeeping(file: DiskFile): Promise<void> {
    await file.close().catch(() => undefined); // it was only read
    await this.#removeDraft(file.path, 0);
  }

  /** Ends what is under way and remembers the order of use. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopTimer();
    await this.#ready;
    await Promise.all(this.#putting.values());
    await Promise.allSettled(this.#removing.values());
    await this.#background.settled();
    await this.#removeLeftovers();
    await this.#saveOrder();
  }

  async #load(): Promise<boolean> {
    try {
      await loadContents({
        disk: this.#disk,
        directory: this.#directory,
        index: this.index,
        inUse: (path) => this.#drafts.has(path),
        remove: (victims) => this.#removeAll(victims),
        stopped: () => this.#closed,
      });
      if (this.#closed) return false;
      this.#complete = true;
      this.#later(SAVE_ORDER_MS, () => this.#saveOrderAgain());
      return true;
    } catch (error) {
      await this.#failed(error);
      this.#later(PAUSE_MS, () => {
        this.#ready = this.#load();
      });
      return false;
    }
  }

  #later(ms: number, work: () => void): void {
    if (!this.#closed) this.#stopTimer = this.#clock.after(ms, work);
  }

  #saveOrderAgain(): void {
    this.#background.add(this.#saveOrder());
    this.#later(SAVE_ORDER_MS, () => this.#saveOrderAgain());
  }

  /** A failure costs the order and nothing else. */
  async #saveOrder(): Promise<void> {
    const { changes } = this.index;
    if (!this.#complete || this.health.paused || changes === this.#savedChanges) return;
    const draft = this.#newDraft();
    try {
      await this.#makeFolder(INCOMING);
      await saveOrder(this.#disk, this.#directory, draft, this.index.names());
      this.#savedChanges = changes;
      this.#drafts.delete(draft);
    } catch (error) {
      await this.#removeDraft(draft, 0);
      await this.#failed(error);
    }
  }

  async #failed(error: unknown): Promise<void> {
    this.#folders.clear(); // somebody may have removed them
    const victims = this.health.failed(error);
    await this.#removeAll(victims).catch(() => undefined); // the cache rests already
  }

  /** Tries all; throws the first failure. */
  async #removeAll(victims: readonly Victim[]): Promise<void> {
    const failures: unknown[] = [];
    await inLanes(victims.length, REMOVALS_IN_FLIGHT, (i) =>
      this.#remove(victims[i]!).catch((error) => void failures.push(error)),
    );
    if (failures.length > 0) throw failures[0];
  }

  /** What cannot be removed is in the index again, if it was. */
  async #remove({ name, bytes }: Victim): Promise<void> {
    this.onRemove(name);
    const removal = this.#disk.remove(entryPath(this.#directory, name));
    this.#removing.set(name, removal);
    try {
      await removal;
    } catch (error) {
      if (bytes > 0 && !this.index.has(name)) this.index.add(name, bytes, false);
      throw error;
    } finally {
      if (this.#removing.get(name) === removal) this.#removing.delete(name);
    }
  }

  #newDraft(): string {
    const path = join(this.#directory, INCOMING, String(this.#draftCount++));
    this.#drafts.add(path);
    return path;
  }

  /** Gives back what was reserved for it when it is gone; tried again later when it is not. */
  async #removeDraft(path: string, reserved: number): Promise<void> {
    try {
      await this.#disk.remove(path);
      this.#drafts.delete(path);
      this.index.release(reserved);
    } catch {
      this.#leftovers.set(path, reserved);
    }
  }

  async #removeLeftovers(): Promise<void> {
    for (const [path, reserved] of [...this.#leftovers]) {
      if (this.#leftovers.delete(path)) await this.#removeDraft(path, reserved);
    }
  }

  async #makeFolder(name: string): Promise<void> {
    if (this.#folders.has(name)) return;
    await this.#disk.makeDirectory(join(this.#directory, name));
    this.#folders.add(name);
  }
}
