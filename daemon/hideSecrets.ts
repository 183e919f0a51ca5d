/**
 * What a process was told in secret must not be seen from outside for longer than needed: other
 * users can read the arguments of any process, and children inherit the environment.
 */
import { hasPassword } from './postgresUrl.js';
import { environmentName } from './settingSources.js';

/** What takes the arguments' place in the list of processes. */
const TITLE = 'openduck-fuse';
const SECRET_VARIABLES = ['metadata', 'token', 'gateway-token', 'worker-token'].map(
  environmentName,
);
const TOKEN_FLAG = /^--(gateway-|worker-)?token(=|$)/;
const TOKEN_IN_URL = /^(--endpoint=)?(openduck|od):.*[?&]token=/i;

/** Overwrites the arguments of this process when a password or token is among them. */
export function hideArguments(words: readonly string[]): void {
  const isSecret = (word: string): boolean =>
    hasPassword(word) || TOKEN_FLAG.test(word) || TOKEN_IN_URL.test(word);
  if (words.some(isSecret)) process.title = TITLE;
}

/** The environment for a child that gets the secrets in another way, or not at all. */
export function environmentWithoutSecrets(): NodeJS.ProcessEnv {
  const rest = { ...process.env };
  for (const name of SECRET_VARIABLES) delete rest[name];
  return rest;
}

/** Call it once the settings were read. */
export function forgetSecrets(): void {
  for (const name of SECRET_VARIABLES) delete process.env[name];
}
