/** Copies a snapshot's files out, part by part, so that a run that was ended can go on. */
import type { EngineCommands } from '../../fs/engineCommands.js';
import { COMPANIONS, MAIN_SUFFIX } from '../../fs/names.js';
import type { ContentFile } from '../../fs/snapshotContent.js';
import type { DiskFile } from '../../layers/os/disk.js';
import { lockFile } from '../../layers/os/lockFile.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { OpenduckError } from '../../proto/errors.js';
import { checkpointFile } from '../duckdb/helper.js';
import {
  type ExportState,
  lockOf,
  partOf,
  readState,
  removeParts,
  removeState,
  sideOf,
  writeState,
} from './exportState.js';

/** Bytes that one call asks for, and calls under way at a time. */
const PART_BYTES = 4 << 20;
const CALLS_IN_FLIGHT = 4;
/** Bytes after which they are made durable and noted. */
const NOTE_BYTES = 64 << 20;

export interface ExportOptions {
  readonly commands: EngineCommands;
  readonly database: string;
  /** Id of the snapshot. */
  readonly snapshot: string;
  /** Absolute. */
  readonly file: string;
  /** Whether what is there already is written over. */
  readonly force: boolean;
  /** Whether the WAL is put into the file; else it is left beside it. */
  readonly checkpoint: boolean;
  readonly progress: {
    show(position: number, total: number): void;
    note(what: string): void;
  };
}

export interface ExportReport {
  /** Of all files that were written. */
  readonly bytes: number;
  readonly files: readonly string[];
  /** Where an earlier run had ended; 0: this one did all. */
  readonly resumedFrom: number;
  /** A WAL was put into the file. */
  readonly checkpointed: boolean;
}

const ALL_SUFFIXES = [MAIN_SUFFIX, ...COMPANIONS];

async function requireFree(file: string): Promise<void> {
  for (const suffix of ALL_SUFFIXES) {
    const path = sideOf(file, suffix);
    if ((await nodeDisk.size(path)) === undefined) continue;
    throw new OpenduckError('ALREADY_EXISTS', `${path} exists`, {
      hint: 'Choose another name, or write over it with --force.',
    });
  }
}

/** Throws ALREADY_EXISTS, BUSY, CORRUPT, NOT_FOUND, DISK_FULL, UNAVAILABLE, IO. */
export async function exportSnapshot(options: ExportOptions): Promise<ExportReport> {
  const { commands, database, snapshot, file, force } = options;
  if (!force) await requireFree(file);
  const content = await commands.describeSnapshot(database, snapshot);
  const files = content.files.filter(({ suffix }) => ALL_SUFFIXES.includes(suffix));
  if (files.find(({ suffix }) => suffix === MAIN_SUFFIX) === undefined) {
    throw new OpenduckError('NOT_FOUND', `${database}: the snapshot has no database file`);
  }
  const lock = await lockFile(lockOf(file));
  try {
    const before = await readState(file, snapshot, files, options.checkpoint);
    if (before?.copied !== true) await copyFiles(options, files, before);
    return await finish(options, files, before?.position ?? 0);
  } finally {
    await nodeDisk.remove(lockOf(file));
    await lock.release();
  }
}

class Copy {
  readonly #options: ExportOptions;
  readonly #files: readonly ContentFile[];
  readonly #open: DiskFile[] = [];
  readonly total: number;
  position: number;

  constructor(options: ExportOptions, files: readonly ContentFile[], position: number) {
    this.#options = options;
    this.#files = files;
    this.position = position;
    this.total = files.reduce((sum, { size }) => sum + size, 0);
  }

