/** The settings of access, their files read and checked. Plain JSON: it can go over a pipe. */
import {
  type Authorize,
  authorizeEverybody,
  authorizeGrants,
  authorizeToken,
  type Grant,
} from '../../exec/security/access.js';
import { requireToken } from '../../exec/security/exposure.js';
import { parseGrants } from '../../exec/security/grantsFile.js';
import { type Pem, type ServerTls, serverCredentials } from '../../exec/security/tls.js';
import { readText } from '../../layers/os/textFile.js';
import { OpenduckError } from '../../proto/errors.js';
import type { AccessSettings } from './accessSettings.js';

export interface AccessConfig {
  readonly token: string | undefined;
  /** The grants file. */
  readonly grants: Pem | undefined;
  /** undefined: plain text. */
  readonly tls: ServerTls | undefined;
}

/** The content of a file, as `flag` names it. Throws USAGE. */
export async function fileOf(path: string | undefined, flag: string): Promise<Pem | undefined> {
  if (path === undefined) return undefined;
  const text = await readText(path);
  if (text !== undefined) return { text, origin: path };
  throw new OpenduckError('USAGE', `${flag}: there is no file ${path}`);
}

async function tlsOf(settings: AccessSettings): Promise<ServerTls | undefined> {
  const certificate = await fileOf(settings.tlsCertificate, '--tls-cert');
  const key = await fileOf(settings.tlsKey, '--tls-key');
  const clientCa = await fileOf(settings.tlsClientCa, '--tls-client-ca');
  if (certificate === undefined || key === undefined) return undefined;
  const tls = { certificate, key, clientCa };
  serverCredentials(tls); // throws what is wrong with them
  return tls;
}

/** `host` is listened on. Throws USAGE: files missing or wrong, no token on a public address. */
export async function accessConfig(settings: AccessSettings, host: string): Promise<AccessConfig> {
  const grants = await fileOf(settings.tokensFile, '--tokens');
  if (grants !== undefined) parseGrants(grants.text, grants.origin);
  const config = { token: settings.token?.reveal(), grants, tls: await tlsOf(settings) };
  requireToken(host, isGuarded(config));
  return config;
}

/** Whether clients need a token. */
export function isGuarded({ token, grants }: Pick<AccessConfig, 'token' | 'grants'>): boolean {
  return token !== undefined || grants !== undefined;
}

/** Those of the grants file. */
export function grantsOf({ grants }: Pick<AccessConfig, 'grants'>): Grant[] {
  return grants === undefined ? [] : parseGrants(grants.text, grants.origin);
}

export function authorizeOf(config: AccessConfig): Authorize {
  if (config.token !== undefined) return authorizeToken(config.token);
  if (config.grants === undefined) return authorizeEverybody();
  return authorizeGrants(grantsOf(config));
}
