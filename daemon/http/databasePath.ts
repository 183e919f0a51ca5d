/** `/db/NAME.duckdb`, `/db/NAME@REF.duckdb` and their side files, as they stand in a URL. Pure. */
import { COMPANIONS, type FileName, MAIN_SUFFIX, parseFileName } from '../../fs/names.js';
import { OpenduckError } from '../../proto/errors.js';

const PREFIX = '/db/';

export interface DatabasePath extends FileName {
  /** `?session=…`: names one reader, who sees one snapshot. */
  readonly session: string | undefined;
}

/** Longer ones are no help to anybody. */
const LONGEST_SESSION = 128;

export const isDatabasePath = (path: string): boolean => path.startsWith(PREFIX);

/** Throws NOT_FOUND, INVALID_ARGUMENT. */
export function parseDatabasePath(path: string, query: string): DatabasePath {
  let name: string;
  try {
    name = decodeURIComponent(path.slice(PREFIX.length));
  } catch {
    throw new OpenduckError('INVALID_ARGUMENT', 'the path is not percent-encoded as it should be');
  }
  const parsed = /[/\0]/.test(name) ? undefined : parseFileName(name);
  if (parsed === undefined || !(parsed.suffix === MAIN_SUFFIX || COMPANIONS.has(parsed.suffix))) {
    throw new OpenduckError('NOT_FOUND', 'there is no such database file', {
      hint: 'Ask for /db/NAME.duckdb or /db/NAME@REF.duckdb.',
    });
  }
  const session = new URLSearchParams(query).get('session') ?? undefined;
  if (session !== undefined && (session === '' || session.length > LONGEST_SESSION)) {
    throw new OpenduckError('INVALID_ARGUMENT', `a session has 1–${LONGEST_SESSION} characters`);
  }
  return { ...parsed, session };
}

/** The path that means this file of this snapshot for ever. */
export function fixedPath(database: string, snapshot: string, suffix: string): string {
  return `${PREFIX}${encodeURIComponent(database)}@${snapshot}${suffix}`;
}
