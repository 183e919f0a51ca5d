/** The settings of a worker for a daemon in the background: it must not find other ones. */
import type { SecretText } from '../secretText.js';
import { environmentName } from '../settingSources.js';
import { hostText, type WorkerSettingName, type WorkerSettings } from './workerSettings.js';

type Value = string | number | boolean | readonly string[] | undefined;

/** All but the secrets. */
function valuesOf(
  settings: WorkerSettings,
): readonly (readonly [Exclude<WorkerSettingName, 'token' | 'gateway-token'>, Value])[] {
  const { listen } = settings;
  return [
    ['worker', listen && `${hostText(listen.host)}:${listen.port}`],
    ['tokens', settings.tokensFile],
    ['tls-cert', settings.tlsCertificate],
    ['tls-key', settings.tlsKey],
    ['tls-client-ca', settings.tlsClientCa],
    ['init-sql', settings.initSqlFile],
    ['external-access', settings.externalAccess],
    ['max-concurrency', settings.maxConcurrency],
    ['max-queue', settings.maxQueue],
    ['memory-limit', `${settings.memoryBytes}B`],
    ['threads', settings.threads],
    ['gateway', settings.gateway],
    ['gateway-ca', settings.gatewayCa],
    ['advertise', settings.advertise],
    ['databases', settings.databases],
    ['tables', settings.tables.length === 0 ? undefined : settings.tables],
    ['compute-context', settings.computeContext === '' ? undefined : settings.computeContext],
  ];
}

export function workerFlags(settings: WorkerSettings): string[] {
  if (settings.listen === undefined) return [];
  return valuesOf(settings).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (typeof value === 'boolean') return [value ? `--${name}` : `--no-${name}`];
    return [`--${name}=${String(value)}`];
  });
}

/** As variables of the environment: arguments can be read by everybody. */
export function workerSecrets(settings: WorkerSettings): Record<string, string> {
  if (settings.listen === undefined) return {};
  const secrets: readonly (readonly [WorkerSettingName, SecretText | undefined])[] = [
    ['token', settings.token],
    ['gateway-token', settings.gatewayToken],
  ];
  return Object.fromEntries(
    secrets.flatMap(([name, secret]) =>
      secret === undefined ? [] : [[environmentName(name), secret.reveal()]],
    ),
  );
}
