/** The settings of a worker, for `mount --worker` and `worker` alike. */
import { availableParallelism, totalmem } from 'node:os';
import { DEFAULT_PORT, type HostPort } from '../../exec/protocol/endpoint.js';
import type { SecretText } from '../secretText.js';
import {
  findSetting,
  pathOf,
  type RawSetting,
  type SettingSources,
  sizeOf,
  textOf,
  truthOf,
  usage,
} from '../settingSources.js';
import { secretOf } from './accessSettings.js';

export interface WorkerSettings {
  /** undefined: `mount` starts no worker. */
  readonly listen: HostPort | undefined;
  readonly initSqlFile: string | undefined;
  readonly externalAccess: boolean;
  /** Executions at a time. */
  readonly maxConcurrency: number;
  /** Executions that wait. */
  readonly maxQueue: number;
  /** Of all DuckDB instances together, in bytes. */
  readonly memoryBytes: number;
  /** Of each DuckDB instance. */
  readonly threads: number;
  /** `http://HOST:PORT` or `https://HOST:PORT` of a gateway to register with. */
  readonly gateway: string | undefined;
  readonly gatewayToken: SecretText | undefined;
  readonly gatewayCa: string | undefined;
  /** Where the gateway reaches the worker. */
  readonly advertise: string | undefined;
  /** Told to the gateway; undefined: those that there are. */
  readonly databases: readonly string[] | undefined;
  readonly tables: readonly string[];
  readonly computeContext: string;
}

export const WORKER_SETTING_NAMES = [
  'worker',
  'init-sql',
  'external-access',
  'max-concurrency',
  'max-queue',
  'memory-limit',
  'threads',
  'gateway',
  'gateway-token',
  'gateway-ca',
  'advertise',
  'databases',
  'tables',
  'compute-context',
] as const;
export type WorkerSettingName = (typeof WORKER_SETTING_NAMES)[number];

export const DEFAULT_LISTEN: HostPort = { host: '127.0.0.1', port: DEFAULT_PORT };

const DEFAULT_CONCURRENCY = 8;
const DEFAULT_QUEUE = 64;
const MOST_EXECUTIONS = 256;
export const MOST_QUEUED = 100_000;
const MOST_THREADS = 1024;
const LEAST_MEMORY = 256 * 2 ** 20;
const HIGHEST_PORT = 65_535;

/** `HOST:PORT`, `[V6]:PORT`, `:PORT` or `PORT`; nothing at all is the default. */
export function listenOf(setting: RawSetting): HostPort {
  const { value } = setting;
  if (value === true || value === '') return DEFAULT_LISTEN;
  const match = /^(?:(\[[0-9a-f:.]+\]|[^:/[\]]*):)?(\d{1,5})$/i.exec(String(value));
  const port = Number(match?.[2] ?? Number.NaN);
  if (match === null || port > HIGHEST_PORT) {
    const hint = 'Write HOST:PORT, such as 127.0.0.1:7878; for --worker with an =: --worker=PORT.';
    throw usage(setting, `'${String(value)}' is not an address to listen on`, hint);
  }
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '');
  return { host: host === '' ? DEFAULT_LISTEN.host : host, port };
}

/** Makes a converter that takes whole numbers. */
export function countOf(least: number, most: number): (setting: RawSetting) => number {
  return (setting) => {
    const count = Number(setting.value);
    if (Number.isInteger(count) && count >= least && count <= most) return count;
    throw usage(
      setting,
      `'${String(setting.value)}' is not a number that fits`,
      `${least}–${most}`,
    );
  };
}

function memoryOf(setting: RawSetting): number {
  const bytes = sizeOf(setting);
  if (bytes >= LEAST_MEMORY) return bytes;
  throw usage(setting, 'too little memory for DuckDB', 'At least 256MiB.');
}

function listOf(setting: RawSetting): string[] {
  const { value } = setting;
  const items = Array.isArray(value) ? value.map(String) : textOf(setting).split(',');
  return items.map((item) => item.trim()).filter((item) => item !== '');
}

function gatewayOf(setting: RawSetting): string {
  const text = textOf(setting);
  if (/^https?:\/\/[^/\s]+:\d+\/?$/.test(text)) return text.replace(/\/$/, '');
  throw usage(setting, `'${text}' is no endpoint`, 'Write http://HOST:PORT or https://HOST:PORT.');
}

/** Half of what this machine or container has. */
function defaultMemory(): number {
  const constrained = process.constrainedMemory?.() ?? 0;
  const total = totalmem();
  return Math.floor((constrained > 0 && constrained < total ? constrained : total) / 2);
}

/** Throws USAGE, naming the flag, variable or file that is wrong. */
export function resolveWorkerSettings(sources: SettingSources): WorkerSettings {
  function read<T>(name: WorkerSettingName, convert: (raw: RawSetting) => T): T | undefined {
    const raw = findSetting(sources, name);
    return raw === undefined ? undefined : convert(raw);
  }
  const initSqlFile = read('init-sql', pathOf);
  return {
    listen: read('worker', listenOf),
    initSqlFile,
    externalAccess: read('external-access', truthOf) ?? initSqlFile !== undefined,
    maxConcurrency: read('max-concurrency', countOf(1, MOST_EXECUTIONS)) ?? DEFAULT_CONCURRENCY,
    maxQueue: read('max-queue', countOf(0, MOST_QUEUED)) ?? DEFAULT_QUEUE,
    memoryBytes: read('memory-limit', memoryOf) ?? Math.max(LEAST_MEMORY, defaultMemory()),
    threads: read('threads', countOf(1, MOST_THREADS)) ?? availableParallelism(),
    gateway: read('gateway', gatewayOf),
    gatewayToken: read('gateway-token', secretOf),
    gatewayCa: read('gateway-ca', pathOf),
    advertise: read('advertise', gatewayOf),
    databases: read('databases', listOf),
    tables: read('tables', listOf) ?? [],
    computeContext: read('compute-context', textOf) ?? '',
  };
}
