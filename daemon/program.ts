/**
 * What every program of ours begins and ends with: real time, randomness and output, what went
 * wrong told on standard error, and the exit code.
 */
import { describeError, OpenduckError } from '../proto/errors.js';
import { systemClock, systemRandom } from '../proto/ports.js';
import type { CommandContext } from './commandContext.js';
import { EXIT_OK } from './exitCodes.js';

export const systemContext: CommandContext = {
  clock: systemClock,
  random: systemRandom,
  environment: process.env,
  userId: process.getuid?.() ?? 0,
  print: (text) => void process.stdout.write(text),
  complain: (text) => void process.stderr.write(text),
};

/** What happened, then what to do. Anything but our own errors is a defect: show where it is. */
function complainAbout(error: unknown, program: string): void {
  const isOurs = error instanceof OpenduckError;
  const stack = error instanceof Error && !isOurs ? `\n${error.stack}` : '';
  systemContext.complain(`${program}: ${describeError(error)}${stack}\n`);
  if (isOurs && error.hint) systemContext.complain(`  ${error.hint}\n`);
}

/** Ends the process, with 0 or with what `codeOf` makes of the error that `work` threw. */
export async function runProgram(
  program: string,
  work: () => Promise<void>,
  codeOf: (error: unknown) => number,
): Promise<void> {
  // Timers of the Clock port keep no process alive, and a command may wait for nothing else.
  const { port1: keepAlive } = new MessageChannel();
  keepAlive.ref();
  process.stdout.on('error', () => process.exit(EXIT_OK)); // the reader of our pipe has left
  let exitCode = EXIT_OK;
  try {
    await work();
  } catch (error) {
    complainAbout(error, program);
    exitCode = codeOf(error);
  }
  // Not before the reader of a pipe has all: exiting would cut off what it was too slow for.
  process.stdout.write('', () => process.exit(exitCode));
}
