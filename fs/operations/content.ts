/** The bytes of files: READ, WRITE, FLUSH, FSYNC. */

import { OpenduckError } from '../../proto/errors.js';
import { Errno } from '../../proto/fuse/constants.js';
import { writeOut } from '../../proto/fuse/replies.js';
import {
  decodeFlush,
  decodeFsync,
  decodeRead,
  decodeWrite,
  newReadRequest,
  newWriteRequest,
} from '../../proto/fuse/requests/files.js';
import type { Database } from '../database/database.js';
import { hasUncommitted } from '../database/liveFile.js';
import { type Content, readContent, readContentCached } from '../database/readContent.js';
import { ErrnoAnswer } from '../errno.js';
import type { FileSystem } from '../fileSystem.js';
import type { FileNode, LiveNode } from '../nodes/nodes.js';
import { type Answer, BODY, type Call, DONE } from '../session/call.js';
import { readSpill, writeSpill } from './spillFiles.js';

/** DuckDB: the file's header and the two database headers. */
const HEADER_BYTES = 12_288;

// Decoded into and used up before anything else can run.
const readRequest = newReadRequest();
const writeRequest = newWriteRequest();

export function read(fs: FileSystem, call: Call): Answer | Promise<Answer> {
  decodeRead(call.request, call.header, readRequest);
  const { offset, size } = readRequest;
  if (size > call.out.length - BODY) {
    throw new OpenduckError('CORRUPT', `FUSE READ of ${size} bytes, more than was negotiated`);
  }
  const node = fs.nodes.get(call.header.nodeId);
  if (node.kind === 'spillFile') return readSpill(call, node, offset, size);
  if (node.kind !== 'reader' && node.kind !== 'live') {
    throw new ErrnoAnswer(Errno.EISDIR, 'a directory');
  }
  const { database } = node.entry;
  if (node.kind === 'live' && node.file.headerOwedBy !== undefined) checkHeaderRead(fs, node);
  const content: Content = node.kind === 'reader' ? node.image : liveContent(node);
  const length = Math.max(0, Math.min(size, content.size - offset));
  if (length === 0) return 0;
  if (readContentCached(database.sources, content, offset, call.out, BODY, length)) return length;
  return readSlowly(fs, call, node, content, offset, length);
}

/**
 * A process that waited for the lock reads (`readRequest`) while it owes a look at the header.
 * Throws STALE when it does without: it would take blocks for what they were once.
 */
function checkHeaderRead(fs: FileSystem, { entry, file }: LiveNode): void {
  const { handle, offset } = readRequest;
  if (fs.findHandle(handle)?.process !== file.headerOwedBy) return;
  if (offset < HEADER_BYTES) {
    file.headerOwedBy = undefined;
    return;
  }
  fs.useOf(entry).refuseStaleWriter(file.headerOwedBy, fs.logger);
}

const liveContent = ({ entry, file }: LiveNode): Content => ({
  size: file.size,
  // The map of now: a seal may have moved it while a read waited for its buffer, and the sources
  // of the old one are gone then, their numbers given to others.
  get map() {
    return file.map;
  },
  holdSources: () => file.holdSources(entry.database.generation),
});

async function readSlowly(
  fs: FileSystem,
  call: Call,
  node: FileNode,
  content: Content,
  offset: number,
  length: number,
): Promise<Answer> {
  const { database } = node.entry;
  await call.takeBuffer();
  try {
    await readContent(database.sources, content, offset, call.out, BODY, length);
    return length;
  } catch (error) {
    throw noteLoss(fs, database, node, offset, length, error);
  }
}

/** Says in status and log which bytes of which file are lost. */
function noteLoss(
  fs: FileSystem,
  database: Database,
  node: FileNode,
  offset: number,
  length: number,
  cause: unknown,
): unknown {
  if (!(cause instanceof OpenduckError) || cause.code !== 'CORRUPT') return cause;
  const where = `${database.name}${node.file.suffix}, bytes ${offset}+${length}`;
  database.lostBytes = `${where}: ${cause.message}`;
  fs.count('corruptReads');
  return new OpenduckError('CORRUPT', where, {
    cause,
    database: database.name,
    hint: `Older snapshots may be whole: openduck-fuse restore ${database.name} --at '~1'`,
  });
}

