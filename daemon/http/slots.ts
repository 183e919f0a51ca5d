/** Bounds how many answers are under way; the others wait their turn, for a while. */
import { Admission, type AdmissionLimits } from '../../exec/server/admission.js';
import { OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';

function overloaded(): OpenduckError {
  return new OpenduckError('OVERLOADED', 'too much is being read at the moment', {
    hint: 'Try again in a moment.',
  });
}

export class Slots {
  readonly #clock: Clock;
  readonly #waitMs: number;
  readonly #admission: Admission;

  constructor(clock: Clock, limits: AdmissionLimits & { readonly waitMs: number }) {
    this.#clock = clock;
    this.#waitMs = limits.waitMs;
    this.#admission = new Admission(limits, overloaded);
  }

  get running(): number {
    return this.#admission.running;
  }

  get waiting(): number {
    return this.#admission.waiting;
  }

  /** Resolves to what gives the slot back. Throws OVERLOADED. */
  async take(): Promise<() => void> {
    const patience = new AbortController();
    const stop = this.#clock.after(this.#waitMs, () => patience.abort(overloaded()));
    try {
      return await this.#admission.enter(patience.signal);
    } finally {
      stop();
    }
  }
}
