#!/usr/bin/env node
/**
 * The command openduck-fuse: real time, randomness and output for runCommandLine, and the exit
 * code.
 */
import { describeError, OpenduckError } from '../proto/errors.js';
import { systemClock, systemRandom } from '../proto/ports.js';
import type { CommandContext } from './commandContext.js';
import { runCommandLine } from './commandLine.js';
import { EXIT_OK, exitCodeOf } from './exitCodes.js';

const context: CommandContext = {
  clock: systemClock,
  random: systemRandom,
  environment: process.env,
  userId: process.getuid?.() ?? 0,
  print: (text) => void process.stdout.write(text),
  complain: (text) => void process.stderr.write(text),
};

/** What happened, then what to do. Anything but our own errors is a defect: show where it is. */
function complainAbout(error: unknown): void {
  const isOurs = error instanceof OpenduckError;
  const stack = error instanceof Error && !isOurs ? `\n${error.stack}` : '';
  context.complain(`openduck-fuse: ${describeError(error)}${stack}\n`);
  if (isOurs && error.hint) context.complain(`  ${error.hint}\n`);
}

async function main(): Promise<number> {
  try {
    await runCommandLine(context, process.argv.slice(2));
    return EXIT_OK;
  } catch (error) {
    complainAbout(error);
    return exitCodeOf(error);
  }
}

// Timers of the Clock port do not keep the process alive, and a command may wait for nothing else.
const { port1: keepAlive } = new MessageChannel();
keepAlive.ref();
process.stdout.on('error', () => process.exit(EXIT_OK)); // the reader of our pipe has left
const exitCode = await main();
// Not before the reader of a pipe has all: exiting would cut off what it was too slow for.
process.stdout.write('', () => process.exit(exitCode));
