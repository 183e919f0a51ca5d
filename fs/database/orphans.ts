/** Files of one database that were unlinked while somebody had them open. */
import type { LiveFile } from './liveFile.js';

export class Orphans {
  readonly #files = new Set<LiveFile>();

  /** The file has just been unlinked. */
  add(file: LiveFile): void {
    for (const other of this.#files) if (other.handles === 0) this.#files.delete(other);
    if (file.handles > 0) this.#files.add(file);
  }

  /** Calls back once nobody has any of them open, at once when that is so already. */
  whenGone(done: () => void): void {
    const open = [...this.#files].filter((file) => file.handles > 0);
    let left = open.length;
    if (left === 0) done();
    for (const file of open) {
      file.onLetGo = () => {
        if (--left === 0) done();
      };
    }
  }
}
