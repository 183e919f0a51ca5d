/** Stock DuckDB on a file, in a process of its own: see helperMain.ts. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { OpenduckError } from '../../proto/errors.js';

export interface TableRows {
  /** With the schema in front, unless it is `main`. */
  readonly name: string;
  readonly rows: number;
}

const PROGRAM = fileURLToPath(new URL('./helperMain.js', import.meta.url));

interface Answer {
  readonly tables?: readonly TableRows[];
  readonly error?: string;
}

function ask(operation: 'checkpoint' | 'count' | 'read', path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROGRAM, operation, path], {
      // Its end of the pipe ends with us, and then it ends too.
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stdin.on('error', () => {}); // it has ended already
    child.once('error', reject);
    child.once('close', (code, signal) => {
      const line = output.trim().split('\n').at(-1) ?? '';
      if (line.startsWith('{')) resolve(JSON.parse(line) as Answer);
      else resolve({ error: `DuckDB ended without an answer (${signal ?? `exit code ${code}`})` });
    });
  });
}

async function must(operation: 'checkpoint' | 'count' | 'read', path: string): Promise<Answer> {
  const answer = await ask(operation, path);
  if (answer.error === undefined) return answer;
  throw new OpenduckError('CORRUPT', `DuckDB cannot open or read ${path}: ${answer.error}`);
}

/** Puts the WAL of the database at `path` into it. Throws CORRUPT: what DuckDB says. */
export async function checkpointFile(path: string): Promise<void> {
  await must('checkpoint', path);
}

/** Throws CORRUPT: what DuckDB says. */
export async function countRows(path: string): Promise<readonly TableRows[]> {
  return (await must('count', path)).tables ?? [];
}

/** Reads every value of every table. Throws CORRUPT: what DuckDB says. */
export async function readTables(path: string): Promise<readonly TableRows[]> {
  return (await must('read', path)).tables ?? [];
}
