/** The executions that run, by the ids that their clients chose: what CancelExecution finds. */
import { OpenduckError } from '../../proto/errors.js';
import { linkSignals } from '../aborting.js';
import type { Access } from './service.js';

interface Execution {
  /** The name of the token. */
  readonly owner: string;
  readonly controller: AbortController;
}

export class Executions {
  readonly #byId = new Map<string, Execution>();

  get size(): number {
    return this.#byId.size;
  }

  /**
   * Runs `work` with a signal that is aborted when `signal` is, or when somebody cancels `id`.
   * Throws ALREADY_EXISTS when one with that id runs, and what `work` throws.
   */
  async run<T>(
    id: string,
    access: Access,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (id === '') return work(signal);
    if (this.#byId.has(id)) {
      throw new OpenduckError('ALREADY_EXISTS', `an execution with the id '${id}' runs already`, {
        hint: 'Choose a new id for every execution, for example a UUID.',
      });
    }
    const controller = new AbortController();
    const either = linkSignals(signal, controller.signal);
    this.#byId.set(id, { owner: access.name, controller });
    try {
      return await work(either.signal);
    } finally {
      either.unlink();
      this.#byId.delete(id);
    }
  }

  /** Whether there was one that belongs to the same token. */
  cancel(id: string, access: Access): boolean {
    const execution = this.#byId.get(id);
    if (execution === undefined || execution.owner !== access.name) return false;
    execution.controller.abort();
    return true;
  }
}
