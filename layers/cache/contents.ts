/**
 * What a cache directory has: found out at start, in the order in which it was used before.
 *
 * The order is one file, a name a line, the least recently used first; it is written from time to
 * time and at the end. (The files' own times would cost a write of an inode for every chunk that is
 * read, and the kernel does not keep access times on most mounts.) Nothing depends on it: a name
 * counts only when its file is there, and files that it does not name are taken as the newest.
 */
import { join } from 'node:path';
import { inLanes } from '../lanes.js';
import type { Disk } from '../os/disk.js';
import { bytesOnDisk, type CacheIndex, type Victim } from './cacheIndex.js';
import {
  BUCKETS,
  bucketName,
  bucketOf,
  entryPath,
  INCOMING,
  isDraftName,
  isEntryName,
  ORDER,
} from './names.js';

/** A longer order is not read: 2 million chunks. */
const MAX_ORDER_BYTES = 128 << 20;
const LOOKS_IN_FLIGHT = 4;

export interface Contents {
  readonly disk: Disk;
  readonly directory: string;
  readonly index: CacheIndex;
  /** Whether this process is writing the file. */
  inUse(path: string): boolean;
  /** Removes what does not fit. */
  remove(victims: readonly Victim[]): Promise<void>;
  stopped(): boolean;
}

/**
 * Puts all entries into the index, removes what is beyond its limit and what nobody can use.
 * Throws what the disk throws; it may be repeated then.
 */
export async function loadContents(contents: Contents): Promise<void> {
  const { disk, directory, index } = contents;
  for (const name of await disk.list(join(directory, INCOMING))) {
    const path = join(directory, INCOMING, name);
    if (isDraftName(name) && !contents.inUse(path)) await disk.remove(path);
  }
  await addAll(contents, await readOrder(disk, directory));
  for (let bucket = 0; bucket < BUCKETS && !contents.stopped(); bucket++) {
    const folder = bucketName(bucket);
    const names = (await disk.list(join(directory, folder))).filter(isEntryName);
    for (const name of names) {
      if (bucketOf(name) !== folder) await disk.remove(join(directory, folder, name));
    }
    await addAll(
      contents,
      names.filter((name) => bucketOf(name) === folder),
    );
  }
  const used = index.names().filter((name) => index.peek(name)?.verified);
  for (const name of used) index.touch(name); // since the start: the newest of all
}

async function addAll(contents: Contents, names: readonly string[]): Promise<void> {
  const { disk, directory, index } = contents;
  await inLanes(names.length, LOOKS_IN_FLIGHT, async (i) => {
    const name = names[i]!;
    if (index.has(name) || contents.stopped()) return;
    const size = await disk.size(entryPath(directory, name));
    if (size === undefined || index.has(name)) return;
    index.add(name, bytesOnDisk(size), false);
    await contents.remove(index.trim());
  });
}

async function readOrder(disk: Disk, directory: string): Promise<string[]> {
  const path = join(directory, ORDER);
  const size = await disk.size(path);
  if (size === undefined || size > MAX_ORDER_BYTES) return [];
  const file = await disk.open(path, 'read');
  try {
    const bytes = Buffer.allocUnsafeSlow(size);
    const read = await file.read(bytes, 0, size, 0);
    return bytes.toString('latin1', 0, read).split('\n').filter(isEntryName);
  } finally {
    await file.close();
  }
}

/** Writes the order by way of `draft`. Throws what the disk throws. */
export async function saveOrder(
  disk: Disk,
  directory: string,
  draft: string,
  names: readonly string[],
): Promise<void> {
  const bytes = Buffer.from(`${names.join('\n')}\n`, 'latin1');
  await writeDraft(disk, draft, [bytes]);
  await disk.rename(draft, join(directory, ORDER), false);
}

/** A new file of these parts. */
export async function writeDraft(disk: Disk, path: string, parts: readonly Buffer[]) {
  const file = await disk.open(path, 'scratch');
  try {
    let at = 0;
    for (const part of parts) {
      await file.write(part, 0, part.length, at);
      at += part.length;
    }
  } finally {
    await file.close();
  }
}
