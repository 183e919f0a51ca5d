/**
 * ExecuteFragment: from the call to the handler and back. Whatever ends a call (its client, its
 * deadline, a client that does not read, the end of the server) aborts the fragment's signal.
 */
import { describeError, errorCode, OpenduckError } from '../../proto/errors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import { encodeError, encodeFinished } from '../protocol/chunks.js';
import type { Authorize } from '../security/access.js';
import { ChunkSink, type FragmentCall } from './chunkSink.js';
import type { ServerLimits } from './limits.js';
import { accessOf, readable, readFragment, tokenOf } from './requests.js';
import type { Access, ExecutionHandlers, Fragment } from './service.js';
import { logFailure, statusOf } from './statuses.js';

export interface FragmentServerOptions {
  readonly handlers: Pick<ExecutionHandlers, 'execute'>;
  readonly authorize: Authorize;
  readonly limits: ServerLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Tells that a call had a valid token. */
  trust(call: FragmentCall): void;
  /** Resets a call that its client will not let end. */
  cut(call: FragmentCall): void;
}

/** setTimeout takes no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const ABORT_GRACE_MS = 5000;

interface Running {
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

function shuttingDown(): OpenduckError {
  return new OpenduckError('UNAVAILABLE', 'the server is shutting down');
}

export class FragmentServer {
  readonly #options: FragmentServerOptions;
  readonly #running = new Set<Running>();
  #draining = false;

  constructor(options: FragmentServerOptions) {
    this.#options = options;
  }

  /** Takes no more; those that run may end within `ms`, then they are aborted. */
  async drain(ms: number): Promise<void> {
    this.#draining = true;
    const { clock } = this.#options;
    const cancel = clock.after(ms, () => {
      for (const { abort } of this.#running) abort.abort(shuttingDown());
    });
    const all = Promise.all([...this.#running].map(({ ended }) => ended));
    // A handler that does not end when it is aborted must not keep the process.
    await Promise.race([all, clock.sleep(ms + ABORT_GRACE_MS)]);
    cancel();
  }

  async serve(call: FragmentCall): Promise<void> {
    const { authorize, logger } = this.#options;
    let access: Access;
    let fragment: Omit<Fragment, 'signal' | 'remainingMs'>;
    try {
      access = accessOf(call.metadata, tokenOf(call.request), authorize);
      this.#options.trust(call);
      if (this.#draining) throw shuttingDown();
      fragment = readFragment(readable(call.request), call.metadata, access);
    } catch (error) {
      logFailure(logger, { peer: call.getPeer() }, error, 'an execution');
      call.emit('error', statusOf(error, false));
      return;
    }
    await this.#run(call, fragment);
  }

  async #run(
    call: FragmentCall,
    fragment: Omit<Fragment, 'signal' | 'remainingMs'>,
  ): Promise<void> {
    const { clock } = this.#options;
    const abort = new AbortController();
    let settle = (): void => {};
    const running = { abort, ended: new Promise<void>((resolve) => (settle = resolve)) };
    this.#running.add(running);
    const remainingMs = remainingOf(call, clock);
    const cancelDeadline =
      remainingMs === undefined
        ? () => {}
        : clock.after(remainingMs, () =>
            abort.abort(new OpenduckError('CANCELLED', 'the deadline has passed')),
          );
    call.once('cancelled', () =>
      abort.abort(new OpenduckError('CANCELLED', 'the client has gone away')),
    );
    try {
      await this.#execute(call, { ...fragment, signal: abort.signal, remainingMs }, abort);
    } finally {
      cancelDeadline();
      this.#running.delete(running);
      settle();
    }
  }

  async #execute(call: FragmentCall, fragment: Fragment, abort: AbortController): Promise<void> {
    const { handlers, limits, clock, logger } = this.#options;
    const { database, executionId, access, signal } = fragment;
    const fields = { database, executionId, token: access.name };
    const begun = clock.monotonic();
    const sink = new ChunkSink({
      call,
      limits,
      clock,
      signal,
      onStall: () => {
        logger.warn(fields, 'a client does not read its answer: it is cut off');
        abort.abort(new OpenduckError('CANCELLED', 'the client does not read'));
        this.#options.cut(call);
      },
    });
    try {
      await handlers.execute(fragment, sink);
      sink.end(encodeFinished());
    } catch (error) {
      this.#fail(call, sink, error, fields);
      return;
    }
    const ms = Math.round(clock.monotonic() - begun);
    logger.debug({ ...fields, bytes: sink.sent, ms }, 'an execution has ended');
  }

  #fail(
    call: FragmentCall,
    sink: ChunkSink,
    error: unknown,
    fields: Readonly<Record<string, string>>,
  ): void {
    const { limits, clock, logger } = this.#options;
    logFailure(logger, fields, error, 'an execution');
    if (call.cancelled) return;
    if (errorCode(error) === 'QUERY' && error instanceof Error) {
      try {
        sink.end(encodeError(error.message));
        return;
      } catch (late) {
        logger.debug({ ...fields, error: describeError(late) }, 'nobody waits for its error');
      }
    }
    call.emit('error', statusOf(error, true));
    // The status waits behind chunks; a client that does not take those never gets it.
    const cancel = clock.after(limits.stallMs, () => this.#options.cut(call));
    call.once('close', cancel);
  }
}

function remainingOf(call: FragmentCall, clock: Clock): number | undefined {
  const deadline = Number(call.getDeadline());
  const remaining = Math.max(0, deadline - clock.now());
  return remaining <= LONGEST_TIMER_MS ? remaining : undefined;
}
