/** What may be reached by others must not be open to all of them. */
import { BlockList, isIP } from 'node:net';
import { OpenduckError } from '../../proto/errors.js';
import { EVERY_DATABASE, type Grant } from './access.js';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Names other than `localhost` may mean any address. */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return host.toLowerCase() === 'localhost';
  return LOOPBACK.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

/** Throws USAGE when others than this machine could reach `host` and nothing would stop them. */
export function requireToken(host: string, hasToken: boolean): void {
  if (hasToken || isLoopback(host)) return;
  throw new OpenduckError('USAGE', `listening on ${host} without a token is refused`, {
    hint: 'Everybody who reaches it could read and change all databases: give a token, or listen on 127.0.0.1.',
  });
}

/** Whether statements that reach files can do no more than the grant says. */
function holdsWithFiles({ read, write, serve }: Grant): boolean {
  if (write.has(EVERY_DATABASE)) return true;
  return write.size === 0 && (read.has(EVERY_DATABASE) || (serve && read.size === 0));
}

/**
 * Throws USAGE when `grants` allow less than statements with access to the host's files can do: to
 * read, and for writers to change, the files of any database.
 */
export function requireGrantsOfAll(grants: readonly Grant[]): void {
  const limited = grants.find((grant) => !holdsWithFiles(grant));
  if (limited === undefined) return;
  const message = `token '${limited.name}' is limited to some databases, but statements can reach all files`;
  throw new OpenduckError('USAGE', message, {
    hint: 'Add --no-external-access (what --init-sql attaches stays, see docs/worker.md), or read = ["*"].',
  });
}
