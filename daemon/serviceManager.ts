/**
 * What a service manager (systemd, or whoever sets NOTIFY_SOCKET) is told of a daemon in the
 * foreground: that it is ready, what it does, that it ends, and at intervals that it is alive. The
 * protocol is that of sd_notify(3) and sd_watchdog_enabled(3).
 *
 * Alive means that this event loop turns and that the mount answers somebody else: a daemon that is
 * not told so in time is killed and started again, which costs its readers their open files.
 */
import { notify, notifyAddress } from '../layers/os/notifySocket.js';
import type { Clock, Logger } from '../proto/ports.js';
import { type MountAnswer, probeMount } from './mountAnswer.js';

export interface ServiceManager {
  /** The mount can be used: from now on it is watched, too. */
  ready(mountpoint: string): void;
  stopping(reason: string): void;
  /** No word any more. */
  close(): void;
}

export interface ServiceManagerOptions {
  /** NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are read. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether the mount answers; at most `limitMs`. */
  probe?(mountpoint: string, limitMs: number): Promise<MountAnswer>;
}

/** Whom nobody listens to. */
export const NOBODY: ServiceManager = { ready() {}, stopping() {}, close() {} };

/** From one sign of life to the next, in ms: half of what is allowed. undefined: nobody waits. */
function watchdogInterval({ environment, pid }: ServiceManagerOptions): number | undefined {
  const microseconds = Number(environment['WATCHDOG_USEC'] ?? '');
  if (!Number.isSafeInteger(microseconds) || microseconds <= 0) return undefined;
  const of = environment['WATCHDOG_PID'];
  if (of !== undefined && of !== '' && Number(of) !== pid) return undefined;
  return microseconds / 1000 / 2;
}

class Notifier implements ServiceManager {
  readonly #options: ServiceManagerOptions;
  readonly #address: Buffer;
  readonly #probe: NonNullable<ServiceManagerOptions['probe']>;
  #mountpoint: string | undefined;
  #isClosed = false;
  #isSilent = false;
  #cancel: () => void = () => {};

  constructor(options: ServiceManagerOptions, address: Buffer) {
    this.#options = options;
    this.#address = address;
    this.#probe = options.probe ?? probeMount;
  }

  ready(mountpoint: string): void {
    this.#mountpoint = mountpoint;
    this.#say('READY=1', `STATUS=Mounted at ${mountpoint}`);
    const interval = watchdogInterval(this.#options);
    if (interval !== undefined) void this.#watch(interval);
  }

  stopping(reason: string): void {
    this.#mountpoint = undefined; // it goes away: no more asking
    this.#say('STOPPING=1', `STATUS=Unmounting and publishing what is left (${reason})`);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  #say(...lines: readonly string[]): void {
    if (this.#isClosed) return;
    const errno = notify(this.#address, lines);
    if (errno === 0) this.#isSilent = false;
    else if (!this.#isSilent) {
      this.#isSilent = true;
      this.#options.logger.warn({ errno }, 'the service manager cannot be told how the daemon is');
    }
  }

  /** The first sign comes at once: the time allowed began when the process did. */
  async #watch(interval: number): Promise<void> {
    while (!this.#isClosed) {
      if (await this.#isAlive(interval)) this.#say('WATCHDOG=1');
      await new Promise<void>((resolve) => {
        this.#cancel = this.#options.clock.after(interval, resolve);
      });
    }
  }

  async #isAlive(limitMs: number): Promise<boolean> {
    const mountpoint = this.#mountpoint;
    if (mountpoint === undefined) return true;
    const answer = await this.#probe(mountpoint, limitMs);
    // Meanwhile the end may have begun, and the mount is gone for that reason.
    if (this.#mountpoint === undefined || answer.kind === 'answered') return true;
    const { kind, reason } = answer;
    const fields = { mountpoint, error: reason };
    if (kind === 'unknown') {
      this.#options.logger.debug(fields, 'whether the mount answers could not be tried');
      return true;
    }
    this.#options.logger.error(fields, 'the mount does not answer: no sign of life is given');
    return false;
  }
}

/** Does nothing when no manager waits for words. */
export function createServiceManager(options: ServiceManagerOptions): ServiceManager {
  const name = options.environment['NOTIFY_SOCKET'];
  if (name === undefined || name === '') return NOBODY;
  const address = notifyAddress(name);
  if (address !== undefined) return new Notifier(options, address);
  options.logger.warn({ socket: name }, 'NOTIFY_SOCKET does not name a Unix socket');
  return NOBODY;
}
