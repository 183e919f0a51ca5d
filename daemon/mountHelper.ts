#!/usr/bin/env node
/**
 * mount.fuse.openduck: what mount(8) runs for the type fuse.openduck, by hand or for /etc/fstab.
 * Returns when the mount can be used; the daemon goes on in the background.
 */
import { errorCode } from '../proto/errors.js';
import { runCommandLine } from './commandLine.js';
import { hideArguments } from './hideSecrets.js';
import { parseHelperWords } from './mountOptions.js';
import { runProgram, systemContext } from './program.js';

/** Exit codes of mount(8). */
const EXIT_USAGE = 1;
const EXIT_MOUNT_FAILURE = 32;

const USAGE_ERRORS = new Set(['USAGE', 'UNSUPPORTED', 'INVALID_ARGUMENT']);

const exitCodeOf = (error: unknown): number =>
  USAGE_ERRORS.has(errorCode(error)) ? EXIT_USAGE : EXIT_MOUNT_FAILURE;

const given = process.argv.slice(2);
hideArguments(given);
await runProgram(
  'mount.fuse.openduck',
  async () => {
    const { words, isFake, isVerbose } = parseHelperWords(given);
    if (isFake) return;
    const print = isVerbose ? systemContext.print : () => {};
    await runCommandLine({ ...systemContext, print }, words);
  },
  exitCodeOf,
);
