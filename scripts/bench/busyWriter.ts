/** A writer at work beside what is measured. */
import type { Side, Stage } from './stage.js';

/** Not back to back: with few cores, that would measure who gets the CPU. */
const PAUSE_MS = 10;
const CHECKPOINT_EVERY = 50;

export const WRITER_NOTE =
  `the writer commits 100 rows, waits ${PAUSE_MS} ms, and so on, ` +
  `with a CHECKPOINT after every ${CHECKPOINT_EVERY} commits`;

/** Runs `work` while a process of its own writes to `database`. */
export async function besideWriter<T>(
  stage: Stage,
  side: Side,
  database: string,
  work: () => Promise<T>,
): Promise<T> {
  const writer = stage.worker(WRITER);
  await writer.open(stage.path(side, database));
  await writer.run('CREATE TABLE IF NOT EXISTS ticks (i BIGINT, j BIGINT, h UBIGINT)');
  await writer.startWriting(
    'INSERT INTO ticks SELECT $i, range, hash(range, $i) FROM range(100)',
    PAUSE_MS,
    CHECKPOINT_EVERY,
  );
  const result = await work();
  const commits = await writer.stopWriting();
  await writer.close();
  if (commits === 0) throw new Error('the writer has not written anything');
  return result;
}

/** Which of the stage's processes writes; the others may read. */
const WRITER = 15;

/** Stock DuckDB cannot read what another process writes: on the local side it writes elsewhere. */
export const ELSEWHERE = 'elsewhere';
