/** How far the newest snapshot of a database is behind. */
import type { MonotonicTime } from '../../proto/ids.js';
import type { Clock } from '../../proto/ports.js';
import type { Publisher } from './publisher.js';

/** Milliseconds that the oldest commit has waited which is not published; 0: all are. */
export function publishLagMs({ lagging, lag }: Publisher): number {
  return lagging ? lag.waitedMs : 0;
}

export class PublishLag {
  readonly #clock: Clock;
  /** When the oldest commit was made that no publication has taken. */
  #since: MonotonicTime | undefined;
  /** The same of those that the publication under way has taken, or the last one that failed. */
  #takenSince: MonotonicTime | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Of what is not published; says nothing when all is. */
  get waitedMs(): number {
    const oldest = this.#takenSince ?? this.#since;
    return oldest === undefined ? 0 : this.#clock.monotonic() - oldest;
  }

  /** `isFirst`: everything before was published. */
  committed(isFirst: boolean): void {
    const now = this.#clock.monotonic();
    if (isFirst) this.#takenSince = undefined;
    this.#since = isFirst ? now : (this.#since ?? now);
  }

  /** A publication takes what there is. What was in the log at the start has waited since now. */
  taken(): void {
    this.#takenSince ??= this.#since ?? this.#clock.monotonic();
    this.#since = undefined;
  }

  /** It is published. */
  published(): void {
    this.#takenSince = undefined;
  }
}
