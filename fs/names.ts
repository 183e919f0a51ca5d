/**
 * File names of the mount's root directory. Pure.
 *
 *   NAME.duckdb, NAME.duckdb.SUFFIX      a database file and its side files
 *   NAME@REF.duckdb, NAME@REF.duckdb.…   the same of a snapshot, read-only
 *   NAME.duckdb.tmp                      the spill directory of either
 */
import { assert, OpenduckError } from '../proto/errors.js';

export interface FileName {
  /** Database name, without `.duckdb`. */
  readonly database: string;
  /** What follows `@`; undefined for the database itself. */
  readonly ref: string | undefined;
  /** `.duckdb`, `.duckdb.wal`, … */
  readonly suffix: string;
}

export const MAIN_SUFFIX = '.duckdb';
/** What DuckDB itself keeps beside a database. */
export const COMPANIONS: ReadonlySet<string> = new Set([
  '.duckdb.wal',
  '.duckdb.wal.checkpoint',
  '.duckdb.wal.recovery',
]);
export const SPILL_SUFFIX = '.duckdb.tmp';
/** NAME_MAX of Linux file systems, in bytes. */
export const MAX_NAME_BYTES = 255;

/** What a name means, or undefined when it can be none of ours. */
export function parseFileName(name: string): FileName | undefined {
  const match = /^(.+?)(\.duckdb(?:\..+)?)$/s.exec(name);
  if (match === null) return undefined;
  const [, base, suffix] = match as unknown as [string, string, string];
  const at = base.indexOf('@');
  if (base.startsWith('.') || at === 0 || at === base.length - 1) return undefined;
  if (at < 0) return { database: base, ref: undefined, suffix };
  return { database: base.slice(0, at), ref: base.slice(at + 1), suffix };
}

/**
 * The name of a file to be created or renamed to. Throws INVALID_NAME for what is no database name,
 * READ_ONLY for names of snapshots.
 */
export function parseNewName(name: string): FileName {
  const parsed = parseFileName(name);
  if (parsed === undefined) {
    throw new OpenduckError('INVALID_NAME', `only databases live here, not "${name}"`, {
      hint: 'Names end in .duckdb (or .duckdb.SUFFIX) and begin with neither a dot nor an @.',
    });
  }
  if (parsed.ref !== undefined) {
    throw new OpenduckError('READ_ONLY', `"${name}" would be a snapshot, which is read-only`, {
      database: parsed.database,
      hint: 'A name with an @ means a snapshot; choose a name without.',
    });
  }
  return parsed;
}

/** The name of a new database, without `.duckdb`. Throws INVALID_NAME. */
export function requireDatabaseName(name: string): void {
  const file = name + MAIN_SUFFIX;
  const parsed = /[/\0]/.test(name) ? undefined : parseFileName(file);
  const fits = Buffer.byteLength(file) <= MAX_NAME_BYTES;
  if (fits && parsed?.database === name && parsed.ref === undefined) return;
  throw new OpenduckError('INVALID_NAME', `'${name}' cannot be the name of a database`, {
    hint: `Up to ${MAX_NAME_BYTES} bytes with .duckdb; no / and no @, and not beginning with a dot.`,
  });
}

/** The files of a snapshot, as they are called in a database of that name. */
export function filesAs<F extends { readonly name: string }>(
  database: string,
  files: readonly F[],
): F[] {
  return files.map((file) => {
    const parsed = parseFileName(file.name);
    assert(parsed !== undefined, `a snapshot has a file ${file.name}`);
    return { ...file, name: database + parsed.suffix };
  });
}
