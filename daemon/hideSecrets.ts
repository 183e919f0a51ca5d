/**
 * What a process was told in secret must not be seen from outside for longer than needed: other
 * users can read the arguments of any process, and children inherit the environment.
 */
import { hasPassword } from './postgresUrl.js';
import { environmentName } from './settingSources.js';

/** What takes the arguments' place in the list of processes. */
const TITLE = 'openduck-fuse';
const SECRET_VARIABLE = environmentName('metadata');

/** Overwrites the arguments of this process when a password is among them. */
export function hideArguments(words: readonly string[]): void {
  if (words.some(hasPassword)) process.title = TITLE;
}

/** The environment for a child that gets the secrets in another way, or not at all. */
export function environmentWithoutSecrets(): NodeJS.ProcessEnv {
  const { [SECRET_VARIABLE]: _, ...rest } = process.env;
  return rest;
}

/** Call it once the settings were read. */
export function forgetSecrets(): void {
  delete process.env[SECRET_VARIABLE];
}
