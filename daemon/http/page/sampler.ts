/** One look at the daemon: what `status` tells, at which time; who asks at once gets the same. */
import type { Engine } from '../../../fs/engine.js';
import type { Clock } from '../../../proto/ports.js';
import type { Sample } from '../../stats/rates.js';

/** A look is as old, at the most. */
const FRESH_MS = 500;

export interface SamplerPorts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly mountpoint: string;
}

export class Sampler {
  readonly #ports: SamplerPorts;
  #last: { readonly at: number; readonly sample: Promise<Sample> } | undefined;

  constructor(ports: SamplerPorts) {
    this.#ports = ports;
  }

  /** Throws IO. */
  take(): Promise<Sample> {
    const at = this.#ports.clock.monotonic();
    if (this.#last === undefined || at - this.#last.at >= FRESH_MS) {
      this.#last = { at, sample: this.#look() };
    }
    return this.#last.sample;
  }

  /** Something was changed: the next look is a new one. */
  forget(): void {
    this.#last = undefined;
  }

  async #look(): Promise<Sample> {
    const { engine, clock, mountpoint } = this.#ports;
    const status = await engine.commands.status();
    const memoryBytes = process.memoryUsage.rss();
    const at = clock.monotonic();
    return { at, status: { ...status, memoryBytes, pid: process.pid, mountpoint } };
  }
}
