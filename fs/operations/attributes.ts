/**
 * What stat(2) shows of a node, and what may be changed of it: GETATTR, SETATTR, ACCESS, STATFS.
 */
import type { FileAttributes } from '../../layers/layer.js';
import { OpenduckError } from '../../proto/errors.js';
import { Errno, FileType } from '../../proto/fuse/constants.js';
import { type Attributes, attrOut, entryOut, statfsOut } from '../../proto/fuse/replies.js';
import {
  decodeGetattr,
  decodeSetattr,
  type RequestedTime,
  type SetattrRequest,
} from '../../proto/fuse/requests/nodes.js';
import { type WallTime, wallTime } from '../../proto/ids.js';
import { inodeOf, type LiveFile } from '../database/liveFile.js';
import { snapshotInode } from '../database/snapshotShelf.js';
import type { EngineDatabase } from '../engineOptions.js';
import { ErrnoAnswer } from '../errno.js';
import type { FileSystem } from '../fileSystem.js';
import { MAIN_SUFFIX, MAX_NAME_BYTES } from '../names.js';
import type { FileNode, HistoryNodes, Node } from '../nodes/nodes.js';
import type { Answer, Call, Encoder } from '../session/call.js';
import { SNAPSHOTS_NAME } from '../snapshotNames.js';
import { readOnlyHistory } from './readOnlyHistory.js';
import { setSpillAttributes } from './spillFiles.js';
import { truncateFile } from './truncation.js';

/** Images never change: the kernel may keep their attributes as long as it likes. */
const FOREVER_MS = 3_600_000;
/**
 * The root is looked up all the time. A live file changes only through this kernel, which forgets
 * what it knows of size and times with every write, and DuckDB asks four times a commit.
 */
const SHORT_MS = 1_000;
const BLOCK_BYTES = 4096;
const ROOT_INODE = 1;
const SNAPSHOTS_INODE = 2;
/** Nothing can be changed there. */
const READ_ONLY_MODE = 0o555;

/** Of `.snapshots/NAME`. */
export const historyInode = ({ database }: EngineDatabase): number =>
  inodeOf(database.id, SNAPSHOTS_NAME);

interface Shape {
  readonly inode: number;
  readonly size: number;
  readonly type: number;
  readonly attributes: FileAttributes;
}

function shapeOf(fs: FileSystem, node: Node): Shape {
  switch (node.kind) {
    case 'root':
      return { inode: ROOT_INODE, size: BLOCK_BYTES, type: FileType.DIR, attributes: fs.root };
    case 'reader': {
      const { file, image } = node;
      // As long as it was only looked at, no other time was known.
      const isListed = node.ref?.startsWith(`${SNAPSHOTS_NAME}/`) === true;
      const modified = (isListed ? node.version?.time : undefined) ?? image.modified;
      const attributes = { ...file.attributes, modified };
      return { inode: file.inode, size: image.size, type: FileType.REG, attributes };
    }
    case 'live': {
      const { inode, size, attributes } = node.file;
      return { inode, size, type: FileType.REG, attributes };
    }
    case 'spillDirectory': {
      const { inode, owner, created } = node.directory;
      const attributes = { ...owner, modified: created };
      return { inode, size: BLOCK_BYTES, type: FileType.DIR, attributes };
    }
    case 'spillFile': {
      const { inode, size, owner, modified } = node.file;
      return { inode, size, type: FileType.REG, attributes: { ...owner, modified } };
    }
    default:
      return historyShape(fs, node);
  }
}

