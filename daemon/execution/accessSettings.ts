/** Who may come in: worker, gateway and HTTP side have these settings in common. */
import { OpenduckError } from '../../proto/errors.js';
import { SecretText } from '../secretText.js';
import {
  findSetting,
  pathOf,
  type RawSetting,
  type SettingSources,
  textOf,
} from '../settingSources.js';

export interface AccessSettings {
  readonly token: SecretText | undefined;
  /** Absolute path of a grants file. */
  readonly tokensFile: string | undefined;
  readonly tlsCertificate: string | undefined;
  readonly tlsKey: string | undefined;
  readonly tlsClientCa: string | undefined;
}

export const ACCESS_SETTING_NAMES = [
  'token',
  'tokens',
  'tls-cert',
  'tls-key',
  'tls-client-ca',
] as const;
type Name = (typeof ACCESS_SETTING_NAMES)[number];

export const secretOf = (setting: RawSetting): SecretText => new SecretText(textOf(setting));

/** Throws USAGE. */
export function resolveAccessSettings(sources: SettingSources): AccessSettings {
  function read<T>(name: Name, convert: (raw: RawSetting) => T): T | undefined {
    const raw = findSetting(sources, name);
    return raw === undefined ? undefined : convert(raw);
  }
  const settings: AccessSettings = {
    token: read('token', secretOf),
    tokensFile: read('tokens', pathOf),
    tlsCertificate: read('tls-cert', pathOf),
    tlsKey: read('tls-key', pathOf),
    tlsClientCa: read('tls-client-ca', pathOf),
  };
  checkTogether(settings);
  return settings;
}

function checkTogether(settings: AccessSettings): void {
  const { token, tokensFile, tlsCertificate, tlsKey, tlsClientCa } = settings;
  if (token !== undefined && tokensFile !== undefined) {
    throw new OpenduckError('USAGE', '--token and --tokens were both given', {
      hint: 'One token may do everything; a file of tokens says what each may do.',
    });
  }
  if ((tlsCertificate === undefined) !== (tlsKey === undefined)) {
    throw new OpenduckError('USAGE', '--tls-cert and --tls-key belong together');
  }
  if (tlsClientCa !== undefined && tlsCertificate === undefined) {
    throw new OpenduckError('USAGE', '--tls-client-ca needs --tls-cert and --tls-key');
  }
}
