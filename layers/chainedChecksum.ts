/**
 * One checksum of a file that is longer than memory: XXH64 of each MiB, with the checksum of the
 * MiB before it as its seed (0 for the first). Of an empty file: 0.
 */
import { checksum64 } from './checksum.js';

export const CHAIN_BYTES = 1 << 20;

export class ChainedChecksum {
  #value = 0n;

  /** The next bytes: a whole number of MiB, but for the last ones. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += CHAIN_BYTES) {
      this.#value = checksum64(bytes.subarray(at, at + CHAIN_BYTES), this.#value);
    }
  }

  /** 16 hexadecimal digits. */
  get text(): string {
    return this.#value.toString(16).padStart(16, '0');
  }
}
