/**
 * The settings of everything that a daemon or a command serves to others. Resolved only by those
 * that serve or ask servers: others have flags of the same names (`snapshot diff --tables`).
 */
import {
  GATEWAY_SETTING_NAMES,
  type GatewaySettings,
  resolveGatewaySettings,
} from '../gateway/gatewaySettings.js';
import {
  HTTP_SETTING_NAMES,
  type HttpSettings,
  resolveHttpSettings,
} from '../http/httpSettings.js';
import type { SettingSources } from '../settingSources.js';
import {
  ACCESS_SETTING_NAMES,
  type AccessSettings,
  resolveAccessSettings,
} from './accessSettings.js';
import {
  resolveWorkerSettings,
  WORKER_SETTING_NAMES,
  type WorkerSettings,
} from './workerSettings.js';

export interface ServerSettings {
  readonly access: AccessSettings;
  readonly worker: WorkerSettings;
  readonly gateway: GatewaySettings;
  readonly http: HttpSettings;
}

export const SERVER_SETTING_NAMES = [
  ...ACCESS_SETTING_NAMES,
  ...WORKER_SETTING_NAMES,
  ...GATEWAY_SETTING_NAMES,
  ...HTTP_SETTING_NAMES,
] as const;

/** Throws USAGE, naming the flag, variable or file that is wrong. */
export function resolveServerSettings(sources: SettingSources): ServerSettings {
  return {
    access: resolveAccessSettings(sources),
    worker: resolveWorkerSettings(sources),
    gateway: resolveGatewaySettings(sources),
    http: resolveHttpSettings(sources),
  };
}
