/**
 * The settings of a gateway. Tokens and TLS for clients: execution/accessSettings.ts.
 */

import type { HostPort } from '../../exec/protocol/endpoint.js';
import { OpenduckError } from '../../proto/errors.js';
import { secretOf } from '../execution/accessSettings.js';
import { countOf, listenOf, MOST_QUEUED } from '../execution/workerSettings.js';
import type { SecretText } from '../secretText.js';
import {
  durationOf,
  findSetting,
  pathOf,
  type RawSetting,
  type SettingSources,
} from '../settingSources.js';

export interface GatewaySettings {
  readonly listen: HostPort;
  /** What workers are called with; undefined: what each registered with. */
  readonly workerToken: SecretText | undefined;
  /** PEM file with the authorities to trust for workers at https://. */
  readonly workerCa: string | undefined;
  readonly workerCertificate: string | undefined;
  readonly workerKey: string | undefined;
  /** Executions that wait for a worker. */
  readonly maxQueue: number;
  /** How long executions may go on when the gateway is to end, in milliseconds. */
  readonly drainMs: number;
}

/** `max-queue` is a worker's too. */
export const GATEWAY_SETTING_NAMES = [
  'listen',
  'worker-token',
  'worker-ca',
  'worker-cert',
  'worker-key',
  'drain',
] as const;
type Name = (typeof GATEWAY_SETTING_NAMES)[number] | 'max-queue';

/** Beside a worker on the same machine. */
const DEFAULT_LISTEN: HostPort = { host: '127.0.0.1', port: 7879 };
const DEFAULT_QUEUE = 256;
const DEFAULT_DRAIN_MS = 30_000;

/** Throws USAGE, naming the flag, variable or file that is wrong. */
export function resolveGatewaySettings(sources: SettingSources): GatewaySettings {
  function read<T>(name: Name, convert: (raw: RawSetting) => T): T | undefined {
    const raw = findSetting(sources, name);
    return raw === undefined ? undefined : convert(raw);
  }
  const settings: GatewaySettings = {
    listen: read('listen', listenOf) ?? DEFAULT_LISTEN,
    workerToken: read('worker-token', secretOf),
    workerCa: read('worker-ca', pathOf),
    workerCertificate: read('worker-cert', pathOf),
    workerKey: read('worker-key', pathOf),
    maxQueue: read('max-queue', countOf(0, MOST_QUEUED)) ?? DEFAULT_QUEUE,
    drainMs: read('drain', durationOf) ?? DEFAULT_DRAIN_MS,
  };
  const { workerCertificate, workerKey } = settings;
  if ((workerCertificate === undefined) !== (workerKey === undefined)) {
    throw new OpenduckError('USAGE', '--worker-cert and --worker-key belong together');
  }
  return settings;
}
