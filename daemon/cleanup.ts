/** What has to be undone, in reverse order: after a failed start and at the end alike. */
import { describeError } from '../proto/errors.js';
import type { Logger } from '../proto/ports.js';

export interface Cleanup {
  /** `what` completes the sentence "could not …". */
  add(what: string, undo: () => Promise<void>): void;
  /**
   * Undoes everything once, the newest first; a failing step is logged and the others still run.
   */
  run(): Promise<{ readonly failures: number }>;
}

export function createCleanup(logger: Logger): Cleanup {
  const steps: { what: string; undo: () => Promise<void> }[] = [];
  return {
    add: (what, undo) => void steps.push({ what, undo }),
    run: async () => {
      let failures = 0;
      for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
        try {
          await step.undo();
        } catch (error) {
          failures++;
          logger.error({ error: describeError(error) }, `could not ${step.what}`);
        }
      }
      return { failures };
    },
  };
}
