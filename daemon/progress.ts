/** How far long work is: one line that replaces itself, on a terminal only. */
import type { Clock } from '../proto/ports.js';

export interface Progress {
  show(what: string, done: number, total: number): void;
  /** Takes the line away. */
  end(): void;
}

const REDRAW_MS = 100;
const CLEAR_LINE = '\r\u001b[K';

/** Writes to standard error, so that standard output has results alone. */
export function createProgress(clock: Clock): Progress {
  const { stderr } = process;
  if (stderr.isTTY !== true) return { show: () => {}, end: () => {} };
  let next = 0;
  return {
    show: (what, done, total) => {
      const now = clock.monotonic();
      if (now < next && done < total) return;
      next = now + REDRAW_MS;
      stderr.write(`${CLEAR_LINE}${what}: ${done} of ${total}`);
    },
    end: () => void stderr.write(CLEAR_LINE),
  };
}