function historyShape(fs: FileSystem, node: HistoryNodes): Shape {
  if (node.kind !== 'listed') {
    const attributes = { ...fs.root, mode: fs.root.mode & READ_ONLY_MODE };
    const plain = { size: BLOCK_BYTES, type: FileType.DIR, attributes };
    if (node.kind === 'snapshots') return { inode: SNAPSHOTS_INODE, ...plain };
    // Tells of the newest version also who has an older one open, without opening anything.
    const { number, time } = node.entry.database.head;
    const inode = historyInode(node.entry);
    return { ...plain, inode, size: number, attributes: { ...attributes, modified: time } };
  }
  const { snapshot, suffix, size } = node;
  const { id, files } = node.entry.database;
  // The layers have the mode of then; it decides when the file is opened.
  const now = files.get(suffix) ?? files.get(MAIN_SUFFIX);
  const { mode, uid, gid } = now?.attributes ?? fs.root;
  return {
    inode: snapshotInode(id, snapshot.id, suffix),
    size,
    type: FileType.REG,
    attributes: { mode: mode & READ_ONLY_MODE, uid, gid, modified: snapshot.commitTime },
  };
}

export function attributesOf(fs: FileSystem, node: Node): Attributes {
  const { inode, size, type, attributes } = shapeOf(fs, node);
  return {
    ino: inode,
    size,
    blocks: Math.ceil(size / 512),
    atimeMs: attributes.modified,
    mtimeMs: attributes.modified,
    ctimeMs: attributes.modified,
    mode: type | attributes.mode,
    // Of `.snapshots`: not told, so that nobody concludes how many directories are in it.
    nlink: type === FileType.DIR && node.kind !== 'snapshots' ? 2 : 1,
    uid: attributes.uid,
    gid: attributes.gid,
    blockSize: BLOCK_BYTES,
  };
}

export function attributeTimeoutOf(node: Node): number {
  return node.kind === 'reader' ? FOREVER_MS : SHORT_MS;
}

/** The answer of LOOKUP, CREATE and MKDIR: the kernel holds one reference more. */
export function entryAnswer(fs: FileSystem, node: Node): Encoder {
  node.lookups++;
  const entry = {
    nodeId: node.id,
    generation: 0,
    entryTimeoutMs: 0, // what a name stands for depends on who asks, and when
    attrTimeoutMs: attributeTimeoutOf(node),
    attributes: attributesOf(fs, node),
  };
  return (out, at) => entryOut(out, at, entry);
}

const attrAnswer =
  (fs: FileSystem, node: Node): Encoder =>
  (out, at) =>
    attrOut(out, at, attributesOf(fs, node), attributeTimeoutOf(node));

export function getattr(fs: FileSystem, call: Call): Answer | Promise<Answer> {
  decodeGetattr(call.request, call.header);
  const node = fs.nodes.get(call.header.nodeId);
  if (node.kind !== 'spillFile') return attrAnswer(fs, node);
  return node.file.refresh().then(() => attrAnswer(fs, node));
}

export function setattr(fs: FileSystem, call: Call): Answer | Promise<Answer> {
  const request = decodeSetattr(call.request, call.header);
  const node = fs.nodes.get(call.header.nodeId);
  switch (node.kind) {
    case 'root':
      return setRootAttributes(fs, request);
    case 'spillDirectory':
      return attrAnswer(fs, node);
    case 'spillFile':
      return setSpillAttributes(node, request).then(() => attrAnswer(fs, node));
    case 'snapshots':
    case 'history':
    case 'listed':
      throw readOnlyHistory(SNAPSHOTS_NAME);
    default:
      return setFileAttributes(fs, call, node, request);
  }
}

function setRootAttributes(fs: FileSystem, request: SetattrRequest): Answer {
  if (request.mode !== undefined || request.uid !== undefined || request.gid !== undefined) {
    throw new OpenduckError('NOT_PERMITTED', 'the mounted directory keeps its mode and owner', {
      hint: 'Unmount, change the directory under the mount point, and mount again.',
    });
  }
  return attrAnswer(fs, fs.nodes.root);
}

