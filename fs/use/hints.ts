/**
 * Hints are promises. When an OPEN is answered with ESTALE, the kernel looks the name up again
 * (twice) and opens what it is given; the hint says what that must be. It is keyed by the caller's
 * thread, survives both lookups, is consumed by the OPEN, expires, and counts as a handle on its
 * node meanwhile, so that nothing happens to the node in between.
 */
import type { Clock } from '../../proto/ports.js';
import type { FileNode } from '../nodes/nodes.js';

const EXPIRE_MS = 2_000;

export interface Hint {
  readonly node: FileNode;
  readonly write: boolean;
}

interface Held extends Hint {
  readonly cancel: () => void;
}

export class Hints {
  readonly #clock: Clock;
  readonly #released: (hint: Hint) => void;
  readonly #hints = new Map<number, Held>();

  /** `released` is told when a promise is no longer one, whether it was kept or expired. */
  constructor(clock: Clock, released: (hint: Hint) => void) {
    this.#clock = clock;
    this.#released = released;
  }

  of(thread: number): Hint | undefined {
    return this.#hints.get(thread);
  }

  /** Replaces what was promised to the thread before. */
  give(thread: number, node: FileNode, write: boolean): void {
    this.take(thread);
    node.promises++;
    const cancel = this.#clock.after(EXPIRE_MS, () => this.take(thread));
    this.#hints.set(thread, { node, write, cancel });
  }

  /** The promise ends. */
  take(thread: number): void {
    const hint = this.#hints.get(thread);
    if (hint === undefined) return;
    this.#hints.delete(thread);
    hint.cancel();
    hint.node.promises--;
    this.#released(hint);
  }
}
