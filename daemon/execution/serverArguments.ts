/** The settings of servers for a daemon in the background: it must not find other ones. */
import { hostAndPort } from '../../exec/protocol/endpoint.js';
import type { SecretText } from '../secretText.js';
import { environmentName } from '../settingSources.js';
import type { AccessSettings } from './accessSettings.js';
import type { ServerSettings } from './serverSettings.js';
import type { WorkerSettings } from './workerSettings.js';

type Value = string | number | boolean | readonly string[] | undefined;
type Values = Readonly<Record<string, Value>>;

/** What a mount can serve. */
type Sides = Pick<ServerSettings, 'access' | 'worker' | 'http'>;

/** All but the secrets. */
const accessValues = (settings: AccessSettings): Values => ({
  tokens: settings.tokensFile,
  'tls-cert': settings.tlsCertificate,
  'tls-key': settings.tlsKey,
  'tls-client-ca': settings.tlsClientCa,
});

const workerValues = (settings: WorkerSettings): Values => ({
  worker: settings.listen && hostAndPort(settings.listen),
  'init-sql': settings.initSqlFile,
  'external-access': settings.externalAccess,
  'max-concurrency': settings.maxConcurrency,
  'max-queue': settings.maxQueue,
  'memory-limit': `${settings.memoryBytes}B`,
  threads: settings.threads,
  gateway: settings.gateway,
  'gateway-ca': settings.gatewayCa,
  advertise: settings.advertise,
  databases: settings.databases,
  tables: settings.tables.length === 0 ? undefined : settings.tables,
  'compute-context': settings.computeContext === '' ? undefined : settings.computeContext,
});

export function serverFlags({ access, worker, http }: Sides): string[] {
  if (worker.listen === undefined && http.listen === undefined) return [];
  const values: Values = {
    ...accessValues(access),
    ...(worker.listen === undefined ? {} : workerValues(worker)),
    http: http.listen && hostAndPort(http.listen),
  };
  return Object.entries(values).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (typeof value === 'boolean') return [value ? `--${name}` : `--no-${name}`];
    return [`--${name}=${String(value)}`];
  });
}

/** As variables of the environment: arguments can be read by everybody. */
export function serverSecrets({ access, worker, http }: Sides): Record<string, string> {
  if (worker.listen === undefined && http.listen === undefined) return {};
  const secrets: readonly (readonly [name: string, SecretText | undefined])[] = [
    ['token', access.token],
    ['gateway-token', worker.listen && worker.gatewayToken],
  ];
  return Object.fromEntries(
    secrets.flatMap(([name, secret]) =>
      secret === undefined ? [] : [[environmentName(name), secret.reveal()]],
    ),
  );
}