  async open(isNew: boolean): Promise<void> {
    for (const { suffix } of this.#files) {
      const path = partOf(this.#options.file, suffix);
      this.#open.push(await nodeDisk.open(path, isNew ? 'create' : 'write'));
    }
  }

  async close(): Promise<void> {
    for (const file of this.#open) await file.close();
  }

  /** Makes durable what is there, and says so to the next run. */
  async note(copied: boolean): Promise<void> {
    for (const file of this.#open) await file.dataSync();
    const { file, snapshot } = this.#options;
    const { position } = this;
    const state: ExportState = { format: 1, snapshot, files: this.#files, position, copied };
    await writeState(file, state);
  }

  /** The ranges that are left. */
  *#parts() {
    let start = 0;
    for (const [i, { suffix, size }] of this.#files.entries()) {
      const end = start + size;
      for (let at = Math.max(start, this.position); at < end; ) {
        const length = Math.min(PART_BYTES, end - at);
        yield { target: this.#open[i]!, suffix, offset: at - start, length };
        at += length;
      }
      start = end;
    }
  }

  async run(): Promise<void> {
    const { progress } = this.#options;
    const parts = [...this.#parts()];
    let noted = this.position;
    for (let first = 0; first < parts.length; first += CALLS_IN_FLIGHT) {
      progress.show(this.position, this.total);
      const batch = parts.slice(first, first + CALLS_IN_FLIGHT);
      await settledAll(batch.map((part) => this.#copy(part)));
      for (const { length } of batch) this.position += length;
      if (this.position - noted < NOTE_BYTES) continue;
      await this.note(false);
      noted = this.position;
    }
    progress.show(this.position, this.total);
  }

  async #copy(part: { target: DiskFile; suffix: string; offset: number; length: number }) {
    const { commands, database, snapshot } = this.#options;
    const { target, suffix, offset, length } = part;
    const bytes = await commands.readSnapshot(database, snapshot, suffix, offset, length);
    if (bytes.length !== length) {
      throw new OpenduckError('IO', `${suffix}: ${bytes.length} bytes instead of ${length}`);
    }
    await target.write(bytes, 0, length, offset);
  }
}

/** No file is closed while it is written to. */
async function settledAll(work: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function copyFiles(
  options: ExportOptions,
  files: readonly ContentFile[],
  before: ExportState | undefined,
): Promise<void> {
  if (before === undefined) await removeParts(options.file, ALL_SUFFIXES);
  const copy = new Copy(options, files, before?.position ?? 0);
  try {
    await copy.open(before === undefined);
    if (before === undefined) await copy.note(false);
    await copy.run();
    await copy.note(true);
  } finally {
    await copy.close();
  }
}

/** Puts the WAL into the file; afterwards the part is a database by itself, and durable. */
async function checkpointPart({ file, progress }: ExportOptions): Promise<void> {
  const part = partOf(file, MAIN_SUFFIX);
  progress.note('DuckDB puts the WAL into the file');
  try {
    await checkpointFile(part);
  } catch (cause) {
    throw new OpenduckError('CORRUPT', `the copy ${part} cannot be checkpointed`, {
      cause,
      hint: 'Take an older snapshot (DB@~1), or --no-checkpoint to get the WAL as it is.',
    });
  }
  for (const suffix of COMPANIONS) {
    const path = partOf(file, suffix);
    if (((await nodeDisk.size(path)) ?? 0) > 0) {
      throw new OpenduckError('IO', `DuckDB has left ${path} behind`);
    }
    await nodeDisk.remove(path);
  }
}

async function finish(
  options: ExportOptions,
  files: readonly ContentFile[],
  resumedFrom: number,
): Promise<ExportReport> {
  const { file, force, checkpoint } = options;
  const checkpointed = checkpoint && files.length > 1;
  if (checkpointed) await checkpointPart(options);
  const kept = checkpointed ? [MAIN_SUFFIX] : files.map(({ suffix }) => suffix);
  let bytes = 0;
  for (const suffix of kept) bytes += await makeDurable(partOf(file, suffix));
  if (!force) await requireFree(file);
  // From here on the parts are of no use to another run: one of them may have its name already.
  await removeState(file);
  // An old WAL must never stand beside the new file: DuckDB would take it for its own.
  for (const suffix of COMPANIONS) await nodeDisk.remove(sideOf(file, suffix));
  const names: string[] = [];
  for (const suffix of kept.toReversed()) {
    await nodeDisk.rename(partOf(file, suffix), sideOf(file, suffix));
    names.unshift(sideOf(file, suffix));
  }
  await removeParts(file, ALL_SUFFIXES);
  return { bytes, files: names, resumedFrom, checkpointed };
}

async function makeDurable(path: string): Promise<number> {
  const file = await nodeDisk.open(path, 'write');
  try {
    await file.dataSync();
    return await file.size();
  } finally {
    await file.close();
  }
}
