/**
 * The connection to the kernel: /dev/fuse, non-blocking. A poll waits on a pool thread; then
 * requests are read until there are no more, each handled before the next is read.
 *
 * A handler that still needs the request's bytes after it returned (a large write) keeps the
 * buffer; when all buffers are kept, reading stops, which slows the callers down instead of
 * growing.
 */
import {
  closeDescriptor,
  Poller,
  readDescriptor,
  writeDescriptor,
} from '../../layers/os/syscalls.js';
import { Errno } from '../../proto/fuse/constants.js';
import type { Logger } from '../../proto/ports.js';
import { BufferPool } from './bufferPool.js';

/** Largest WRITE (and READ) in bytes that we negotiate. */
export const MAX_TRANSFER_BYTES = 1 << 20;
/** The kernel wants room for the headers too. */
const REQUEST_BYTES = MAX_TRANSFER_BYTES + 4096;
const MAX_REQUEST_BUFFERS = 16;
const POLL_MS = 200;
/** Requests handled in a row before timers and finished disk reads get their turn. */
const MAX_IN_A_ROW = 64;

/** Handles one request; true: the buffer is kept, and given back with `giveBack`. */
export type RequestHandler = (request: Buffer, length: number) => boolean;

export class FuseDevice {
  readonly #fd: number;
  readonly #logger: Logger;
  readonly #poller: Poller;
  readonly #buffers = new BufferPool(REQUEST_BYTES, MAX_REQUEST_BUFFERS);
  #handler: RequestHandler = () => false;
  #ended = false;
  #end: () => void = () => {};
  /** Resolves when the kernel has ended the session. */
  readonly ended: Promise<void>;

  constructor(fd: number, logger: Logger) {
    this.#fd = fd;
    this.#logger = logger;
    this.#poller = new Poller(fd);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  start(handler: RequestHandler): void {
    this.#handler = handler;
    this.#drain();
  }

  #drain(): void {
    for (let handled = 0; handled < MAX_IN_A_ROW; handled++) {
      const buffer = this.#buffers.tryTake();
      if (buffer === undefined) {
        this.#buffers.take().then((free) => {
          this.#buffers.give(free);
          setImmediate(() => this.#drain());
        });
        return;
      }
      const length = readDescriptor(this.#fd, buffer);
      if (length >= 0) {
        if (!this.#handler(buffer, length)) this.#buffers.give(buffer);
        continue;
      }
      this.#buffers.give(buffer);
      if (length === -Errno.EAGAIN) {
        this.#wait();
        return;
      }
      // ENOENT: the request was interrupted before we read it.
      if (length === -Errno.EINTR || length === -Errno.ENOENT) continue;
      this.#stop(-length);
      return;
    }
    setImmediate(() => this.#drain());
  }

  #wait(): void {
    this.#poller.wait(POLL_MS, () => {
      if (!this.#ended) setImmediate(() => this.#drain());
    });
  }

  #stop(errno: number): void {
    if (errno !== Errno.ENODEV) {
      this.#logger.error({ errno }, 'reading requests from the kernel failed; the mount has ended');
    }
    this.#ended = true;
    closeDescriptor(this.#fd);
    this.#end();
  }

  giveBack(request: Buffer): void {
    this.#buffers.give(request);
  }

  /** Sends a whole message. */
  send(message: Buffer, length: number): void {
    if (this.#ended) return;
    const sent = writeDescriptor(this.#fd, message, length);
    // ENOENT: the caller was killed meanwhile and waits for no answer; ENODEV: unmounted.
    if (sent >= 0 || sent === -Errno.ENOENT || sent === -Errno.ENODEV) return;
    this.#logger.error({ errno: -sent, length }, 'the kernel refused an answer');
  }
}
