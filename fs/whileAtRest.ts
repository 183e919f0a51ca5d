/**
 * What gives a database another content (restore, reset, import) runs while nobody writes it. Who
 * begins to write meanwhile waits, and gets what is there afterwards.
 */
import { OpenduckError } from '../proto/errors.js';
import type { MonotonicTime } from '../proto/ids.js';
import type { Engine } from './engine.js';
import type { EngineDatabase } from './engineOptions.js';

export const ASK_AGAIN_MS = 100;
/** What the last writer left is being committed: that is not worth a refusal. */
const SETTLING_MS = 2_000;

function busy(engine: Engine, { database }: EngineDatabase, hint: string): OpenduckError {
  const { name } = database;
  const holder = engine.usage.writerOf(database)?.pid;
  const others = engine.usage.writersOf(database);
  let who = 'somebody is just opening it for writing';
  if (holder !== undefined) who = `process ${holder} holds the write lock`;
  else if (others.length > 0) who = `it is open for writing in process ${others.join(', ')}`;
  return new OpenduckError('BUSY', `${name} is being written: ${who}`, { database: name, hint });
}

/**
 * Throws BUSY when somebody still writes at `deadline`, with `hint`; why the last writer's changes
 * cannot be committed; and what `work` throws.
 */
export async function whileAtRest<T>(
  engine: Engine,
  entry: EngineDatabase,
  deadline: MonotonicTime,
  hint: string,
  work: () => Promise<T>,
): Promise<T> {
  const { clock } = engine.options;
  const { database } = entry;
  for (;;) {
    const end = engine.usage.exclude(database);
    if (end !== undefined) return work().finally(end);
    const isQuiet = engine.usage.isQuiet(database);
    if (clock.monotonic() >= deadline + (isQuiet ? SETTLING_MS : 0)) {
      if (isQuiet && database.log.failure !== undefined) throw database.log.failure;
      throw busy(engine, entry, hint);
    }
    await clock.sleep(ASK_AGAIN_MS);
  }
}
