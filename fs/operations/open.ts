/**
 * OPEN, CREATE and RELEASE: who gets which node, and the ESTALE split (design §4.2). An OPEN on the
 * wrong node is answered with ESTALE once; the kernel looks the name up again, and the hint left
 * for the calling thread gives it the right one.
 */
import { audit } from '../../proto/audit.js';
import { OpenduckError } from '../../proto/errors.js';
import { Errno, OpenReplyFlag } from '../../proto/fuse/constants.js';
import { openOut } from '../../proto/fuse/replies.js';
import { decodeCreate, decodeOpen, decodeRelease } from '../../proto/fuse/requests/files.js';
import type { Version } from '../database/image.js';
import type { LiveFile } from '../database/liveFile.js';
import { ErrnoAnswer } from '../errno.js';
import type { FileSystem, Handle } from '../fileSystem.js';
import { COMPANIONS, MAIN_SUFFIX, MAX_NAME_BYTES, parseNewName, SPILL_SUFFIX } from '../names.js';
import type { FileNode, LiveNode, ReaderNode } from '../nodes/nodes.js';
import { type Answer, type Call, DONE, type Encoder, joined } from '../session/call.js';
import { type DatabaseUse, unknownCaller } from '../use/databaseUse.js';
import { actorOf } from './actor.js';
import { entryAnswer } from './attributes.js';
import { openListed } from './history.js';
import { readOnlyHistory, requireNoHistory } from './readOnlyHistory.js';
import { createSpill, openSpill } from './spillFiles.js';
import { truncateFile } from './truncation.js';

const O_ACCMODE = 3;
const O_TRUNC = 0o1000;
const O_EXCL = 0o200;
const O_APPEND = 0o2000;

const isWrite = (flags: number): boolean => (flags & (O_ACCMODE | O_TRUNC)) !== 0;

/** Page caches belong to images, so they are always kept; readers have nothing to flush. */
function openAnswer(handle: Handle): Encoder {
  const replyFlags = OpenReplyFlag.KEEP_CACHE | (handle.writes ? 0 : OpenReplyFlag.NOFLUSH);
  return (out, at) => openOut(out, at, { handle: handle.id, replyFlags, backingId: 0 });
}

const stale = (why: string): ErrnoAnswer => new ErrnoAnswer(Errno.ESTALE, why);

export async function open(fs: FileSystem, call: Call): Promise<Answer> {
  const { flags } = decodeOpen(call.request, call.header);
  const { nodeId, pid: thread } = call.header;
  const node = fs.nodes.get(nodeId);
  switch (node.kind) {
    case 'root':
    case 'spillDirectory':
    case 'snapshots':
    case 'history':
      throw new ErrnoAnswer(Errno.EISDIR, 'a directory');
    case 'listed':
      if (isWrite(flags)) throw readOnlyHistory(node.ref + node.suffix);
      return openListed(fs, node, thread);
    case 'spillFile':
      return openSpill(fs, node, (flags & O_TRUNC) !== 0, fs.callers.processOf(thread));
    default:
      if (isWrite(flags)) return openAnswer(await openForWriting(fs, call, node, flags));
      return openAnswer(openForReading(fs, node, thread));
  }
}

/** Which version a reader of this node gets, with the node's image in it. */
function versionOf(node: ReaderNode, probed: Version | undefined): Version {
  const { head, dropped } = node.entry.database;
  // Also when the node has an older version: the file was renamed away and back.
  if (!dropped && head.files.get(MAIN_SUFFIX) === node.image) return head;
  if (probed?.files.get(MAIN_SUFFIX) === node.image) return probed;
  if (node.version !== undefined) return node.version;
  if (dropped) throw stale('the database is gone');
  // A second node of an image that was replaced meanwhile: the first one has the version.
  throw stale('the image was replaced');
}

function openForReading(fs: FileSystem, node: FileNode, thread: number): Handle {
  const process = fs.callers.processOf(thread);
  const { entry } = node;
  const use = fs.useOf(entry);
  if (node.kind === 'reader') {
    const handle = fs.addHandle(node, readerDetails(fs, use, node, thread, process));
    if (fs.hints.of(thread)?.node === node) fs.hints.take(thread);
    return handle;
  }
  if (!node.file.hasContent) throw stale('the file was unlinked');
  // The live node is for its writers, and for what has no other node.
  if (!use.isWriter(process) && node.file.linked) {
    const image = process === 0 ? use.clean?.files.get(node.file.suffix) : node.file.synced;
    if (image !== undefined) fs.promise(thread, fs.nodes.reader(entry, image), false);
    throw stale('the live file is its writer’s');
  }
  if (node.file.suffix === MAIN_SUFFIX) {
    fs.probes.note(thread, node.file, node.file.contentNumber);
  }
  return fs.addHandle(node, { process, live: node.file });
}

/** A reader of the database file pins the version, so that it gets the side files of the same. */
function readerDetails(
  fs: FileSystem,
  use: DatabaseUse,
  node: ReaderNode,
  thread: number,
  process: number,
): Omit<Handle, 'id' | 'nodeId'> {
  if (node.file.suffix !== MAIN_SUFFIX || process === 0) return { process };
  if (fs.sideLookups.get(thread) === node.id) return { process };
  const pins = fs.pins.of(node.entry.database.name, node.ref);
  fs.probes.note(thread, node.file, node.image.contentNumber);
  const probed = pins.probeOf({ thread, process });
  const own = probed?.entry === node.entry ? probed.version : undefined;
  const pin = pins.add({ thread, process }, node.entry, versionOf(node, own));
  return node.ref === undefined ? { process, pin, pins, reads: use } : { process, pin, pins };
}

