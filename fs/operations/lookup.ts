/**
 * Which node a name stands for, for this caller: the way from a path to a version.
 *
 *   the writer's process       the live set
 *   who opened the database    its side files of the same version (pins)
 *   everybody else             the newest version
 *   NAME@REF                   the snapshot
 *   .snapshots                 history.ts
 */
import { Errno } from '../../proto/fuse/constants.js';
import { decodeLookup } from '../../proto/fuse/requests/names.js';
import type { Image } from '../database/image.js';
import type { EngineDatabase } from '../engineOptions.js';
import { ErrnoAnswer } from '../errno.js';
import type { FileSystem } from '../fileSystem.js';
import {
  COMPANIONS,
  type FileName,
  MAIN_SUFFIX,
  MAX_NAME_BYTES,
  parseFileName,
  SPILL_SUFFIX,
} from '../names.js';
import type { Node, SpillDirectoryNode } from '../nodes/nodes.js';
import type { Answer, Call } from '../session/call.js';
import { SNAPSHOTS_NAME } from '../snapshotNames.js';
import type { Caller, Pin } from '../use/pins.js';
import { entryAnswer } from './attributes.js';
import { lookupHistory, openReference, readerNode } from './history.js';

const absent = (name: string): ErrnoAnswer => new ErrnoAnswer(Errno.ENOENT, `no ${name}`);

export function lookup(fs: FileSystem, call: Call): Answer | Promise<Answer> {
  const name = decodeLookup(call.request, call.header);
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw new ErrnoAnswer(Errno.ENAMETOOLONG, `name of ${name.length} characters`);
  }
  const parent = fs.nodes.get(call.header.nodeId);
  if (parent.kind === 'spillDirectory') {
    return lookupSpill(fs, parent, name).then((node) => entryAnswer(fs, node));
  }
  const thread = call.header.pid;
  if (parent.kind === 'snapshots' || parent.kind === 'history') {
    const caller = { thread, process: fs.callers.processOf(thread) };
    return lookupHistory(fs, parent, name, caller);
  }
  const parsed = parseFileName(name);
  if (parent.kind === 'root' && name === SNAPSHOTS_NAME) {
    return entryAnswer(fs, fs.nodes.history.root());
  }
  if (parent.kind !== 'root' || parsed === undefined) throw absent(name);
  if (parsed.suffix === SPILL_SUFFIX) {
    const directory = fs.spills.find(fs.callers.processOf(thread), name);
    if (directory === undefined) throw absent(name);
    return entryAnswer(fs, fs.nodes.spillDirectory(directory));
  }
  const caller = { thread, process: fs.callers.processOf(thread) };
  const pin =
    parsed.suffix === MAIN_SUFFIX ? undefined : fs.pins.find(parsed.database, parsed.ref, caller);
  if (parsed.ref !== undefined) {
    return lookupSnapshot(fs, parsed, pin);
  }
  const node = lookupFile(fs, parsed, caller, pin);
  if (node === undefined) throw absent(name);
  if (pin === undefined) fs.sideLookups.delete(thread);
  else fs.noteSideLookup(thread, node);
  return entryAnswer(fs, node);
}

async function lookupSpill(
  fs: FileSystem,
  parent: SpillDirectoryNode,
  name: string,
): Promise<Node> {
  const file = parent.directory.files.get(name);
  if (file === undefined) throw absent(name);
  await file.refresh();
  return fs.nodes.spillFile(file);
}

function lookupFile(
  fs: FileSystem,
  { database: name, suffix }: FileName,
  { thread, process }: Caller,
  pin: Pin | undefined,
): Node | undefined {
  const entry = fs.engine.find(name);
  const hint = fs.hints.of(thread)?.node;
  const isPromised = hint !== undefined && hint.entry === entry && hint.file.suffix === suffix;
  if (isPromised && !hint.entry.database.headLost) return hint;
  const writes = entry !== undefined && fs.useOf(entry).isWriter(process);
  if (pin !== undefined && pin.entry !== entry && !writes && COMPANIONS.has(suffix)) {
    // The name is another database's by now, or nobody's: the WAL is still that of the pinned one.
    const image = pin.version.files.get(suffix);
    return image && fs.nodes.reader(pin.entry, image);
  }
  if (entry === undefined) return undefined;
  // What is left may be a mix of times: better nothing than a wrong answer.
  if (entry.database.headLost) throw entry.database.damageError();
  const { database } = entry;
  if (writes) {
    const file = database.files.get(suffix);
    return file && (fs.nodes.liveOf(file) ?? fs.nodes.reader(entry, file.synced));
  }
  if (suffix === MAIN_SUFFIX) {
    const image = probedImage(fs, entry, { thread, process });
    if (image !== undefined) return fs.nodes.reader(entry, image);
  }
  const pinned = pin?.entry === entry ? pin?.version.files : undefined;
  const image = (pinned ?? visibleFiles(fs, entry, process)).get(suffix);
  if (image !== undefined) return fs.nodes.reader(entry, image);
  return undefined;
}

/** The database file as the thread had a look at it, if it still is that file. */
function probedImage(fs: FileSystem, entry: EngineDatabase, caller: Caller): Image | undefined {
  const probe = fs.pins.probeOf(entry.database.name, caller);
  if (probe?.entry !== entry) return undefined;
  const image = probe.version.files.get(MAIN_SUFFIX);
  return image?.file === entry.database.files.get(MAIN_SUFFIX) ? image : undefined;
}

const NO_FILES: ReadonlyMap<string, Image> = new Map();

/** The files of a database for a process that neither writes it nor has it open. */
export function visibleFiles(
  fs: FileSystem,
  entry: EngineDatabase,
  process: number,
): ReadonlyMap<string, Image> {
  // Its WAL lookups cannot be tied to its database: only versions without side files are safe.
  if (process === 0) return fs.useOf(entry).clean?.files ?? NO_FILES;
  return entry.database.head.files;
}

/** The reference is counted at once: a FORGET may come before a promise is looked at. */
async function lookupSnapshot(
  fs: FileSystem,
  { database: name, ref, suffix }: FileName,
  pin: Pin | undefined,
): Promise<Answer> {
  const entry = pin?.entry ?? fs.engine.find(name);
  if (entry === undefined) throw absent(name);
  const version = pin?.version.retain() ?? (await openReference(fs, entry, ref!));
  return entryAnswer(fs, readerNode(fs, entry, ref!, suffix, version));
}
