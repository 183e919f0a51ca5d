/**
 * Who still needs which segment or layer. A *generation* is the set of sources that the extent maps
 * of a time refer to; sealing and compaction move the newest images on to the next generation.
 * Images hold their generation, the database holds the current one, and a source is given up when
 * no generation has it any more.
 */

import type { SourceNumber } from '../../layers/extentMap.js';
import { assert } from '../../proto/errors.js';

/** A source of bytes that somebody must give up in the end. */
export class HeldSource {
  readonly number: SourceNumber;
  readonly #giveUp: () => void;
  #generations = 0;

  /** `giveUp` is called once, when no generation has the source any more. */
  constructor(number: SourceNumber, giveUp: () => void) {
    this.number = number;
    this.#giveUp = giveUp;
  }

  hold(): void {
    this.#generations++;
  }

  letGo(): void {
    this.#generations--;
    assert(this.#generations >= 0, `source ${this.number} is let go twice`);
    if (this.#generations === 0) this.#giveUp();
  }
}

/** Counted: starts with one reference, its maker's. */
export class Generation {
  readonly #sources = new Set<HeldSource>();
  #references = 1;

  constructor(sources: Iterable<HeldSource>) {
    for (const source of sources) this.add(source);
  }

  /** Also for a source that comes while the generation is current (a new segment). */
  add(source: HeldSource): void {
    if (this.#sources.has(source)) return;
    this.#sources.add(source);
    source.hold();
  }

  retain(): this {
    assert(this.#references > 0, 'a released generation is retained');
    this.#references++;
    return this;
  }

  release(): void {
    this.#references--;
    assert(this.#references >= 0, 'a generation is released twice');
    if (this.#references > 0) return;
    for (const source of this.#sources) source.letGo();
    this.#sources.clear();
  }
}
