/**
 * Databases that are brought in from outside of the mount. The bytes come in parts and are staged
 * in `imports/ID/` of the data directory; `finish` makes a layer of them, reads that back, compares
 * it with the checksums of the source, and publishes it in one transaction. Before that, nobody
 * sees anything of it.
 *
 * What was staged survives the end of the process: ID is a hash of what is imported to where, so
 * that the same import finds it again. Bytes that a power cut damaged do not have the source's
 * checksum in the end; then they are forgotten, and the next run begins anew.
 */
import { join } from 'node:path';
import { checksum64 } from '../layers/checksum.js';
import type { SnapshotRecord } from '../metadata/store.js';
import { assert, errorCode, OpenduckError } from '../proto/errors.js';
import type { Engine } from './engine.js';
import type { EngineDatabase } from './engineOptions.js';
import { COMPANIONS, MAIN_SUFFIX, parseNewName } from './names.js';
import type { ContentFile } from './snapshotContent.js';
import { type StagedFile, storeImport } from './storeImport.js';
import { whileAtRest } from './whileAtRest.js';

export interface ImportRequest {
  /** Of the database, without `.duckdb`. */
  readonly database: string;
  /** Whether a database of that name is written over; its old content stays as a snapshot. */
  readonly replace: boolean;
  /** Tells the source from others; any text. */
  readonly source: string;
  readonly files: readonly ContentFile[];
  /** Permission bits and owner of the files. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface BegunImport {
  readonly id: string;
  /** How much of each file is there already. */
  readonly positions: readonly number[];
}

interface Running {
  readonly request: ImportRequest;
  readonly directory: string;
  finishing: boolean;
}

const BUSY_HINT = 'Close it there, then run the import again: what has arrived is kept.';
/** Imports that were ended, of which what they have staged is kept. */
const MAX_FORGOTTEN = 4;

export class Imports {
  readonly #engine: Engine;
  /** By id. */
  readonly #running = new Map<string, Running>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get #root(): string {
    return join(this.#engine.options.dataDir, 'imports');
  }

