/** How far a transfer is: a bar with bytes and speed, on a terminal only. */
import type { Clock } from '../proto/ports.js';
import { formatSize } from './quantities.js';

export interface ByteProgress {
  show(position: number, total: number): void;
  /** Work of which nobody knows how far it is. */
  note(what: string): void;
  /** Takes the line away. */
  end(): void;
}

const REDRAW_MS = 100;
const CLEAR_LINE = '\r\u001b[K';
const BAR_CELLS = 24;

export function barOf(position: number, total: number): string {
  const share = total === 0 ? 1 : Math.min(1, position / total);
  const full = Math.floor(share * BAR_CELLS);
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `[${'#'.repeat(full)}${'.'.repeat(BAR_CELLS - full)}] ${percent} %`;
}

/** Writes to standard error, so that standard output has results alone. */
export function createByteProgress(clock: Clock, what: string): ByteProgress {
  const { stderr } = process;
  if (stderr.isTTY !== true) return { show: () => {}, note: () => {}, end: () => {} };
  let next = 0;
  let began: { readonly at: number; readonly position: number } | undefined;
  return {
    show: (position, total) => {
      const now = clock.monotonic();
      began ??= { at: now, position };
      if (now < next && position < total) return;
      next = now + REDRAW_MS;
      const seconds = Math.max(0.001, (now - began.at) / 1000);
      const speed = `${formatSize(Math.round((position - began.position) / seconds))}/s`;
      const bytes = `${formatSize(position)} of ${formatSize(total)}`;
      stderr.write(`${CLEAR_LINE}${what} ${barOf(position, total)}  ${bytes}  ${speed}`);
    },
    note: (text) => void stderr.write(`${CLEAR_LINE}${what}: ${text} …`),
    end: () => void stderr.write(CLEAR_LINE),
  };
}
