/**
 * Who may do what. Tokens are compared by their SHA-256 in constant time, and always with all of
 * them: how long a wrong one takes tells nothing about the right ones.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Access } from '../server/service.js';

/** Undefined: nobody has that token. The empty text is what a client without a token presents. */
export type Authorize = (token: string) => Access | undefined;

/** In grants, for every database. */
export const EVERY_DATABASE = '*';

/** The name that a request without one means. */
export const DEFAULT_DATABASE = 'default';

export interface Grant {
  /** For logs. */
  readonly name: string;
  /** SHA-256 of the token's UTF-8; 32 bytes. */
  readonly digest: Buffer;
  /** Names of databases, or EVERY_DATABASE. */
  readonly read: ReadonlySet<string>;
  /** As `read`; whoever may write may read. */
  readonly write: ReadonlySet<string>;
  readonly serve: boolean;
}

/** The token of an authorization header; empty: it has none of ours (RFC 6750). */
export function bearerToken(header: string): string {
  return /^Bearer +(\S+) *$/i.exec(header)?.[1] ?? '';
}

export function tokenDigest(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}

function covers(names: ReadonlySet<string>, database: string): boolean {
  return names.has(EVERY_DATABASE) || names.has(database === '' ? DEFAULT_DATABASE : database);
}

function accessOf({ name, read, write, serve }: Grant): Access {
  return {
    name,
    mayRead: (database) => covers(read, database) || covers(write, database),
    mayWrite: (database) => covers(write, database),
    mayServe: serve,
  };
}

const ALL = new Set([EVERY_DATABASE]);

export function authorizeGrants(grants: readonly Grant[]): Authorize {
  const entries = grants.map((grant) => ({ digest: grant.digest, access: accessOf(grant) }));
  return (token) => {
    const digest = tokenDigest(token);
    let found: Access | undefined;
    for (const entry of entries) {
      if (timingSafeEqual(entry.digest, digest)) found = entry.access;
    }
    // An entry for the empty token would let in whoever has none.
    return token === '' ? undefined : found;
  };
}

/** One token that may do everything. */
export function authorizeToken(token: string): Authorize {
  const digest = tokenDigest(token);
  return authorizeGrants([{ name: 'token', digest, read: ALL, write: ALL, serve: true }]);
}

/** Without tokens everybody may do everything: for loopback addresses and Unix sockets only. */
export function authorizeEverybody(): Authorize {
  const nobody = Buffer.alloc(32);
  const access = accessOf({ name: 'anyone', digest: nobody, read: ALL, write: ALL, serve: true });
  return () => access;
}

/** The same, but it must not change anything. */
export function readOnlyAccess(access: Access): Access {
  return { ...access, mayRead: (name) => access.mayRead(name), mayWrite: () => false };
}
