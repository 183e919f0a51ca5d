/** The opcode table: which operation answers which request. Everything else is ENOSYS. */
import { OpenduckError } from '../../proto/errors.js';
import { Errno, Opcode } from '../../proto/fuse/constants.js';
import { decodeBatchForget, decodeForget } from '../../proto/fuse/requests/nodes.js';
import { ErrnoAnswer } from '../errno.js';
import type { FileSystem } from '../fileSystem.js';
import { getattr, setattr, statfs } from '../operations/attributes.js';
import { flush, fsync, fsyncdir, read, write } from '../operations/content.js';
import { opendir, readdir, releasedir } from '../operations/directories.js';
import { getlk, interrupt, setlk } from '../operations/lockOperations.js';
import { lookup } from '../operations/lookup.js';
import { mkdir, rename, rmdir, unlink } from '../operations/names.js';
import { create, open, release } from '../operations/open.js';
import { requireNoHistory } from '../operations/readOnlyHistory.js';
import { type Answer, type Call, DONE, type Handler, NO_ANSWER } from './call.js';

function forget(fs: FileSystem, call: Call): Answer {
  fs.nodes.forget(call.header.nodeId, decodeForget(call.request, call.header));
  return NO_ANSWER;
}

function batchForget(fs: FileSystem, call: Call): Answer {
  for (const { nodeId, lookups } of decodeBatchForget(call.request, call.header)) {
    fs.nodes.forget(nodeId, lookups);
  }
  return NO_ANSWER;
}

const done = (): Answer => DONE;

const notHere: Handler<FileSystem> = (fs, call) => {
  requireNoHistory(fs.nodes.get(call.header.nodeId), 'a link or special file');
  throw new OpenduckError('NOT_PERMITTED', 'links and special files cannot be made here');
};

const noSuchCall: Handler<FileSystem> = () => {
  throw new ErrnoAnswer(Errno.ENOSYS, 'not implemented');
};

const HANDLERS: ReadonlyMap<number, Handler<FileSystem>> = new Map([
  [Opcode.LOOKUP, lookup],
  [Opcode.FORGET, forget],
  [Opcode.BATCH_FORGET, batchForget],
  [Opcode.GETATTR, getattr],
  [Opcode.SETATTR, setattr],
  [Opcode.MKNOD, notHere],
  [Opcode.SYMLINK, notHere],
  [Opcode.LINK, notHere],
  [Opcode.MKDIR, mkdir],
  [Opcode.RMDIR, rmdir],
  [Opcode.UNLINK, unlink],
  [Opcode.RENAME, rename],
  [Opcode.RENAME2, rename],
  [Opcode.OPEN, open],
  [Opcode.CREATE, create],
  [Opcode.READ, read],
  [Opcode.WRITE, write],
  [Opcode.FLUSH, flush],
  [Opcode.FSYNC, fsync],
  [Opcode.RELEASE, release],
  [Opcode.OPENDIR, opendir],
  [Opcode.READDIR, readdir],
  [Opcode.RELEASEDIR, releasedir],
  [Opcode.FSYNCDIR, fsyncdir],
  [Opcode.STATFS, statfs],
  [Opcode.GETLK, getlk],
  [Opcode.SETLK, (fs: FileSystem, call: Call) => setlk(fs, call, false)],
  [Opcode.SETLKW, (fs: FileSystem, call: Call) => setlk(fs, call, true)],
  [Opcode.INTERRUPT, interrupt],
  [Opcode.DESTROY, done],
] as [number, Handler<FileSystem>][]);

export const handlerOf = (opcode: number): Handler<FileSystem> =>
  HANDLERS.get(opcode) ?? noSuchCall;