  /** Throws ALREADY_EXISTS, INVALID_NAME, INVALID_ARGUMENT, READ_ONLY, BUSY, DISK_FULL, IO. */
  async begin(request: ImportRequest): Promise<BegunImport> {
    requireImportable(request);
    if (this.#engine.options.readOnly) {
      throw new OpenduckError('READ_ONLY', 'the mount is read-only');
    }
    await this.#engine.refresh();
    this.#target(request);
    const { database, source, files } = request;
    const key = JSON.stringify([database, source, files]);
    const id = checksum64(Buffer.from(key)).toString(16).padStart(16, '0');
    if (this.#running.get(id)?.finishing === true) {
      throw new OpenduckError('BUSY', `${database}: the same import is being finished already`);
    }
    const directory = join(this.#root, id);
    await this.#forgetOthers(id);
    await this.#engine.options.disk.makeDirectory(directory);
    this.#running.set(id, { request, directory, finishing: false });
    const positions: number[] = [];
    for (const { suffix, size } of files) {
      positions.push(Math.min(size, await this.#staged(directory, suffix)));
    }
    return { id, positions };
  }

  /** What is there to be written over. Throws ALREADY_EXISTS. */
  #target({ database, replace }: ImportRequest): EngineDatabase | undefined {
    const entry = this.#engine.find(database);
    // A database without any commit is what an import leaves that was killed at its very end.
    if (entry === undefined || replace || entry.database.head.number === 0) return entry;
    throw new OpenduckError('ALREADY_EXISTS', `there is a database ${database} already`, {
      database,
      hint: 'Choose another name, or write over it with --replace: its content stays a snapshot.',
    });
  }

  async #staged(directory: string, suffix: string): Promise<number> {
    return (await this.#engine.options.disk.size(fileIn(directory, suffix))) ?? 0;
  }

  /** Removes what others left behind, but for a few. */
  async #forgetOthers(id: string): Promise<void> {
    const { disk } = this.#engine.options;
    const left = (await disk.list(this.#root)).filter((n) => n !== id && !this.#running.has(n));
    for (const name of left.slice(0, Math.max(0, left.length - MAX_FORGOTTEN))) {
      await disk.removeTree(join(this.#root, name));
    }
  }

  #find(id: string): Running {
    const running = this.#running.get(id);
    if (running !== undefined && !running.finishing) return running;
    throw new OpenduckError('NOT_FOUND', `no import ${id} is under way`, {
      hint: 'Begin it again: it goes on where it was.',
    });
  }

  /** Throws NOT_FOUND, INVALID_ARGUMENT (not where the file ends), DISK_FULL, IO. */
  async append(id: string, suffix: string, offset: number, bytes: Buffer): Promise<void> {
    const { directory, request } = this.#find(id);
    const file = request.files.find((each) => each.suffix === suffix);
    const position = await this.#staged(directory, suffix);
    if (file === undefined || offset !== position || offset + bytes.length > file.size) {
      const what = `bytes ${offset}+${bytes.length} of ${suffix} do not go on at ${position}`;
      throw new OpenduckError('INVALID_ARGUMENT', `import of ${request.database}: ${what}`);
    }
    const { disk } = this.#engine.options;
    const staged = await disk.open(fileIn(directory, suffix), position > 0 ? 'write' : 'scratch');
    try {
      await staged.write(bytes, 0, bytes.length, offset);
    } finally {
      await staged.close();
    }
  }

  /**
   * Resolves when the database is published. Throws CORRUPT (what arrived is not what the source
   * has: it is forgotten), BUSY (somebody writes the database), ALREADY_EXISTS, NOT_FOUND,
   * LEASE_LOST, UNAVAILABLE, DISK_FULL, IO; nothing has changed then.
   */
  async finish(
    id: string,
    checksums: readonly string[],
  ): Promise<{ readonly database: string; readonly snapshot: SnapshotRecord }> {
    const running = this.#find(id);
    const { request, directory } = running;
    const files: StagedFile[] = [];
    for (const [i, file] of request.files.entries()) {
      const { suffix, size } = file;
      const staged = await this.#staged(directory, suffix);
      if (staged !== size) {
        const what = `${suffix} has ${staged} of ${size} bytes`;
        throw new OpenduckError('INVALID_ARGUMENT', `import of ${request.database}: ${what}`);
      }
      files.push({ ...file, path: fileIn(directory, suffix), checksum: checksums[i] ?? '' });
    }
    running.finishing = true;
    try {
      const snapshot = await this.#publish(request, files);
      await this.#forget(id).catch(() => {}); // it is there; what was staged is only wasted space
      return { database: request.database, snapshot };
    } catch (error) {
      if (errorCode(error) === 'CORRUPT') await this.#forget(id);
      throw error;
    } finally {
      running.finishing = false;
    }
  }

  async #publish(request: ImportRequest, files: readonly StagedFile[]): Promise<SnapshotRecord> {
    const engine = this.#engine;
    const known = this.#target(request);
    const entry = known ?? (await engine.create(request.database));
    try {
      const now = engine.options.clock.monotonic();
      return await whileAtRest(engine, entry, now, BUSY_HINT, async () => {
        await engine.own(entry);
        // Another host may have been faster.
        if (known === undefined || !request.replace) this.#target(request);
        return entry.publisher.replaceHead((parent) =>
          storeImport(engine.options, entry.database, parent, { ...request, files }),
        );
      });
    } catch (error) {
      const isEmpty = entry.publisher.snapshot === undefined && entry.database.head.number === 0;
      if (known === undefined && isEmpty) await engine.drop(entry).catch(() => {});
      throw error;
    } finally {
      entry.ownership.idle();
    }
  }

  /** Throws IO. */
  async abandon(id: string): Promise<void> {
    if (this.#running.get(id)?.finishing === true) return;
    if (this.#running.has(id)) await this.#forget(id);
  }

  async #forget(id: string): Promise<void> {
    this.#running.delete(id);
    await this.#engine.options.disk.removeTree(join(this.#root, id));
  }
}

/** The suffix was checked: it is `.duckdb` or that of a companion. */
function fileIn(directory: string, suffix: string): string {
  assert(isOwn(suffix), `suffix ${suffix}`);
  return join(directory, `file${suffix}`);
}

const isOwn = (suffix: string): boolean => suffix === MAIN_SUFFIX || COMPANIONS.has(suffix);

/** Throws INVALID_NAME, INVALID_ARGUMENT. */
function requireImportable({ database, files }: ImportRequest): void {
  const parsed = parseNewName(database + MAIN_SUFFIX);
  if (parsed.database !== database || parsed.suffix !== MAIN_SUFFIX || database.includes('/')) {
    throw new OpenduckError('INVALID_NAME', `'${database}' cannot be the name of a database`);
  }
  const suffixes = files.map(({ suffix }) => suffix);
  if (suffixes[0] !== MAIN_SUFFIX || new Set(suffixes).size < files.length) {
    throw new OpenduckError('INVALID_ARGUMENT', `import of ${database}: no database file`);
  }
  const foreign = suffixes.find((suffix) => !isOwn(suffix));
  if (foreign === undefined) return;
  throw new OpenduckError('INVALID_ARGUMENT', `import of ${database}: what is ${foreign}?`);
}
