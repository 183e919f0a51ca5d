/**
 * Driver error → OpenduckError, the only place that knows the engines' codes. Extended SQLite codes
 * (`SQLITE_IOERR_FSYNC`) begin with their primary code, so a prefix is enough.
 */
import { type ErrorCode, OpenduckError } from '../proto/errors.js';

interface Meaning {
  readonly code: ErrorCode;
  readonly hint?: string;
}

/** First match wins: longer prefixes before shorter ones. */
const SQLITE: readonly (readonly [prefix: string, meaning: Meaning])[] = [
  ['SQLITE_FULL', { code: 'DISK_FULL', hint: 'Free space on the disk of the data directory.' }],
  [
    'SQLITE_BUSY',
    { code: 'UNAVAILABLE', hint: 'Another process holds the metadata file; stop it or try again.' },
  ],
  ['SQLITE_LOCKED', { code: 'UNAVAILABLE' }],
  ['SQLITE_CORRUPT', { code: 'CORRUPT', hint: 'Run `openduck-fuse fsck`.' }],
  ['SQLITE_NOTADB', { code: 'CORRUPT', hint: 'Is this file really the metadata of openduck?' }],
  ['SQLITE_READONLY', { code: 'READ_ONLY' }],
  ['SQLITE_PERM', { code: 'NOT_PERMITTED' }],
  ['SQLITE_CONSTRAINT_UNIQUE', { code: 'ALREADY_EXISTS' }],
  ['SQLITE_CONSTRAINT_PRIMARYKEY', { code: 'ALREADY_EXISTS' }],
  // A foreign key or NOT NULL: what was to be written would break an invariant.
  ['SQLITE_CONSTRAINT', { code: 'CORRUPT' }],
  ['SQLITE_', { code: 'IO' }],
];

function driverCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' && error.code !== '' ? error.code : undefined;
}

/** What the language throws at a mistake of ours; drivers throw plain errors or their own. */
function isDefect(error: unknown): boolean {
  return (
    !(error instanceof Error) ||
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError
  );
}

/**
 * `doing` completes "metadata: could not …". An OpenduckError passes unchanged; a defect of
 * ours becomes INTERNAL; whatever a driver threw and nobody knows is IO. `cause` keeps the
 * original.
 */
export function metadataError(error: unknown, doing: string): OpenduckError {
  if (error instanceof OpenduckError) return error;
  const code = driverCode(error);
  const meaning = SQLITE.find(([prefix]) => code?.startsWith(prefix))?.[1];
  const reason = error instanceof Error ? error.message : String(error);
  return new OpenduckError(
    meaning?.code ?? (code === undefined && isDefect(error) ? 'INTERNAL' : 'IO'),
    `metadata: could not ${doing}: ${reason}${code === undefined ? '' : ` (${code})`}`,
    { cause: error, ...(meaning?.hint === undefined ? {} : { hint: meaning.hint }) },
  );
}
