/**
 * Fills the page cache with ranges of one file, in large folios, ahead of its readers. Two at a
 * time for all files, so that the pool has threads for those who read what nobody foresaw. Who
 * needs a range that is still to come has it begun at once, and waits for it: a read of its own
 * would go to the disk twice, and in small pages.
 *
 * Compared with posix_fadvise, which fills single pages: half of the CPU (docs/adr/0011).
 */
import { HUGE_PAGE_BYTES } from './pageCacheCalls.js';

const MOST_AT_A_TIME = 2;
/** In vain so often, and never otherwise: the kernel or the file system has no large folios. */
const MOST_VAIN = 16;

let underWay = 0;
/** Those with something to begin, who waited longest first. */
const waiting = new Set<CacheFill>();

function beginNext(): void {
  for (const fill of waiting) {
    if (underWay >= MOST_AT_A_TIME) return;
    waiting.delete(fill);
    if (fill.beginOne()) waiting.add(fill);
  }
}

export interface Filler {
  /** One page of HUGE_PAGE_BYTES; whether the page cache has it now. Does not reject. */
  readHugePage(position: number): Promise<boolean>;
  /** In single pages, without waiting for it. */
  advise(position: number, length: number): void;
}

export class CacheFill {
  readonly #filler: Filler;
  /** Numbers of huge pages: those that wait, and those that are being read. */
  readonly #wanted = new Set<number>();
  readonly #reading = new Map<number, Promise<void>>();
  /** How often it was in vain; undefined: it has worked. */
  #vain: number | undefined = 0;

  constructor(filler: Filler) {
    this.#filler = filler;
  }

  /** Begins with the first whole huge page in the range; the last one may reach over its end. */
  want(position: number, length: number): void {
    if (this.#vain === MOST_VAIN) {
      this.#filler.advise(position, length);
      return;
    }
    const end = position + length;
    for (let n = Math.ceil(position / HUGE_PAGE_BYTES); n * HUGE_PAGE_BYTES < end; n++) {
      if (!this.#reading.has(n)) this.#wanted.add(n);
    }
    if (this.#wanted.size > 0) waiting.add(this);
    beginNext();
  }

  /** Whether some of the range is being read or is about to be. */
  isDue(position: number, length: number): boolean {
    return this.#dueIn(position, length) !== undefined;
  }

  /** Waits until nothing of the range is due. */
  async settled(position: number, length: number): Promise<void> {
    for (;;) {
      const n = this.#dueIn(position, length);
      if (n === undefined) return;
      await (this.#reading.get(n) ?? this.#begin(n));
    }
  }

  /** Forgets what has not begun. */
  stop(): void {
    this.#wanted.clear();
    waiting.delete(this);
  }

  /** Begins with the first that waits; says whether there are more. */
  beginOne(): boolean {
    const [n] = this.#wanted;
    if (n !== undefined) this.#begin(n);
    return this.#wanted.size > 0;
  }

  #dueIn(position: number, length: number): number | undefined {
    if (this.#reading.size === 0 && this.#wanted.size === 0) return undefined;
    const end = position + length;
    for (let n = Math.floor(position / HUGE_PAGE_BYTES); n * HUGE_PAGE_BYTES < end; n++) {
      if (this.#reading.has(n) || this.#wanted.has(n)) return n;
    }
    return undefined;
  }

  #begin(n: number): Promise<void> {
    this.#wanted.delete(n);
    underWay++;
    const work = this.#read(n * HUGE_PAGE_BYTES).finally(() => {
      this.#reading.delete(n);
      underWay--;
      beginNext();
    });
    this.#reading.set(n, work);
    return work;
  }

  async #read(position: number): Promise<void> {
    if (await this.#filler.readHugePage(position)) {
      this.#vain = undefined;
      return;
    }
    // Others may have read pieces of it: those stay as they are.
    if (this.#vain !== undefined) this.#vain = Math.min(MOST_VAIN, this.#vain + 1);
    this.#filler.advise(position, HUGE_PAGE_BYTES);
  }
}
