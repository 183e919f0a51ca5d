/**
 * How many files of the storage are open at a time. A database has a segment and some layers, and a
 * directory may have ten thousand databases: files that nobody uses at the moment are closed, the
 * least recently used first, and opened again when they are needed.
 *
 * A file with bytes that are not synced stays open: were it closed, and its inode dropped from
 * memory after a failed write-back, a later fsync would tell nothing of the failure.
 */
import { readFileSync } from 'node:fs';

export interface PoolMember {
  /** Closes its descriptor if that may be done now; says whether it did. */
  tryClose(): boolean;
}

const MOST = 4096;
const LEAST = 64;
/** Members in use that are passed over before the search ends. */
const MOST_LOOKS = 64;

export class FilePool {
  readonly #limit: number;
  /** Least recently used first. */
  readonly #open = new Set<PoolMember>();
  #newest: PoolMember | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The member is open and is used now. */
  used(member: PoolMember): void {
    if (member === this.#newest) return;
    this.#newest = member;
    this.#open.delete(member);
    this.#open.add(member);
    if (this.#open.size > this.#limit) this.#shrink(member);
  }

  closed(member: PoolMember): void {
    this.#open.delete(member);
    if (this.#newest === member) this.#newest = undefined;
  }

  #shrink(user: PoolMember): void {
    let looks = 0;
    for (const member of this.#open) {
      if (this.#open.size <= this.#limit || looks++ >= MOST_LOOKS) return;
      if (member === user) continue;
      if (member.tryClose()) this.#open.delete(member);
      else {
        // In use, or not synced yet: not among the first that the next search looks at.
        this.#open.delete(member);
        this.#open.add(member);
      }
    }
  }
}

/** Half of what this process may have open: the rest is for everything else. */
export function poolLimit(limits: string): number {
  const match = /^Max open files\s+(\d+)/m.exec(limits);
  const half = match === null ? MOST : Math.floor(Number(match[1]) / 2);
  return Math.max(LEAST, Math.min(MOST, half));
}

export const filePool = new FilePool(poolLimit(readFileSync('/proc/self/limits', 'utf8')));