async function setFileAttributes(
  fs: FileSystem,
  call: Call,
  node: FileNode,
  request: SetattrRequest,
): Promise<Answer> {
  const use = fs.useOf(node.entry);
  const name = node.entry.database.name;
  if (fs.readOnly || (node.kind === 'reader' && node.ref !== undefined)) {
    throw new OpenduckError('READ_ONLY', `${name} is read-only here`, { database: name });
  }
  const process = fs.callers.processOf(call.header.pid);
  const isUnlinked = node.kind === 'live' && !node.file.linked; // nobody else's business
  if (request.size !== undefined && !isUnlinked) {
    use.requireMayChange(process, `truncate of ${name}${node.file.suffix}`);
  }
  const change = (): Promise<FileNode> => changeFile(fs, call, node, request);
  const mustOwn = !isUnlinked && asksForChange(request);
  const changed = await (mustOwn ? fs.changing(node.entry, change) : change());
  return attrAnswer(fs, fs.nodes.find(changed.id) ?? changed);
}

async function changeFile(
  fs: FileSystem,
  call: Call,
  node: FileNode,
  request: SetattrRequest,
): Promise<FileNode> {
  let changed = node;
  if (request.size !== undefined) {
    fs.changedBy(node.entry, fs.callers.processOf(call.header.pid));
    changed = await resize(fs, call, node, request.size, request.handle);
  }
  const file = changed.kind === 'live' ? changed.file : fs.liveFileOf(changed);
  if (file !== undefined) await changeAttributes(fs, changed, file, request);
  return changed;
}

const asksForChange = ({ mode, uid, gid, mtime, size }: SetattrRequest): boolean =>
  [mode, uid, gid, mtime, size].some((value) => value !== undefined);

/** Mode, owner and times, when any of them is really asked for. */
async function changeAttributes(
  fs: FileSystem,
  node: FileNode,
  file: LiveFile,
  { mode, uid, gid, mtime, size }: SetattrRequest,
): Promise<void> {
  // truncate(2) sends the time along; it has happened with the truncate.
  const time = size === undefined ? mtime : undefined;
  if (mode === undefined && uid === undefined && gid === undefined && time === undefined) return;
  await node.entry.database.setAttributes(file, {
    mode: mode === undefined ? file.attributes.mode : mode & 0o7777,
    uid: uid ?? file.attributes.uid,
    gid: gid ?? file.attributes.gid,
    modified: timeOf(fs, time) ?? file.attributes.modified,
  });
}

function timeOf(fs: FileSystem, time: RequestedTime | undefined): WallTime | undefined {
  if (time === undefined) return undefined;
  return time === 'now' ? fs.clock.now() : wallTime(Math.max(0, Math.floor(time)));
}

/** ftruncate through a write handle, or truncate by path, which opens for writing in passing. */
async function resize(
  fs: FileSystem,
  call: Call,
  node: FileNode,
  size: number,
  handle: number | undefined,
): Promise<FileNode> {
  const { database } = node.entry;
  if (fs.findHandle(handle)?.writes !== undefined && node.kind === 'live') {
    truncateFile(fs, call, node.entry, node.file, size);
    return node;
  }
  const thread = call.header.pid;
  const file = fs.liveFileOf(node);
  if (file === undefined) {
    fs.promiseSuccessor(node, thread);
    throw new ErrnoAnswer(Errno.ESTALE, 'the file was replaced');
  }
  const live = fs.forWriting(node.id, file, thread);
  if (live === undefined) {
    fs.promise(thread, fs.nodes.live(node.entry, file), true);
    throw new ErrnoAnswer(Errno.ESTALE, 'look the live file up');
  }
  try {
    await database.prepareForWriting();
    truncateFile(fs, call, node.entry, file, size);
    await database.commit(file); // at once: no fsync comes after truncate(2) by path
  } finally {
    fs.hints.take(thread);
  }
  return live;
}

export async function statfs(fs: FileSystem, _call: Call): Promise<Answer> {
  const { disk, dataDir } = fs.engine.options;
  const space = await disk.space(dataDir);
  return (out, at) =>
    statfsOut(out, at, {
      blocks: Number(space.blocks),
      blocksFree: Number(space.blocksFree),
      blocksAvailable: Number(space.blocksAvailable),
      files: Number(space.files),
      filesFree: Number(space.filesFree),
      blockSize: space.blockSize,
      nameMax: MAX_NAME_BYTES - MAIN_SUFFIX.length,
      fragmentSize: space.blockSize,
    });
}
