/** A writer at work beside what is measured. */
import type { Side, Stage } from './stage.js';

/** Not back to back: with few cores, that would measure who gets the CPU. */
const PAUSE_MS = 10;
const CHECKPOINT_EVERY = 50;
const CREATE = 'CREATE TABLE IF NOT EXISTS ticks (i BIGINT, j BIGINT, h UBIGINT)';
const INSERT = 'INSERT INTO ticks SELECT $i, range, hash(range, $i) FROM range(100)';
/** What a reader finds beside such a writer, on the average. */
export const WAL_COMMITS = CHECKPOINT_EVERY / 2;

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
  await writer.run(CREATE);
  await writer.startWriting(INSERT, PAUSE_MS, CHECKPOINT_EVERY);
  const result = await work();
  const commits = await writer.stopWriting();
  await writer.close();
  if (commits === 0) throw new Error('the writer has not written anything');
  return result;
}

/**
 * Runs `work` beside a local database whose WAL has what such a writer leaves there: DuckDB replays
 * it at every open, wherever the file is.
 */
export async function besideWal<T>(
  stage: Stage,
  database: string,
  work: () => Promise<T>,
): Promise<T> {
  const writer = stage.worker(WRITER);
  const path = stage.path('local', database);
  const inserts = Array.from({ length: WAL_COMMITS }, (_, i) => INSERT.replaceAll('$i', `${i}`));
  await writer.open(path);
  await writer.run(CREATE, 'CHECKPOINT', 'PRAGMA disable_checkpoint_on_shutdown', ...inserts);
  await writer.close();
  const result = await work();
  await writer.open(path);
  await writer.run('CHECKPOINT');
  await writer.close();
  return result;
}

/** Which of the stage's processes writes; the others may read. */
const WRITER = 15;

/** Stock DuckDB cannot read what another process writes: on the local side it writes elsewhere. */
export const ELSEWHERE = 'elsewhere';
