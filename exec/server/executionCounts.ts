/** Counts how executions end, whatever serves them. */
import { errorCode } from '../../proto/errors.js';
import type { ExecutionHandlers } from './service.js';

/** `refused`: the queue was full. All since the process has started. */
export interface ExecutionCounts {
  done: number;
  failed: number;
  cancelled: number;
  refused: number;
}

function outcomeOf(error: unknown): keyof ExecutionCounts {
  const code = errorCode(error);
  if (code === 'CANCELLED') return 'cancelled';
  return code === 'OVERLOADED' ? 'refused' : 'failed';
}

/** The same handlers, counted. */
export function countExecutions(handlers: ExecutionHandlers): {
  readonly handlers: ExecutionHandlers;
  readonly counts: Readonly<ExecutionCounts>;
} {
  const counts: ExecutionCounts = { done: 0, failed: 0, cancelled: 0, refused: 0 };
  const counted: ExecutionHandlers = {
    async execute(fragment, sink) {
      let outcome: keyof ExecutionCounts = 'done';
      try {
        await handlers.execute(fragment, sink);
      } catch (error) {
        outcome = outcomeOf(error);
        throw error;
      } finally {
        counts[outcome]++;
      }
    },
    cancel: (id, access) => handlers.cancel(id, access),
    register: (registration, access) => handlers.register(registration, access),
    heartbeat: (heartbeat, access) => handlers.heartbeat(heartbeat, access),
  };
  return { handlers: counted, counts };
}
