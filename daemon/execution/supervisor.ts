/** Keeps a child process running: started again when it ends, sooner or later as it lives long. */
import { describeError } from '../../proto/errors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import type { LogLevel } from '../settings.js';
import type { RunningChild } from './childProgram.js';

export interface SupervisorOptions<R, F> {
  /** For logs. */
  readonly what: string;
  /** `previous`: what the last one said when it was ready. */
  start(previous: R | undefined): Promise<RunningChild<R, F>>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** Who lives so long has not failed at the start. */
const HEALTHY_MS = 30_000;

export class Supervisor<R, F = unknown> {
  readonly #options: SupervisorOptions<R, F>;
  #child: RunningChild<R, F> | undefined;
  #last: R | undefined;
  #restarts = 0;
  #isStopped = true;
  #logLevel: LogLevel | undefined;
  #watching: Promise<void> = Promise.resolve();
  #stopWaiting: () => void = () => {};

  constructor(options: SupervisorOptions<R, F>) {
    this.#options = options;
  }

  /** Of the running one; undefined between two. */
  get child(): RunningChild<R, F> | undefined {
    return this.#child;
  }

  /** How often it was started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Throws what made the first start fail. */
  async start(): Promise<R> {
    this.#isStopped = false;
    const child = await this.#startChild();
    this.#watching = this.#watch(child);
    return child.ready;
  }

  /** Of the running one and of those that follow. */
  setLogLevel(level: LogLevel): void {
    this.#logLevel = level;
    this.#child?.setLogLevel(level);
  }

  async #startChild(): Promise<RunningChild<R, F>> {
    const child = await this.#options.start(this.#last);
    if (this.#logLevel !== undefined) child.setLogLevel(this.#logLevel);
    this.#child = child;
    this.#last = child.ready;
    return child;
  }

  async #watch(first: RunningChild<R, F>): Promise<void> {
    const { what, clock, logger } = this.#options;
    let pause = FIRST_PAUSE_MS;
    for (let child: RunningChild<R, F> | undefined = first; !this.#isStopped; ) {
      const since = clock.monotonic();
      const how = child === undefined ? 'it did not start' : await child.ended;
      this.#child = undefined;
      if (this.#isStopped) return;
      if (clock.monotonic() - since >= HEALTHY_MS) pause = FIRST_PAUSE_MS;
      logger.error({ how, pauseMs: pause }, `${what} ended; it is started again`);
      await this.#pause(pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      if (this.#isStopped) return;
      this.#restarts++;
      child = await this.#startChild().catch((error: unknown) => {
        logger.error({ error: describeError(error) }, `${what} could not be started`);
        return undefined;
      });
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, resolve);
      this.#stopWaiting = () => {
        cancel();
        resolve();
      };
    });
  }

  /** It may be started anew afterwards. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stopWaiting();
    await this.#child?.stop();
    await this.#watching;
    // One that was being started meanwhile.
    const late: RunningChild<R, F> | undefined = this.#child;
    this.#child = undefined;
    await late?.stop();
  }
}
