/**
 * What a browser says of the page that asks: other web sites must not make this one's data or
 * actions their own, even when their request gets through to us.
 */
import type { IncomingMessage } from 'node:http';
import { OpenduckError } from '../../../proto/errors.js';

function refuse(): OpenduckError {
  return new OpenduckError('NOT_PERMITTED', 'another web site may not ask for this', {
    hint: 'Open the status page under the address of this server.',
  });
}

/** Throws NOT_PERMITTED. Programs that are no browsers send neither header. */
export function requireSameOrigin({ headers }: IncomingMessage): void {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') throw refuse();
  if (origin === undefined) return;
  const from = URL.canParse(origin) ? new URL(origin).host : undefined;
  // A proxy may end TLS, so that the scheme says nothing.
  if (from === undefined || host === undefined || from !== hostOf(host)) throw refuse();
}

const hostOf = (host: string): string | undefined =>
  URL.canParse(`http://${host}`) ? new URL(`http://${host}`).host : undefined;
