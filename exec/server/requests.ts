/** What clients send, checked before it reaches a handler. */
import type { Metadata, MetadataValue } from '@grpc/grpc-js';
import { OpenduckError } from '../../proto/errors.js';
import type { ExecuteFragmentRequest } from '../protocol/execution.js';
import type { FragmentOptions } from '../protocol/fragmentOptions.js';
import {
  ACCESS,
  AUTHORIZATION,
  BATCH_ROWS,
  DEFAULT_BATCH_ROWS,
  DICTIONARIES,
  EXACT_TYPES,
  MAX_REQUEST_BYTES,
  PARAMETERS,
} from '../protocol/metadata.js';
import { type Authorize, bearerToken, readOnlyAccess } from '../security/access.js';
import type { Access, Fragment } from './service.js';

/** What grpc-js gets for a request that cannot be decoded: the status is ours to choose. */
export const UNREADABLE = Object.freeze({});

/** Throws INVALID_ARGUMENT. */
export function readable<T>(request: T): T {
  if (request !== UNREADABLE) return request;
  throw new OpenduckError('INVALID_ARGUMENT', 'the request is not a message of openduck.v1');
}

/** The token in a request, if it has one. */
export function tokenOf(request: { readonly access_token?: string }): string {
  return request.access_token ?? '';
}

/** Rows in a record batch, at most: more is no faster and takes memory on both sides. */
const MAX_BATCH_ROWS = 1 << 20;
/** Names, ids and references, in UTF-16 units. */
const LONGEST_NAME = 1024;

function wrongMetadata(key: string, problem: string): OpenduckError {
  return new OpenduckError('INVALID_ARGUMENT', `metadata ${key}: ${problem}`);
}

function single(metadata: Metadata, key: string): MetadataValue | undefined {
  const values = metadata.get(key);
  if (values.length > 1) throw wrongMetadata(key, `sent ${values.length} times`);
  return values[0];
}

function flagOf(metadata: Metadata, key: string): boolean {
  const value = single(metadata, key);
  if (value === undefined || value === '0') return false;
  if (value === '1') return true;
  throw wrongMetadata(key, 'neither 0 nor 1');
}

function batchRowsOf(metadata: Metadata): number {
  const value = single(metadata, BATCH_ROWS);
  if (value === undefined) return DEFAULT_BATCH_ROWS;
  const rows = /^\d{1,7}$/.test(String(value)) ? Number(value) : 0;
  if (rows >= 1 && rows <= MAX_BATCH_ROWS) return rows;
  throw wrongMetadata(BATCH_ROWS, `not a number of rows from 1 to ${MAX_BATCH_ROWS}`);
}

function parametersOf(metadata: Metadata): Uint8Array | undefined {
  const value = single(metadata, PARAMETERS);
  return typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
}

/** Throws INVALID_ARGUMENT with the name of the key. */
function optionsOf(metadata: Metadata): FragmentOptions {
  return {
    batchRows: batchRowsOf(metadata),
    dictionaries: flagOf(metadata, DICTIONARIES),
    exact: flagOf(metadata, EXACT_TYPES),
    parameters: parametersOf(metadata),
  };
}

function presentedToken(metadata: Metadata, accessToken: string): string {
  if (accessToken !== '') return accessToken;
  return bearerToken(String(metadata.get(AUTHORIZATION)[0] ?? ''));
}

/** Throws UNAUTHENTICATED. */
export function accessOf(metadata: Metadata, accessToken: string, authorize: Authorize): Access {
  const token = presentedToken(metadata, accessToken);
  const access = authorize(token);
  if (access !== undefined) return access;
  const message = token === '' ? 'a token is needed' : 'the token is not one of this server';
  throw new OpenduckError('UNAUTHENTICATED', message, {
    hint: 'Send it as access_token, or as "authorization: Bearer TOKEN".',
  });
}

function sqlOf(plan: Uint8Array): string {
  if (plan.length > MAX_REQUEST_BYTES) {
    const limit = `${plan.length} bytes, more than ${MAX_REQUEST_BYTES}`;
    throw new OpenduckError('OVERLOADED', `the statement is too long: ${limit}`, {
      hint: 'Send rows as parameters or in several statements.',
    });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plan);
  } catch (cause) {
    throw new OpenduckError('INVALID_ARGUMENT', 'the plan is not UTF-8 text', { cause });
  }
}

function checkName(name: string, field: string): void {
  if (name.length <= LONGEST_NAME && !name.includes('\0')) return;
  throw new OpenduckError('INVALID_ARGUMENT', `${field} is not a name`);
}

/** Throws INVALID_ARGUMENT when a field of a request cannot be what it should. */
export function checkNames(fields: Readonly<Record<string, string | undefined>>): void {
  for (const [field, name] of Object.entries(fields)) checkName(name ?? '', field);
}

function limitAccess(metadata: Metadata, access: Access): Access {
  const value = single(metadata, ACCESS);
  if (value === undefined) return access;
  if (value === 'read') return readOnlyAccess(access);
  throw wrongMetadata(ACCESS, "only 'read' is known");
}

/**
 * Everything of a fragment but how its client goes away. Throws NOT_PERMITTED, INVALID_ARGUMENT,
 * OVERLOADED (too long).
 */
export function readFragment(
  request: ExecuteFragmentRequest,
  metadata: Metadata,
  granted: Access,
): Omit<Fragment, 'signal' | 'remainingMs'> {
  const { database, snapshot_id, execution_id, compute_context } = request;
  checkNames({ database, snapshot_id, execution_id, compute_context });
  if (!granted.mayRead(database)) {
    const name = database === '' ? 'the default database' : database;
    throw new OpenduckError('NOT_PERMITTED', `token '${granted.name}' may not read ${name}`, {
      database,
    });
  }
  return {
    access: limitAccess(metadata, granted),
    options: optionsOf(metadata),
    sql: sqlOf(request.plan),
    database,
    snapshot: snapshot_id === undefined || snapshot_id === '' ? undefined : snapshot_id,
    executionId: execution_id,
    computeContext: compute_context,
    request,
  };
}
