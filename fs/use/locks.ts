/**
 * POSIX locks on one live file (design §4.3). DuckDB locks whole files, so ranges are ignored. A
 * write lock that is taken makes the next writer wait its turn; a lock is given up when its owner
 * closes or unlocks the very handle, not when any other descriptor of the file is closed (which is
 * what POSIX says, and lets a second writer in).
 */
import { Errno, LockType } from '../../proto/fuse/constants.js';
import type { Clock } from '../../proto/ports.js';

export interface LockRequest {
  readonly owner: bigint;
  /** Process id, as the kernel gives it with the lock. */
  readonly process: number;
  readonly handle: number;
  readonly type: number;
  /** Identifies the request, for INTERRUPT. */
  readonly unique: string;
}

interface Waiter {
  readonly request: LockRequest;
  readonly settle: (errno: number) => void;
}

/** A process that has a file open twice holds a lock through each, and gives each up alone. */
const isSame = (a: LockRequest, b: LockRequest): boolean =>
  a.owner === b.owner && a.handle === b.handle;

export class FileLocks {
  readonly #clock: Clock;
  #held: LockRequest[] = [];
  #waiting: Waiter[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The process with the write lock. */
  get writer(): number | undefined {
    return this.#held.find((lock) => lock.type === LockType.WRLCK)?.process;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** The lock that stands in the way of a request. */
  conflict(request: Pick<LockRequest, 'owner' | 'type'>): LockRequest | undefined {
    return this.#held.find(
      (lock) =>
        lock.owner !== request.owner &&
        (lock.type === LockType.WRLCK || request.type === LockType.WRLCK),
    );
  }

  /**
   * Takes or gives up a lock. 0, or an errno; a promise when a writer waits its turn, at most
   * `waitMs` (Infinity for F_SETLKW). `sameProcess`: the process's own locks do not conflict.
   */
  set(request: LockRequest, waitMs: number, sameProcess: boolean): number | Promise<number> {
    if (request.type === LockType.UNLCK) {
      this.#held = this.#held.filter((lock) => !isSame(lock, request));
      this.#grantNext();
      return 0;
    }
    const conflict = this.conflict(request);
    if (conflict === undefined || (sameProcess && conflict.process === request.process)) {
      this.#grant(request);
      return 0;
    }
    if (request.type !== LockType.WRLCK || waitMs <= 0) return Errno.EAGAIN;
    return this.#wait(request, waitMs);
  }

  #grant(request: LockRequest): void {
    this.#held = this.#held.filter((lock) => !isSame(lock, request));
    this.#held.push(request);
  }

  #wait(request: LockRequest, waitMs: number): Promise<number> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        request,
        settle: (errno) => {
          cancel();
          this.#waiting = this.#waiting.filter((other) => other !== waiter);
          resolve(errno);
        },
      };
      const timeOut = (): void => waiter.settle(Errno.EAGAIN);
      const cancel = waitMs === Infinity ? () => {} : this.#clock.after(waitMs, timeOut);
      this.#waiting.push(waiter);
    });
  }

  #grantNext(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.conflict(next.request) !== undefined) return;
      this.#grant(next.request);
      next.settle(0);
    }
  }

  /** The handle is released: its locks go, and it waits for none any more. */
  releaseHandle(handle: number, owner?: bigint): void {
    const goes = (lock: LockRequest): boolean =>
      lock.handle === handle && (owner === undefined || lock.owner === owner);
    for (const waiter of this.#waiting) if (goes(waiter.request)) waiter.settle(Errno.EINTR);
    const before = this.#held.length;
    this.#held = this.#held.filter((lock) => !goes(lock));
    if (this.#held.length < before) this.#grantNext();
  }

  /** The file is gone: nobody needs to wait for it. */
  giveUpWaiting(): void {
    for (const waiter of this.#waiting) waiter.settle(Errno.ESTALE);
  }

  /** A signal came while the request waited. True when it was waiting here. */
  interrupt(unique: string): boolean {
    const waiter = this.#waiting.find((w) => w.request.unique === unique);
    waiter?.settle(Errno.EINTR);
    return waiter !== undefined;
  }
}
