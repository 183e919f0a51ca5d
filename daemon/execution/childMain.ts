/** The child's side of childProgram.ts. */
import { createInterface } from 'node:readline';
import { failedMessage } from '../readiness.js';

export interface StartedProgram {
  /** What the parent is told. */
  readonly ready: unknown;
  stop(): Promise<void>;
}

/** `start` gets the configuration. The process ends when the parent wants it to, or is gone. */
export async function runChild<C>(start: (config: C) => Promise<StartedProgram>): Promise<void> {
  const input = createInterface({ input: process.stdin });
  const parentGone = new Promise<void>((resolve) => input.once('close', resolve));
  const config = new Promise<C>((resolve) => {
    input.once('line', (line) => resolve(JSON.parse(line) as C));
  });
  process.stdout.on('error', () => {}); // the parent is gone
  // Signals to the whole group (Ctrl-C): the parent decides when.
  process.on('SIGINT', () => {});
  process.on('SIGHUP', () => {});
  let program: StartedProgram;
  try {
    program = await start(await config);
  } catch (error) {
    process.stdout.write(`${JSON.stringify(failedMessage(error))}\n`, () => process.exit(1));
    return;
  }
  process.stdout.write(`${JSON.stringify({ ready: program.ready })}\n`);
  process.once('SIGTERM', () => input.close());
  await parentGone;
  await program.stop();
  process.exit(0);
}
