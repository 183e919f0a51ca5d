/**
 * `.snapshots`: what snapshots there are, as directories, so that shells complete them.
 *
 *   .snapshots/NAME/2026-11-25T03:14:15.250Z.duckdb[.wal]   the same file as NAME@REF.duckdb
 *
 * They are files, not links to `../../NAME@REF.duckdb`: DuckDB, cp, tar and backup tools get the
 * bytes and not a link that leads nowhere once it is copied (`cp -r`, `tar`), and the directory of
 * one database can be bind-mounted into a container, where the root of the mount is not there.
 *
 * Listing and looking cost one metadata query for all names. A name that is only looked at has a
 * node made of its metadata record; OPEN answers that with ESTALE once, and the lookup that follows
 * gives a reader node of the snapshot's image (open.ts has this for writers). It is not the one of
 * `NAME@REF`: there the file has its own time, here that of the commit, as it had when looked at.
 */

import type { SnapshotRecord } from '../../metadata/store.js';
import { OpenduckError } from '../../proto/errors.js';
import { Errno } from '../../proto/fuse/constants.js';
import type { Version } from '../database/image.js';
import { snapshotInode } from '../database/snapshotShelf.js';
import type { EngineDatabase } from '../engineOptions.js';
import { ErrnoAnswer } from '../errno.js';
import type { DirectoryEntry, FileSystem } from '../fileSystem.js';
import { MAIN_SUFFIX, SPILL_SUFFIX } from '../names.js';
import type { ListedFile } from '../nodes/historyTable.js';
import { Listing } from '../nodes/listing.js';
import type { HistoryNode, ListedNode, ReaderNode, SnapshotsNode } from '../nodes/nodes.js';
import type { Answer } from '../session/call.js';
import {
  parseReferenceName,
  type ReferenceName,
  SNAPSHOTS_NAME,
  suffixOf,
} from '../snapshotNames.js';
import { allSnapshots } from '../snapshotPages.js';
import type { Caller } from '../use/pins.js';
import { entryAnswer, historyInode } from './attributes.js';

/** The reference of nodes and pins: no name that `NAME@REF` could have. */
const referenceOf = (ref: string): string => `${SNAPSHOTS_NAME}/${ref}`;

const absent = (name: string): ErrnoAnswer => new ErrnoAnswer(Errno.ENOENT, `no ${name}`);

/** Any reference that means no snapshot is simply a name that is not there. */
async function resolve(
  fs: FileSystem,
  entry: EngineDatabase,
  ref: string,
): Promise<SnapshotRecord> {
  try {
    return await fs.engine.resolve(entry, ref);
  } catch (error) {
    if (error instanceof OpenduckError && error.code === 'INVALID_ARGUMENT') {
      fs.logger.info({ database: entry.database.name }, error.message);
      throw absent(ref);
    }
    throw error;
  }
}

/** The caller gets a reference of its own. Throws NOT_FOUND, CORRUPT, IO. */
export async function openReference(
  fs: FileSystem,
  entry: EngineDatabase,
  ref: string,
): Promise<Version> {
  return entry.snapshots.open(await resolve(fs, entry, ref));
}

/**
 * What a name in `.snapshots` or in one of its directories stands for. The kernel's reference is
 * counted where the node is found: a FORGET that comes before the answer would take it away.
 */
export async function lookupHistory(
  fs: FileSystem,
  parent: SnapshotsNode | HistoryNode,
  name: string,
  caller: Caller,
): Promise<Answer> {
  if (parent.kind === 'snapshots') {
    const entry = fs.engine.find(name);
    if (entry === undefined) throw absent(name);
    const node = fs.nodes.history.history(entry, () => newListing(fs, entry));
    return entryAnswer(fs, node);
  }
  const parsed = parseReferenceName(name);
  if (parsed === undefined) throw absent(name);
  if (parsed.suffix !== SPILL_SUFFIX) return lookupReference(fs, parent, parsed, caller);
  const directory = fs.spills.find(caller.process, spillNameIn(parent, name));
  if (directory === undefined) throw absent(name);
  return entryAnswer(fs, fs.nodes.spillDirectory(directory));
}

