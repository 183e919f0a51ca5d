/**
 * An export that is under way, as it is found again by the next run: the parts beside the file, and
 * a small file that says what they are of and how much of them is on the disk for sure.
 *
 *   FILE.part          the database file, until it is whole and takes the name FILE
 *   FILE.part.wal, …   its side files
 *   FILE.part.json     what this is an export of, and how far it came
 *   FILE.part.lock     keeps a second run out
 */
import { MAIN_SUFFIX } from '../../fs/names.js';
import type { ContentFile } from '../../fs/snapshotContent.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { readText } from '../../layers/os/textFile.js';
import { writeDurableText } from '../durableText.js';

export interface ExportState {
  readonly format: 1;
  readonly snapshot: string;
  readonly files: readonly ContentFile[];
  /** Bytes that are on the disk, counted over all files. */
  readonly position: number;
  /** All bytes are there, and DuckDB may have begun to put the WAL into the file. */
  readonly copied: boolean;
}

export const partOf = (file: string, suffix: string): string =>
  `${file}.part${suffix.slice(MAIN_SUFFIX.length)}`;

/** Where a side file of FILE goes. */
export const sideOf = (file: string, suffix: string): string =>
  `${file}${suffix.slice(MAIN_SUFFIX.length)}`;

export const lockOf = (file: string): string => `${file}.part.lock`;
const stateOf = (file: string): string => `${file}.part.json`;

function parse(text: string | undefined): ExportState | undefined {
  try {
    const value = JSON.parse(text ?? '') as ExportState;
    return value.format === 1 && Number.isSafeInteger(value.position) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What the run before has left of the same export; undefined: nothing that can be used. */
export async function readState(
  file: string,
  snapshot: string,
  files: readonly ContentFile[],
  checkpoint: boolean,
): Promise<ExportState | undefined> {
  const state = parse(await readText(stateOf(file)));
  if (state?.snapshot !== snapshot) return undefined;
  if (JSON.stringify(state.files) !== JSON.stringify(files)) return undefined;
  if (state.copied) {
    // DuckDB may have come to the end of a checkpoint: then there is no WAL any more.
    const needed = checkpoint ? [MAIN_SUFFIX] : files.map(({ suffix }) => suffix);
    const sizes = await Promise.all(needed.map((suffix) => nodeDisk.size(partOf(file, suffix))));
    return sizes.includes(undefined) ? undefined : state;
  }
  let start = 0;
  for (const { suffix, size } of files) {
    const needed = Math.min(size, Math.max(0, state.position - start));
    if (((await nodeDisk.size(partOf(file, suffix))) ?? 0) < needed) return undefined;
    start += size;
  }
  return state;
}

export function writeState(file: string, state: ExportState): Promise<void> {
  return writeDurableText(stateOf(file), `${JSON.stringify(state)}\n`);
}

export async function removeState(file: string): Promise<void> {
  await nodeDisk.remove(stateOf(file));
  await nodeDisk.remove(`${stateOf(file)}.new`);
}

/** All but the lock. `suffixes`: of the side files. */
export async function removeParts(file: string, suffixes: Iterable<string>): Promise<void> {
  await removeState(file);
  await nodeDisk.removeTree(partOf(file, `${MAIN_SUFFIX}.tmp`)); // where DuckDB has spilled
  for (const suffix of suffixes) await nodeDisk.remove(partOf(file, suffix));
}
