/** GETLK, SETLK, SETLKW, INTERRUPT. Whether a lock is granted is decided in use/locks.ts. */
import { Errno, LockType } from '../../proto/fuse/constants.js';
import { lkOut } from '../../proto/fuse/replies.js';
import { decodeInterrupt, decodeLk } from '../../proto/fuse/requests/session.js';
import { ErrnoAnswer } from '../errno.js';
import type { FileSystem } from '../fileSystem.js';
import { MAIN_SUFFIX } from '../names.js';
import type { FileNode, LiveNode } from '../nodes/nodes.js';
import { type Answer, type Call, DONE, NO_ANSWER } from '../session/call.js';

const uniqueOf = (low: number, high: number): string => `${high}:${low}`;

export function getlk(fs: FileSystem, call: Call): Answer {
  const request = decodeLk(call.request, call.header);
  const node = fs.nodes.get(call.header.nodeId);
  const held =
    node.kind === 'live' ? fs.useOf(node.entry).locksOf(node.file).conflict(request) : undefined;
  return (out, at) =>
    lkOut(out, at, {
      start: 0n,
      end: 0x7fff_ffff_ffff_ffffn,
      type: held?.type ?? LockType.UNLCK,
      pid: held?.process ?? 0,
    });
}

/** Who asks for a lock is past having a look: see use/pins.ts. */
function endProbe(fs: FileSystem, node: FileNode, thread: number): void {
  const process = fs.callers.processOf(thread);
  fs.pins.endProbe(node.entry.database.name, { thread, process });
}

/**
 * A writer has waited for its turn. If the file is another one than it had a look at before, it has
 * to read the header again before anything else (content.ts); to see that it does, the kernel must
 * not answer for us.
 */
async function oweHeader(
  fs: FileSystem,
  node: LiveNode,
  process: number,
  seen: number,
): Promise<void> {
  const { file } = node;
  file.headerOwedBy = file.contentNumber === seen ? undefined : process;
  if (file.headerOwedBy !== undefined) await fs.forgetPages(node.id);
}

/** `blocking`: F_SETLKW, which waits as long as it takes. */
export async function setlk(fs: FileSystem, call: Call, blocking: boolean): Promise<Answer> {
  const { uniqueLow, uniqueHigh } = call.header;
  const request = decodeLk(call.request, call.header);
  const node = fs.nodes.get(call.header.nodeId);
  if (node.kind === 'reader' || node.kind === 'live') endProbe(fs, node, call.header.pid);
  // Images never change, so that any number of readers may believe they hold them.
  if (node.kind !== 'live') return DONE;
  const waitMs = blocking ? Number.POSITIVE_INFINITY : fs.engine.options.writerWaitMs;
  // The WAL's lock comes and goes with every checkpoint of the process that has the database's.
  const sameProcess = node.file.suffix !== MAIN_SUFFIX;
  const use = fs.useOf(node.entry);
  const lock = { ...request, process: request.pid, unique: uniqueOf(uniqueLow, uniqueHigh) };
  const seen = fs.probes.contentSeen(call.header.pid, node.file) ?? node.file.contentNumber;
  const result = use.locksOf(node.file).set(lock, waitMs, sameProcess);
  const errno = await result;
  if (errno === 0) {
    // While it waited for the lock, or for the database to come from another host.
    const waited = result instanceof Promise || seen < node.file.followedTo;
    if (waited && request.type === LockType.WRLCK && !sameProcess) {
      await oweHeader(fs, node, request.pid, seen);
    }
    return DONE;
  }
  if (errno === Errno.EAGAIN && request.type === LockType.WRLCK) {
    const pid = use.locksOf(node.file).writer ?? 0;
    fs.logger.info(
      { database: node.entry.database.name, holder: pid, refused: request.pid },
      'a second writer was refused: the write lock is held',
    );
  }
  throw new ErrnoAnswer(errno, 'the lock is held');
}

export function interrupt(fs: FileSystem, call: Call): Answer {
  const { uniqueLow, uniqueHigh } = decodeInterrupt(call.request, call.header);
  fs.interrupt(uniqueOf(uniqueLow, uniqueHigh));
  return NO_ANSWER;
}
