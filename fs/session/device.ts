/**
 * The connection to the kernel: /dev/fuse, non-blocking. Requests are read until there are no more,
 * each handled before the next is read; then we wait for the next one.
 *
 * Waiting on a pool thread costs two changes of threads a request, several times what the request
 * itself takes. So while requests keep coming, this thread itself waits in poll(2), for the device
 * and for the events of the event loop at once, a few milliseconds at a time; timers may be as much
 * late. When it has been quiet for a while, a pool thread waits, and this one is free.
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
  writeDescriptorLater,
} from '../../layers/os/syscalls.js';
import { Errno, ROOT_NODE_ID } from '../../proto/fuse/constants.js';
import { notifyInvalEntry, notifyInvalInode } from '../../proto/fuse/replies.js';
import type { Logger } from '../../proto/ports.js';
import { BufferPool } from './bufferPool.js';

/** Largest WRITE (and READ) in bytes that we negotiate. */
export const MAX_TRANSFER_BYTES = 1 << 20;
/** The kernel wants room for the headers too. */
const REQUEST_BYTES = MAX_TRANSFER_BYTES + 4096;
const MAX_REQUEST_BUFFERS = 16;
/** Larger than what V8 keeps on its own heap, where the message would move. */
const NOTIFICATION_BYTES = 256;
const POLL_MS = 200;
/** The longest that this thread waits by itself; timers wait with it. */
const WAIT_HERE_MS = 4;
/** Waits in vain, in a row, until it is quiet. */
const MAX_VAIN_WAITS = 10;
/** Requests handled in a row before timers and finished disk reads get their turn. */
const MAX_IN_A_ROW = 64;

/** Handles one request; true: the buffer is kept, and given back with `giveBack`. */
export type RequestHandler = (request: Buffer, length: number) => boolean;

export class FuseDevice {
  readonly #fd: number;
  readonly #logger: Logger;
  readonly #poller: Poller;
  readonly #canWaitHere: boolean;
  #vainWaits = 0;
  readonly #buffers = new BufferPool(REQUEST_BYTES, MAX_REQUEST_BUFFERS);
  #handler: RequestHandler = () => false;
  #ended = false;
  #end: () => void = () => {};
  /** Resolves when the kernel has ended the session. */
  readonly ended: Promise<void>;

  /** `loop`: descriptor of the event loop, if it is known. */
  constructor(fd: number, loop: number | undefined, logger: Logger) {
    this.#fd = fd;
    this.#logger = logger;
    this.#poller = new Poller(fd, loop);
    this.#canWaitHere = loop !== undefined;
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
        this.#vainWaits = 0;
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
    if (this.#canWaitHere && this.#vainWaits < MAX_VAIN_WAITS) {
      // What the handlers left to microtasks and to the loop comes first: answers are among it.
      setImmediate(() => this.#waitHere());
    } else {
      this.#poller.wait(POLL_MS, () => {
        if (!this.#ended) setImmediate(() => this.#drain());
      });
    }
  }

  #waitHere(): void {
    if (this.#ended) return;
    switch (this.#poller.waitHere(WAIT_HERE_MS)) {
      case 'first':
        this.#drain();
        return;
      case 'second':
        // The loop's events come first, and what they begin to watch: that is two rounds of it.
        setImmediate(() => setImmediate(() => this.#drain()));
        return;
      case 'none':
        this.#vainWaits++;
        setImmediate(() => this.#wait());
    }
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

  /** Makes the kernel drop what it has cached of a node's content; resolves when it has. */
  async forgetPages(nodeId: number): Promise<void> {
    if (this.#ended) return;
    // On another thread: the kernel waits for reads of these pages, which we have to answer.
    const message = Buffer.allocUnsafeSlow(NOTIFICATION_BYTES);
    const length = notifyInvalInode(message, nodeId, 0, 0);
    await writeDescriptorLater(this.#fd, message, length);
  }

  /** Makes the kernel drop a name in the mounted directory; resolves when it has. */
  async forgetName(name: string): Promise<void> {
    if (this.#ended) return;
    // On another thread: the kernel waits for lookups in the directory, which we have to answer.
    const bytes = Buffer.from(name);
    const message = Buffer.allocUnsafeSlow(NOTIFICATION_BYTES + bytes.length);
    const length = notifyInvalEntry(message, ROOT_NODE_ID, bytes, 0);
    await writeDescriptorLater(this.#fd, message, length);
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
