/** Brings a plain DuckDB file, with its WAL, into the data directory as a database. */
import type { EngineCommands, SnapshotSummary } from '../../fs/engineCommands.js';
import { COMPANIONS, MAIN_SUFFIX } from '../../fs/names.js';
import { ChainedChecksum } from '../../layers/chainedChecksum.js';
import type { DiskFile } from '../../layers/os/disk.js';
import { type FileStamp, fileStamp } from '../../layers/os/fileStamp.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { OpenduckError } from '../../proto/errors.js';
import { sideOf } from './exportState.js';

/** Bytes of one call; a multiple of what a chained checksum takes at a time. */
const PART_BYTES = 4 << 20;
/** DuckDB: `DUCK` stands behind the checksum of the file's header. */
const MAGIC_OFFSET = 8;
const MAGIC = Buffer.from('DUCK');

export interface ImportOptions {
  readonly commands: EngineCommands;
  /** Absolute. */
  readonly file: string;
  readonly database: string;
  readonly replace: boolean;
  readonly progress: {
    show(position: number, total: number): void;
    note(what: string): void;
  };
}

export interface ImportReport {
  readonly snapshot: SnapshotSummary;
  /** Of all files. */
  readonly bytes: number;
  readonly files: readonly string[];
  /** What an earlier run had brought in already. */
  readonly resumedFrom: number;
}

interface Source {
  readonly path: string;
  readonly suffix: string;
  readonly stamp: FileStamp;
}

async function requireDatabaseFile(path: string): Promise<FileStamp> {
  const stamp = await fileStamp(path);
  if (stamp === undefined) throw new OpenduckError('NOT_FOUND', `there is no file ${path}`);
  if (stamp.isFile && stamp.size > 0) {
    const file = await nodeDisk.open(path, 'read');
    try {
      const found = Buffer.alloc(MAGIC.length);
      await file.read(found, 0, MAGIC.length, MAGIC_OFFSET);
      if (found.equals(MAGIC)) return stamp;
    } finally {
      await file.close();
    }
  }
  throw new OpenduckError('INVALID_ARGUMENT', `${path} is not a DuckDB database file`);
}

/** The file, and what DuckDB keeps beside it. */
async function sourcesOf(path: string): Promise<Source[]> {
  const sources = [{ path, suffix: MAIN_SUFFIX, stamp: await requireDatabaseFile(path) }];
  for (const suffix of COMPANIONS) {
    const side = sideOf(path, suffix);
    const stamp = await fileStamp(side);
    if (stamp !== undefined && stamp.size > 0) sources.push({ path: side, suffix, stamp });
  }
  return sources;
}

const identityOf = (sources: readonly Source[]): string =>
  sources.map(({ path, stamp }) => `${path} ${stamp.identity}`).join('\n');

/** Throws BUSY when a file is not what it was, or when another one has come. */
async function requireUnchanged(sources: readonly Source[]): Promise<void> {
  const { path } = sources[0]!;
  if (identityOf(await sourcesOf(path)) === identityOf(sources)) return;
  throw new OpenduckError('BUSY', `${path} or its WAL changed while it was read`, {
    hint: 'Close it in DuckDB, then import it.',
  });
}

class Upload {
  readonly #options: ImportOptions;
  readonly #id: string;
  readonly #total: number;
  #done = 0;

  constructor(options: ImportOptions, id: string, total: number) {
    this.#options = options;
    this.#id = id;
    this.#total = total;
  }

  /** All of a file is read for its checksum; what is behind `from` is sent. */
  async send({ path, suffix, stamp: { size } }: Source, from: number): Promise<string> {
    const { progress } = this.#options;
    const checksum = new ChainedChecksum();
    const file = await nodeDisk.open(path, 'read');
    try {
      for (let at = 0; at < size; ) {
        progress.show(this.#done, this.#total);
        const bytes = await this.#read(file, at, Math.min(PART_BYTES, size - at));
        checksum.add(bytes);
        const end = at + bytes.length;
        if (end > from) await this.#append(suffix, Math.max(at, from), bytes, at);
        this.#done += bytes.length;
        at = end;
      }
    } finally {
      await file.close();
    }
    progress.show(this.#done, this.#total);
    return checksum.text;
  }

  async #read(file: DiskFile, at: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(length);
    if ((await file.read(bytes, 0, length, at)) === length) return bytes;
    throw new OpenduckError('BUSY', `${file.path} has become shorter while it was read`);
  }

  async #append(suffix: string, from: number, bytes: Buffer, at: number): Promise<void> {
    await this.#options.commands.appendImport(this.#id, suffix, from, bytes.subarray(from - at));
  }
}

/**
 * Throws ALREADY_EXISTS, NOT_FOUND, INVALID_ARGUMENT (no database), INVALID_NAME, BUSY, CORRUPT,
 * DISK_FULL, UNAVAILABLE, IO. What has arrived is kept for the next run, unless the file changed.
 */
export async function importFile(options: ImportOptions): Promise<ImportReport> {
  const { commands, file, database, replace, progress } = options;
  const sources = await sourcesOf(file);
  const { mode, uid, gid } = sources[0]!.stamp;
  const files = sources.map(({ suffix, stamp }) => ({ suffix, size: stamp.size }));
  const source = identityOf(sources);
  const request = { database, replace, source, files, mode: mode & 0o777, uid, gid };
  const { id, positions } = await commands.beginImport(request);
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const resumedFrom = positions.reduce((sum, position) => sum + position, 0);
  const upload = new Upload(options, id, bytes);
  const checksums: string[] = [];
  for (const [i, each] of sources.entries()) {
    checksums.push(await upload.send(each, positions[i] ?? 0));
  }
  try {
    await requireUnchanged(sources);
  } catch (error) {
    await commands.abandonImport(id);
    throw error;
  }
  progress.note('reading it back, and publishing');
  const snapshot = await commands.finishImport(id, checksums);
  return { snapshot, bytes, files: sources.map(({ path }) => path), resumedFrom };
}
