/** Collects what `/metrics` tells; several that ask at once get one collection. */
import type { Engine } from '../../fs/engine.js';
import type { Clock } from '../../proto/ports.js';
import type { WorkerState } from '../execution/mountedWorker.js';
import { VERSION } from '../version.js';
import { databaseDetails } from './databaseDetails.js';
import type { HttpState } from './httpStats.js';
import { metricsText } from './metrics.js';

/** An answer is as old, at the most. */
const FRESH_MS = 500;

export interface MetricsPorts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly worker: () => WorkerState | undefined;
  readonly http: () => HttpState;
}

export class MetricsSource {
  readonly #ports: MetricsPorts;
  readonly #startedAt: number;
  #last: { readonly at: number; readonly text: Promise<string> } | undefined;

  constructor(ports: MetricsPorts) {
    this.#ports = ports;
    this.#startedAt = ports.clock.monotonic();
  }

  /** Throws IO. */
  text(): Promise<string> {
    const at = this.#ports.clock.monotonic();
    if (this.#last === undefined || at - this.#last.at >= FRESH_MS) {
      this.#last = { at, text: this.#collect() };
    }
    return this.#last.text;
  }

  async #collect(): Promise<string> {
    const { engine, clock, worker, http } = this.#ports;
    const status = await engine.commands.status();
    const { user, system } = process.cpuUsage();
    return metricsText({
      version: VERSION,
      uptimeSeconds: (clock.monotonic() - this.#startedAt) / 1000,
      cpuSeconds: (user + system) / 1e6,
      memoryBytes: process.memoryUsage.rss(),
      status,
      operations: engine.usage.operations(),
      detailsOf: ({ name }) => databaseDetails(engine, name),
      worker: worker(),
      http: http(),
    });
  }
}