export function write(fs: FileSystem, call: Call): Answer | Promise<Answer> {
  decodeWrite(call.request, call.header, writeRequest);
  const { handle: id, offset, size, dataOffset } = writeRequest;
  const node = fs.nodes.get(call.header.nodeId);
  const answer = (out: Buffer, at: number): number => writeOut(out, at, size);
  if (node.kind === 'spillFile') return writeSpill(fs, call, node, offset, dataOffset, size);
  const handle = fs.handle(id);
  if (node.kind !== 'live' || handle.writes === undefined) {
    throw new OpenduckError('INTERNAL', `WRITE to node ${node.id}, which is no live file`);
  }
  const { database } = node.entry;
  if (node.file.linked) {
    handle.writes.requireMayChange(handle.process, `write to ${database.name}${node.file.suffix}`);
  }
  if (size === 0) return answer;
  if (isUnsure(node)) return writeUnsure(call, node, offset, dataOffset, size).then(() => answer);
  const done = database.write(node.file, offset, call.request, dataOffset, size);
  if (done === undefined) return answer;
  call.keepRequest();
  return done.then(() => answer);
}

/** Whether another host may have the database by now. Nobody else can have what has no name. */
const isUnsure = ({ entry, file }: LiveNode): boolean =>
  !entry.ownership.sure && (file.linked || entry.ownership.isLost);

async function writeUnsure(
  call: Call,
  { entry, file }: LiveNode,
  offset: number,
  at: number,
  size: number,
): Promise<void> {
  call.keepRequest();
  await entry.ownership.confirm();
  await entry.database.write(file, offset, call.request, at, size);
}

/**
 * close(2) of a write handle. When it is the only one of the set, what it wrote is published before
 * close returns, so that the next command sees it (cp never calls fsync).
 */
export async function flush(fs: FileSystem, call: Call): Promise<Answer> {
  const { handle: id, lockOwner } = decodeFlush(call.request, call.header);
  const handle = fs.findHandle(id);
  const use = handle?.writes;
  if (handle === undefined || use === undefined) return DONE;
  // A child that the writer starts closes what it inherited: no sign that the writer is at an end.
  const own = fs.callers.processOf(call.header.pid) === handle.process;
  if (own && use.writeHandles === 1) {
    const { database, ownership } = use.entry;
    const isDirty = hasUncommitted(database.files);
    if (isDirty && !ownership.sure) await ownership.confirm();
    await database.commitAll();
    if (isDirty && !ownership.sure) await ownership.confirm();
  }
  // The handle itself may live on in such children; they do not own the lock.
  use.releaseLocks(id, lockOwner);
  return DONE;
}

/** fsync(2) of the directory: changes of names are published before they are durable. */
export async function fsyncdir(fs: FileSystem, _call: Call): Promise<Answer> {
  for (const { database } of fs.engine.databases()) {
    if (database.log.failure === undefined) await database.sync();
  }
  return DONE;
}

export async function fsync(fs: FileSystem, call: Call): Promise<Answer> {
  decodeFsync(call.request, call.header);
  const node = fs.nodes.get(call.header.nodeId);
  if (node.kind === 'live') await commit(fs, node);
  return DONE;
}

/**
 * Nothing goes to a log that may be set aside. And the last look at the lease is after the disk has
 * the commit: a host that stood still meanwhile must not acknowledge what another one has not.
 */
async function commit(fs: FileSystem, node: LiveNode): Promise<void> {
  const { database, publisher, ownership } = node.entry;
  if (isUnsure(node)) await ownership.confirm();
  await database.commit(node.file);
  if (fs.engine.options.host?.ack === 'object' && node.file.linked) {
    await publisher.publish('interval');
  }
  if (isUnsure(node)) await ownership.confirm();
}
