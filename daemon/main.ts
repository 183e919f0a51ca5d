#!/usr/bin/env node
/** The command openduck-fuse. */
import { runCommandLine } from './commandLine.js';
import { exitCodeOf } from './exitCodes.js';
import { hideArguments } from './hideSecrets.js';
import { runProgram, systemContext } from './program.js';

const words = process.argv.slice(2);
hideArguments(words);
await runProgram('openduck-fuse', () => runCommandLine(systemContext, words), exitCodeOf);