async function openForWriting(
  fs: FileSystem,
  call: Call,
  node: FileNode,
  flags: number,
): Promise<Handle> {
  const { entry } = node;
  const thread = call.header.pid;
  const name = entry.database.name + node.file.suffix;
  if (fs.readOnly || (node.kind === 'reader' && node.ref !== undefined)) {
    throw new OpenduckError('READ_ONLY', `${name} is opened read-only only`, {
      database: entry.database.name,
      hint: 'Snapshots and read-only mounts cannot be written to.',
    });
  }
  const process = fs.callers.processOf(thread);
  const use = fs.useOf(entry);
  if (process === 0 || (flags & O_TRUNC) !== 0) use.requireMayChange(process, `opening ${name}`);
  // First: when it is refused, the kernel looks the name up again, and has to find the same.
  requireOwnWal(fs, use, node.file.suffix, flags, process);
  return fs.changing(entry, async () => {
    fs.changedBy(entry, process);
    const file = fs.liveFileOf(node);
    if (file === undefined) {
      fs.promiseSuccessor(node, thread);
      throw stale('the file was replaced');
    }
    await entry.database.prepareForWriting();
    if (!file.hasContent) throw stale('the file was unlinked meanwhile');
    const live = liveNodeFor(fs, node, file, thread);
    const handle = grantWriting(fs, call, live, process, flags);
    fs.hints.take(thread); // after the handle is there: no gap in which the set could settle
    return handle;
  });
}

/** Whether DuckDB opens its own WAL: copies are not opened for appending. */
const ownWal = (suffix: string, flags: number): boolean =>
  COMPANIONS.has(suffix) && (flags & O_APPEND) !== 0;

/**
 * DuckDB appends to a WAL only while it holds the database's write lock. One that does not, has its
 * handle on the database from an earlier mount: its WAL may not fit to what others did since.
 * Answers ESTALE, which the caller gets to see.
 */
function requireOwnWal(
  fs: FileSystem,
  use: DatabaseUse,
  suffix: string,
  flags: number,
  process: number,
): void {
  if (!ownWal(suffix, flags) || use.lockHolder === process) return;
  const database = use.entry.database.name;
  const text =
    'refused a WAL of a process without the write lock: it opened the database through ' +
    'an earlier mount and has to open it again';
  fs.logger.warn({ database, process }, text);
  throw stale('the database was opened through an earlier mount');
}

/** The live node, or ESTALE with a promise of it. */
function liveNodeFor(fs: FileSystem, node: FileNode, file: LiveFile, thread: number): LiveNode {
  const live = fs.forWriting(node.id, file, thread);
  if (live !== undefined) return live;
  fs.promise(thread, fs.nodes.live(node.entry, file), true);
  throw stale('the live file is another node');
}

function grantWriting(
  fs: FileSystem,
  call: Call,
  node: LiveNode,
  process: number,
  flags: number,
): Handle {
  if ((flags & O_TRUNC) !== 0 && node.file.size > 0) {
    truncateFile(fs, call, node.entry, node.file, 0);
  }
  return fs.addHandle(node, {
    process,
    live: node.file,
    ...((flags & O_ACCMODE) !== 0 && { writes: fs.useOf(node.entry) }),
  });
}

export async function create(fs: FileSystem, call: Call): Promise<Answer> {
  const { name, flags, mode } = decodeCreate(call.request, call.header);
  const { nodeId, pid: thread, uid, gid } = call.header;
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw new ErrnoAnswer(Errno.ENAMETOOLONG, `name of ${name.length} characters`);
  }
  const parent = fs.nodes.get(nodeId);
  const owner = { mode: mode & 0o7777, uid, gid };
  const process = fs.callers.processOf(thread);
  requireNoHistory(parent, name);
  if (parent.kind === 'spillDirectory') return createSpill(fs, parent, name, owner, process);
  const parsed = parseNewName(name);
  if (parent.kind !== 'root' || parsed.suffix === SPILL_SUFFIX) {
    throw new OpenduckError('NOT_PERMITTED', `${name} cannot be a file here`);
  }
  if (fs.readOnly) throw new OpenduckError('READ_ONLY', 'the mount is read-only');
  if (process === 0) throw unknownCaller(parsed.database, `creating ${name}`);
  if (fs.engine.find(parsed.database) === undefined && ownWal(parsed.suffix, flags)) {
    throw stale('a WAL of no database'); // before there is one of that name
  }
  const entry = await fs.engine.findOrCreate(parsed.database);
  const { database } = entry;
  const use = fs.useOf(entry);
  use.requireMayChange(process, `creating ${name}`);
  requireOwnWal(fs, use, parsed.suffix, flags, process);
  const actor = actorOf(fs, call);
  return fs.changing(entry, async () => {
    const existing = database.files.get(parsed.suffix);
    if (existing !== undefined && (flags & O_EXCL) !== 0) {
      throw new OpenduckError('ALREADY_EXISTS', `${name} exists`, { database: database.name });
    }
    fs.changedBy(entry, process);
    await database.prepareForWriting();
    const attributes = { ...owner, modified: fs.clock.now() };
    const file = existing ?? (await database.create(parsed.suffix, attributes));
    if (existing === undefined && parsed.suffix === MAIN_SUFFIX) {
      const fields = { database: database.name, id: database.id };
      audit(fs.logger, 'create', actor, fields, 'a database was created');
    }
    const node = fs.nodes.live(entry, file);
    const handle = grantWriting(fs, call, node, process, flags);
    return joined(entryAnswer(fs, node), openAnswer(handle));
  });
}

export function release(fs: FileSystem, call: Call): Answer {
  const { handle: id } = decodeRelease(call.request, call.header);
  const handle = fs.findHandle(id);
  if (handle !== undefined) fs.removeHandle(handle);
  return DONE;
}
