/**
 * How a request is made: bounded in number, limited in time, repeated after a growing, random pause
 * while the failure may pass, and given up at a deadline.
 *
 * The SDK could repeat by itself, but it sleeps and draws by the machine's clock and chance, counts
 * attempts instead of time, and does not tell one reader what another has just waited for. So it
 * makes one attempt (maxAttempts 1), and all the rest is here.
 */
import { OpenduckError } from '../../proto/errors.js';
import type { MonotonicTime } from '../../proto/ids.js';
import type { Clock, Random } from '../../proto/ports.js';
import { Awake } from './awake.js';
import { Circuit } from './circuit.js';
import { S3Failure, s3Error, s3Failure } from './failure.js';
import { Gate } from './gate.js';
import { type S3Limits, transferMs } from './limits.js';

export interface CallPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: S3Limits;
}

/** One request to be made. */
export interface Call<T> {
  /** For errors: `reading x of s3://bucket`. */
  readonly what: string;
  /** Bytes that it moves, or that the server has to move for it. */
  readonly bytes?: number;
  /** Instead of that of the limits. */
  readonly deadlineMs?: number;
  /** Must touch nothing once the signal is aborted: nobody waits for it any more. */
  attempt(signal: AbortSignal): Promise<T>;
}

/** A call under way. */
interface Course {
  readonly what: string;
  readonly began: MonotonicTime;
  readonly deadline: number;
  readonly attemptMs: number;
  /** Of the last attempt. */
  failure: S3Failure | undefined;
}

export class S3Calls {
  readonly #ports: CallPorts;
  readonly #connections: Gate;
  readonly #circuit: Circuit;
  readonly #awake = new Awake();

  constructor(ports: CallPorts) {
    this.#ports = ports;
    this.#connections = new Gate(ports.limits.connections);
    this.#circuit = new Circuit(ports.clock, ports.limits.failFastMs);
  }

  /**
   * Throws UNAVAILABLE when it was given up; what s3Error makes of a failure that does not pass;
   * an OpenduckError of the attempt as it is. The cause is an S3Failure.
   */
  run<T>(call: Call<T>): Promise<T> {
    return this.#awake.during(() => this.#run(call));
  }

  async #run<T>(call: Call<T>): Promise<T> {
    const { clock, limits } = this.#ports;
    const extra = transferMs(limits, call.bytes ?? 0);
    const began = clock.monotonic();
    const course: Course = {
      what: call.what,
      began,
      deadline: began + (call.deadlineMs ?? limits.deadlineMs) + extra,
      attemptMs: limits.attemptMs + extra,
      failure: undefined,
    };
    for (let pause = limits.firstPauseMs; ; pause = Math.min(pause * 2, limits.longestPauseMs)) {
      const done = await this.#connected(course, () => this.#try(call, course));
      if (done !== undefined) return done.result;
      const wait = pause * (0.5 + this.#chance() / 2);
      if (clock.monotonic() + wait >= course.deadline) throw this.#givenUp(course);
      await clock.sleep(wait);
    }
  }

  /** In [0, 1). */
  #chance(): number {
    return this.#ports.random.bytes(4).readUInt32LE(0) / 2 ** 32;
  }

  /** Waits for a connection, but not beyond the deadline: then it does not blame the store. */
  async #connected<T>(course: Course, work: () => Promise<T>): Promise<T> {
    const { clock, limits } = this.#ports;
    const abort = new AbortController();
    const cancel = clock.after(Math.max(0, course.deadline - clock.monotonic()), () => {
      const message = `${course.what}: all ${limits.connections} connections were in use`;
      abort.abort(new OpenduckError('UNAVAILABLE', message, { cause: course.failure }));
    });
    try {
      return await this.#connections.hold(
        1,
        () => {
          cancel();
          return work();
        },
        abort.signal,
      );
    } finally {
      cancel();
    }
  }

  /** One attempt; undefined: it failed in a way that may pass. */
  async #try<T>(call: Call<T>, course: Course): Promise<{ readonly result: T } | undefined> {
    const entry = this.#circuit.enter();
    if (entry === 'refused') throw this.#refused(course);
    try {
      const result = await this.#timed(call, course);
      this.#circuit.answered();
      return { result };
    } catch (error) {
      if (error instanceof OpenduckError) {
        this.#circuit.answered();
        throw error;
      }
      course.failure = s3Failure(error);
      if (!course.failure.isPassing) {
        if (course.failure.status !== undefined) this.#circuit.answered();
        throw s3Error(course.failure, course.what);
      }
      if (entry === 'probe') throw this.#givenUp(course);
      return undefined;
    } finally {
      if (entry === 'probe') this.#circuit.left();
    }
  }

  async #timed<T>(call: Call<T>, course: Course): Promise<T> {
    const { clock } = this.#ports;
    const ms = Math.min(course.attemptMs, Math.max(1, course.deadline - clock.monotonic()));
    const abort = new AbortController();
    const late = new S3Failure('TimeoutError', undefined, true, `no answer within ${ms | 0} ms`);
    // The deadline cut it short: what an earlier attempt said is the better reason.
    const reason = ms < course.attemptMs ? (course.failure ?? late) : late;
    const cancel = clock.after(ms, () => abort.abort(reason));
    try {
      return await untilAborted(call.attempt(abort.signal), abort.signal);
    } finally {
      cancel();
    }
  }

  #givenUp(course: Course): OpenduckError {
    const failure = course.failure!;
    this.#circuit.gaveUp(course.began, failure);
    const seconds = ((this.#ports.clock.monotonic() - course.began) / 1000).toFixed(1);
    return new OpenduckError('UNAVAILABLE', `${course.what}: given up after ${seconds} s`, {
      cause: failure,
    });
  }

  #refused(course: Course): OpenduckError {
    return new OpenduckError('UNAVAILABLE', `${course.what}: the store does not answer just now`, {
      cause: course.failure ?? this.#circuit.reason,
    });
  }
}

/** The SDK does not watch the signal while it gets credentials: do not wait for it. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, (error: unknown) => reject(signal.aborted ? signal.reason : error));
  });
}