async function lookupReference(
  fs: FileSystem,
  { entry, listing }: HistoryNode,
  { ref, suffix }: ReferenceName,
  caller: Caller,
): Promise<Answer> {
  const reference = referenceOf(ref);
  const hint = fs.hints.of(caller.thread)?.node;
  if (hint?.kind === 'reader' && hint.entry === entry && hint.ref === reference) {
    if (hint.file.suffix === suffix) return entryAnswer(fs, hint);
  }
  const { name } = entry.database;
  const pin = suffix === MAIN_SUFFIX ? undefined : fs.pins.find(name, reference, caller);
  if (pin !== undefined) {
    return entryAnswer(fs, readerNode(fs, pin.entry, reference, suffix, pin.version.retain()));
  }
  // Its hints would be anybody's: it gets at once what it may open.
  if (caller.process === 0) {
    const version = await openReference(fs, entry, ref);
    return entryAnswer(fs, readerNode(fs, entry, reference, suffix, version));
  }
  const { history } = fs.nodes;
  const known = lookedAt(entry, ref, suffix, listing.find(ref));
  if (known !== undefined && history.opened(known, reference) === undefined) {
    return entryAnswer(fs, history.listed(known));
  }
  // It may be opened as it is: what the reference means now, not when it was listed.
  const file = lookedAt(entry, ref, suffix, await resolve(fs, entry, ref));
  if (file === undefined) throw absent(ref + suffix);
  return entryAnswer(fs, history.opened(file, reference) ?? history.listed(file));
}

const newListing = (fs: FileSystem, { database }: EngineDatabase): Listing =>
  new Listing(fs.clock, () => allSnapshots(fs.engine.options.metadata, database.id));

/** Takes over the caller's reference on the version. */
export function readerNode(
  fs: FileSystem,
  entry: EngineDatabase,
  ref: string,
  suffix: string,
  version: Version,
): ReaderNode {
  try {
    const image = version.files.get(suffix);
    if (image === undefined) throw absent(suffix);
    return fs.nodes.reader(entry, image, { text: ref, version });
  } finally {
    version.release();
  }
}

function lookedAt(
  entry: EngineDatabase,
  ref: string,
  suffix: string,
  snapshot: SnapshotRecord | undefined,
): ListedFile | undefined {
  const file = snapshot?.files.find((each) => suffixOf(each) === suffix);
  if (snapshot === undefined || file === undefined) return undefined;
  return { entry, ref, suffix, snapshot, size: file.size };
}

/** OPEN of a file that was only looked at: promises its reader node, then answers ESTALE. */
export async function openListed(fs: FileSystem, node: ListedNode, thread: number): Promise<never> {
  const { entry, ref, suffix } = node;
  const version = await openReference(fs, entry, ref);
  const reader = readerNode(fs, entry, referenceOf(ref), suffix, version);
  fs.promise(thread, reader, false);
  throw new ErrnoAnswer(Errno.ESTALE, 'look the open file up');
}

/** The names in a directory, as one moment's. */
export async function listHistory(
  fs: FileSystem,
  node: SnapshotsNode | HistoryNode,
): Promise<DirectoryEntry[]> {
  const entries: DirectoryEntry[] = [];
  if (node.kind === 'snapshots') {
    for (const entry of fs.engine.databases()) {
      const inode = historyInode(entry);
      entries.push({ name: entry.database.name, inode, directory: true });
    }
    return entries;
  }
  const { id } = node.entry.database;
  for (const [ref, snapshot] of await node.listing.load()) {
    for (const suffix of snapshot.files.map(suffixOf)) {
      const inode = snapshotInode(id, snapshot.id, suffix);
      entries.push({ name: ref + suffix, inode, directory: false });
    }
  }
  return entries;
}

/**
 * Under which a spill directory beside a snapshot is known: DuckDB makes `REF.duckdb.tmp` beside
 * the file that it opened, and needs it for large queries. The root lists no name with a slash.
 */
export function spillNameIn({ entry }: HistoryNode, name: string): string {
  return `${SNAPSHOTS_NAME}/${entry.database.name}/${name}`;
}
