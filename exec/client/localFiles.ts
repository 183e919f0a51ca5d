/** Local files as parts of a DuckDB instance: which statement makes which file known, as what. */
import { basename, extname } from 'node:path';
import { OpenduckError } from '../../proto/errors.js';
import { quoteName, quoteText } from '../duckdb/sqlText.js';

const CATALOGS = ['.duckdb', '.db', '.ddb'];
const READERS: Readonly<Record<string, string>> = {
  '.parquet': 'read_parquet',
  '.csv': 'read_csv',
  '.tsv': 'read_csv',
  '.json': 'read_json',
  '.jsonl': 'read_json',
  '.ndjson': 'read_json',
};
/** Compressed texts keep their kind in front: `x.csv.gz`. */
const COMPRESSED = ['.gz', '.zst'];

export interface LocalFile {
  /** The catalog or the table that the file becomes. */
  readonly name: string;
  readonly kind: 'catalog' | 'table';
  readonly statement: string;
}

/**
 * `life`: of the views; temporary ones can be made where the database is read-only. Throws USAGE: a
 * file of no known kind.
 */
export function localFile(path: string, life: 'lasting' | 'temporary'): LocalFile {
  const outer = extname(path);
  const compressed = COMPRESSED.includes(outer.toLowerCase());
  const bare = compressed ? basename(path, outer) : basename(path);
  const extension = extname(bare);
  const name = basename(bare, extension);
  const kind = extension.toLowerCase();
  if (CATALOGS.includes(kind) && !compressed) {
    const statement = `ATTACH ${quoteText(path)} AS ${quoteName(name)} (READ_ONLY)`;
    return { name, kind: 'catalog', statement };
  }
  const reader = READERS[kind];
  if (reader !== undefined) {
    const source = `${reader}(${quoteText(path)})`;
    const view = life === 'temporary' ? 'TEMP VIEW' : 'VIEW';
    return {
      name,
      kind: 'table',
      statement: `CREATE ${view} ${quoteName(name)} AS FROM ${source}`,
    };
  }
  throw new OpenduckError('USAGE', `${path} is no kind of file that can be attached`, {
    hint: `Known: ${[...CATALOGS, ...Object.keys(READERS)].join(' ')}, also with .gz or .zst.`,
  });
}
