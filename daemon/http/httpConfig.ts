/** What the HTTP side needs of the settings: files have been read, and all of it was checked. */
import {
  type Authorize,
  authorizeEverybody,
  authorizeGrants,
  authorizeToken,
} from '../../exec/security/access.js';
import { requireToken } from '../../exec/security/exposure.js';
import { parseGrants } from '../../exec/security/grantsFile.js';
import type { ServerTls } from '../../exec/security/tls.js';
import { fileOf, tlsOf } from '../execution/workerConfig.js';
import type { HostPort } from '../execution/workerSettings.js';
import type { Settings } from '../settings.js';

export interface HttpConfig {
  readonly listen: HostPort;
  readonly authorize: Authorize;
  /** Whether clients need a token. */
  readonly isGuarded: boolean;
  readonly tls: ServerTls | undefined;
}

/** undefined: nothing is served. Throws USAGE: missing files, no token on a public address. */
export async function httpConfig(
  settings: Pick<Settings, 'worker' | 'http'>,
): Promise<HttpConfig | undefined> {
  const { listen } = settings.http;
  if (listen === undefined) return undefined;
  const { token, tokensFile } = settings.worker;
  const grants = await fileOf(tokensFile, '--tokens');
  const isGuarded = token !== undefined || grants !== undefined;
  requireToken(listen.host, isGuarded);
  const tls = await tlsOf(settings.worker);
  if (token !== undefined) {
    return { listen, authorize: authorizeToken(token.reveal()), isGuarded, tls };
  }
  if (grants === undefined) return { listen, authorize: authorizeEverybody(), isGuarded, tls };
  const authorize = authorizeGrants(parseGrants(grants.text, grants.origin));
  return { listen, authorize, isGuarded, tls };
}
