/**
 * Driver error → OpenduckError, the only place that knows the engines' codes. Extended SQLite codes
 * (`SQLITE_IOERR_FSYNC`) begin with their primary code, and Postgres' SQLSTATEs with their class, so
 * a prefix is enough.
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

const TRY_LATER = 'Postgres is busy, restarting or not reachable; it is tried again by itself.';
const ASK_ADMIN =
  'See docs/metadata-postgres.md for what the role must be allowed to do, and grant it.';

/** First match wins, as above. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const POSTGRES: readonly (readonly [prefix: string, meaning: Meaning])[] = [
  // postgres/client.ts: the connection was not made, or broke. Whether a COMMIT that was under way
  // has happened is not known then.
  ['CONNECTION', { code: 'UNAVAILABLE', hint: 'Is Postgres running, and reachable from here?' }],
  [
    'CERTIFICATE',
    {
      code: 'NOT_PERMITTED',
      hint: 'Name the authority that signed it with sslrootcert=FILE in the URL.',
    },
  ],
  ['PASSWORD', { code: 'NOT_PERMITTED', hint: 'Give a password: in the URL, or in PGPASSWORD.' }],
  ['08', { code: 'UNAVAILABLE', hint: TRY_LATER }],
  // The session waited for us too long, in the middle of a transaction: it was rolled back.
  ['25P03', { code: 'UNAVAILABLE', hint: TRY_LATER }],
  ['25006', { code: 'UNAVAILABLE', hint: 'This Postgres is a standby: name the primary.' }],
  ['28', { code: 'NOT_PERMITTED', hint: 'Check user, password and the server’s pg_hba.conf.' }],
  ['3D000', { code: 'NOT_FOUND', hint: 'Create the Postgres database, or correct the URL.' }],
  ['3F000', { code: 'NOT_FOUND', hint: 'Create the schema, or correct search_path in the URL.' }],
  ['42501', { code: 'NOT_PERMITTED', hint: ASK_ADMIN }],
  ['23505', { code: 'ALREADY_EXISTS' }],
  // A foreign key or NOT NULL: what was to be written would break an invariant.
  ['23', { code: 'CORRUPT' }],
  ['40', { code: 'UNAVAILABLE', hint: TRY_LATER }],
  ['53100', { code: 'DISK_FULL', hint: 'Free space on the disk of the Postgres server.' }],
  ['53', { code: 'UNAVAILABLE', hint: TRY_LATER }],
  ['55P03', { code: 'UNAVAILABLE', hint: TRY_LATER }],
  ['57', { code: 'UNAVAILABLE', hint: TRY_LATER }],
  ['XX001', { code: 'CORRUPT', hint: 'Postgres says that its own files are damaged.' }],
  ['XX002', { code: 'CORRUPT', hint: 'Postgres says that its own files are damaged.' }],
];

const MEANINGS = [...SQLITE, ...POSTGRES];

/** Serialization failures, deadlocks, and the row that somebody else was faster to insert. */
const CONFLICTS: ReadonlySet<string> = new Set(['40001', '40P01', '23505']);

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

/** The transaction did not happen, because another one got into its way: running it again helps. */
export function isConflict(error: unknown): boolean {
  const code = driverCode(error);
  return code !== undefined && CONFLICTS.has(code);
}

/**
 * `doing` completes "metadata: could not …". An OpenduckError passes unchanged; a defect of
 * ours becomes INTERNAL; whatever a driver threw and nobody knows is IO. `cause` keeps the
 * original.
 */
export function metadataError(error: unknown, doing: string): OpenduckError {
  if (error instanceof OpenduckError) return error;
  const code = driverCode(error);
  const meaning = MEANINGS.find(([prefix]) => code?.startsWith(prefix))?.[1];
  const reason = error instanceof Error ? error.message : String(error);
  return new OpenduckError(
    meaning?.code ?? (code === undefined && isDefect(error) ? 'INTERNAL' : 'IO'),
    `metadata: could not ${doing}: ${reason}${code === undefined ? '' : ` (${code})`}`,
    { cause: error, ...(meaning?.hint === undefined ? {} : { hint: meaning.hint }) },
  );
}
