/** The wish that the daemon ends: it comes from signals, the control service, or the kernel. */
import { OpenduckError } from '../proto/errors.js';
import type { Clock, Logger } from '../proto/ports.js';

export interface StopRequest {
  /** Resolves to the reason of the first request. */
  readonly requested: Promise<string>;
  request(reason: string): void;
  /** For a start that takes long. Throws UNAVAILABLE when the end was requested already. */
  check(): void;
}

/** A clean shutdown publishes what is unpublished; longer than this means that something hangs. */
export const SHUTDOWN_LIMIT_MS = 60_000;

export function createStopRequest(logger: Logger): StopRequest {
  let resolve: (reason: string) => void = () => {};
  const requested = new Promise<string>((settle) => {
    resolve = settle;
  });
  let firstReason: string | undefined;
  return {
    requested,
    request: (reason) => {
      if (firstReason === undefined) logger.info({ reason }, 'the daemon stops');
      firstReason ??= reason;
      resolve(reason);
    },
    check: () => {
      if (firstReason === undefined) return;
      throw new OpenduckError('UNAVAILABLE', `stopped while starting: ${firstReason}`);
    },
  };
}

/** The first signal asks; the second one calls `giveUp`. */
export function stopOnSignals(stop: StopRequest, giveUp: (reason: string) => void): void {
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    signals++;
    if (signals > 1) giveUp(`a second ${signal}`);
    else stop.request(signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', onSignal); // the terminal of a foreground daemon was closed
}

/** Calls `giveUp` when the process still runs 60 s after the first request. */
export function limitShutdown(
  stop: StopRequest,
  clock: Clock,
  giveUp: (reason: string) => void,
): void {
  void stop.requested.then(() => {
    clock.after(SHUTDOWN_LIMIT_MS, () => giveUp(`no end after ${SHUTDOWN_LIMIT_MS / 1000} s`));
  });
}
