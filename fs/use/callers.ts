/**
 * Who calls: FUSE gives a thread id, we need the process. 0 is a caller outside our pid namespace,
 * about which nothing can be known.
 */
import { readProcFile } from '../../layers/os/syscalls.js';
import type { Clock } from '../../proto/ports.js';

/** Thread ids are reused much more slowly than this. */
const REMEMBER_MS = 50;
const MAX_REMEMBERED = 4096;

export class Callers {
  readonly #clock: Clock;
  readonly #known = new Map<number, { process: number; at: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Process of a thread; 0 when it is unknown or has ended. */
  processOf(thread: number): number {
    if (thread === 0) return 0;
    const now = this.#clock.monotonic();
    const known = this.#known.get(thread);
    if (known !== undefined && now - known.at < REMEMBER_MS) return known.process;
    const match = /\nTgid:\s*(\d+)/.exec(readProcFile(`/proc/${thread}/status`) ?? '');
    const process = match ? Number(match[1]) : 0;
    if (this.#known.size >= MAX_REMEMBERED) this.#known.clear();
    this.#known.set(thread, { process, at: now });
    return process;
  }

  /** What tells a process from a later one of the same number; undefined when there is none. */
  startOf(process: number): string | undefined {
    const stat = readProcFile(`/proc/${process}/stat`);
    // Field 22 is the start time; the name in field 2 may hold anything but ends at the last ')'.
    return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  }

  /** Name of a process's executable, for messages. */
  nameOf(process: number): string {
    return readProcFile(`/proc/${process}/comm`)?.trim() ?? 'unknown';
  }
}
