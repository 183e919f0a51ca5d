/**
 * What a thread saw of a database file when it last opened it read-only. DuckDB looks at the header
 * through opens that it closes again, before it opens the file for writing; version 2 does not read
 * the header again once it has the lock.
 */
import type { FileIdentity } from '../database/image.js';

/** Entries are replaced by the thread's next open; what is left of ended threads is few. */
const MOST_THREADS = 1024;

interface Probe {
  readonly file: FileIdentity;
  /** See LiveFile.contentNumber. */
  readonly content: number;
}

export class Probes {
  readonly #probes = new Map<number, Probe>();

  note(thread: number, file: FileIdentity, content: number): void {
    if (this.#probes.size >= MOST_THREADS) this.#probes.clear();
    this.#probes.set(thread, { file, content });
  }

  /**
   * Which content of the file the thread saw last; undefined: none; −1: one from before the
   * database was loaded anew.
   */
  contentSeen(thread: number, file: FileIdentity): number | undefined {
    const probe = this.#probes.get(thread);
    if (probe?.file === file) return probe.content;
    return probe?.file.inode === file.inode ? -1 : undefined;
  }
}
