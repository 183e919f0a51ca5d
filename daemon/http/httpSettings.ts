/** The setting of the daemon's HTTP side. Tokens and TLS: execution/accessSettings.ts. */
import type { HostPort } from '../../exec/protocol/endpoint.js';
import { listenOf } from '../execution/workerSettings.js';
import { findSetting, type SettingSources } from '../settingSources.js';

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
