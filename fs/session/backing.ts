/**
 * FUSE passthrough: the kernel reads and writes a file of ours by itself when we name the file
 * behind it (FUSE_DEV_IOC_BACKING_OPEN, <linux/fuse.h>, protocol 7.40). It wants CAP_SYS_ADMIN, and
 * a file system below that is not stacked itself. Without it, everything goes through the daemon.
 */
import { backingClose, backingOpen, SystemCallError } from '../../layers/os/syscalls.js';
import type { Logger } from '../../proto/ports.js';

/** Names files to the kernel. */
export interface Backing {
  /** The kernel's number for an open file; undefined: no passthrough for it. */
  open(fd: number | undefined): number | undefined;
  close(id: number): void;
}

export class DeviceBacking implements Backing {
  readonly #device: number;
  readonly #logger: Logger;
  #enabled = false;

  constructor(device: number, logger: Logger) {
    this.#device = device;
    this.#logger = logger;
  }

  /** The kernel has agreed to it at INIT. */
  enable(): void {
    this.#enabled = true;
  }

  open(fd: number | undefined): number | undefined {
    if (!this.#enabled || fd === undefined) return undefined;
    try {
      return backingOpen(this.#device, fd);
    } catch (error) {
      this.#enabled = false; // it would fail for the next one too
      const errno = error instanceof SystemCallError ? error.errno : 0;
      this.#logger.info({ errno }, 'no passthrough here: spill files go through the daemon');
      return undefined;
    }
  }

  close(id: number): void {
    backingClose(this.#device, id);
  }
}

export const noBacking: Backing = { open: () => undefined, close: () => {} };
