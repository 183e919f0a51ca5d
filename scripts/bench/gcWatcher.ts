/** Loaded into the daemon by the benchmark: keeps a file with its garbage collector's pauses. */
import { renameSync, writeFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';

export interface GcPauses {
  readonly count: number;
  readonly totalMs: number;
  readonly longestMs: number;
}

const WRITE_MS = 500;

function watch(path: string): void {
  let pauses: GcPauses = { count: 0, totalMs: 0, longestMs: 0 };
  let isWritten = true;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      const { count, totalMs, longestMs } = pauses;
      pauses = {
        count: count + 1,
        totalMs: totalMs + duration,
        longestMs: Math.max(longestMs, duration),
      };
    }
    isWritten = false;
  }).observe({ entryTypes: ['gc'] });
  setInterval(() => {
    if (isWritten) return;
    isWritten = true;
    writeFileSync(`${path}.new`, JSON.stringify(pauses));
    renameSync(`${path}.new`, path);
  }, WRITE_MS).unref();
}

const path = process.env['BENCH_GC_FILE'];
// The daemon starts small processes too, with the same environment.
if (path !== undefined && process.argv[2] === 'mount') watch(path);
