/**
 * The setting of the daemon's HTTP side. Tokens and TLS are the same as the worker's: see
 * execution/workerSettings.ts.
 */
import { workerFlags, workerSecrets } from '../execution/workerArguments.js';
import { type HostPort, hostText, listenOf } from '../execution/workerSettings.js';
import { findSetting, type SettingSources } from '../settingSources.js';
import type { Settings } from '../settings.js';

export interface HttpSettings {
  /** undefined: nothing is served. */
  readonly listen: HostPort | undefined;
}

export const HTTP_SETTING_NAMES = ['http'] as const;

/** Beside a worker and a gateway on the same machine. */
const DEFAULT_LISTEN: HostPort = { host: '127.0.0.1', port: 7880 };

/** Throws USAGE. */
export function resolveHttpSettings(sources: SettingSources): HttpSettings {
  const raw = findSetting(sources, 'http');
  if (raw === undefined || raw.value === false) return { listen: undefined };
  const isPlain = raw.value === true || raw.value === '';
  return { listen: isPlain ? DEFAULT_LISTEN : listenOf(raw) };
}

type Sides = Pick<Settings, 'worker' | 'http'>;

/** What both sides are told: with the HTTP side alone, only who may come in. */
function workerOf({ worker, http }: Sides): Sides['worker'] {
  const isWanted = worker.listen === undefined && http.listen !== undefined;
  return isWanted ? { ...worker, listen: http.listen } : worker;
}

const ACCESS_FLAG = /^--(tokens|tls-cert|tls-key|tls-client-ca)=/;

/** The flags of worker and HTTP side for a daemon in the background. */
export function serverFlags(settings: Sides): string[] {
  const { worker, http } = settings;
  const flags = workerFlags(workerOf(settings));
  if (http.listen === undefined) return flags;
  const { host, port } = http.listen;
  const own = worker.listen === undefined ? flags.filter((flag) => ACCESS_FLAG.test(flag)) : flags;
  return [...own, `--http=${hostText(host)}:${port}`];
}

export function serverSecrets(settings: Sides): Record<string, string> {
  return workerSecrets(workerOf(settings));
}
