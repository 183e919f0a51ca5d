/**
 * What a bulk load has appended is sent to the disk while it goes on, so that the sync at its end
 * finds little left to do. Nothing relies on it: durable is what was synced.
 */
import type { Segment } from './segment.js';

/** Sent at a time: enough for a disk to be busy with, little enough to begin soon. */
const STEP_BYTES = 8 << 20;
/** Pages are sent once; the last ones are still being filled. */
const ALIGNMENT_BYTES = 1 << 20;

export class WriteBehind {
  #segment: Segment | undefined;
  /** Everything before is on its way. */
  #sent = 0;

  /** The segment has grown. */
  follow(segment: Segment): void {
    if (segment !== this.#segment) {
      this.#segment = segment;
      this.#sent = 0;
    }
    const end = segment.end - (segment.end % ALIGNMENT_BYTES);
    if (end - this.#sent < STEP_BYTES) return;
    if (segment.file.beginWriteback(this.#sent, end - this.#sent)) this.#sent = end;
  }
}
