/**
 * Files in spill directories. As root, the kernel itself reads and writes the local file behind one
 * (fs/session/backing.ts); then only the file knows its size.
 */
import { OpenReplyFlag } from '../../proto/fuse/constants.js';
import { openOut, writeOut } from '../../proto/fuse/replies.js';
import type { SetattrRequest } from '../../proto/fuse/requests/nodes.js';
import type { FileSystem, Handle } from '../fileSystem.js';
import type { SpillDirectoryNode, SpillFileNode } from '../nodes/nodes.js';
import type { Owner } from '../nodes/spill.js';
import { type Answer, BODY, type Call, type Encoder, joined } from '../session/call.js';
import { entryAnswer } from './attributes.js';

function openAnswer(handle: Handle, backing: number | undefined): Encoder {
  const replyFlags = backing === undefined ? OpenReplyFlag.KEEP_CACHE : OpenReplyFlag.PASSTHROUGH;
  return (out, at) => openOut(out, at, { handle: handle.id, replyFlags, backingId: backing ?? 0 });
}

export async function openSpill(
  fs: FileSystem,
  node: SpillFileNode,
  truncate: boolean,
  process: number,
): Promise<Answer> {
  if (truncate) await node.file.resize(0);
  return openAnswer(fs.addHandle(node, { process }), node.file.backing);
}

export async function createSpill(
  fs: FileSystem,
  { directory }: SpillDirectoryNode,
  name: string,
  owner: Owner,
  process: number,
): Promise<Answer> {
  const file = directory.files.get(name) ?? (await fs.spills.createFile(directory, name, owner));
  if (file.backing !== undefined) fs.count('passthroughFiles');
  const node = fs.nodes.spillFile(file);
  const handle = fs.addHandle(node, { process });
  return joined(entryAnswer(fs, node), openAnswer(handle, file.backing));
}

export async function setSpillAttributes(
  { file }: SpillFileNode,
  { size }: SetattrRequest,
): Promise<void> {
  if (size === undefined) await file.refresh();
  else await file.resize(size);
}

export async function readSpill(
  call: Call,
  { file }: SpillFileNode,
  offset: number,
  size: number,
): Promise<Answer> {
  const length = Math.max(0, Math.min(size, file.size - offset));
  await call.takeBuffer();
  const n = await file.disk.read(call.out, BODY, length, offset);
  call.out.fill(0, BODY + n, BODY + length); // never written: a hole
  return length;
}

/** Writes request[at, at + size) at `offset`. */
export function writeSpill(
  fs: FileSystem,
  call: Call,
  { file }: SpillFileNode,
  offset: number,
  at: number,
  size: number,
): Answer | Promise<Answer> {
  const answer: Encoder = (out, to) => writeOut(out, to, size);
  const written = (): Encoder => {
    file.size = Math.max(file.size, offset + size);
    file.modified = fs.clock.now();
    return answer;
  };
  if (file.disk.takesNow(size)) {
    file.disk.writeNow(call.request, at, size, offset);
    return written();
  }
  call.keepRequest();
  return file.disk.write(call.request, at, size, offset).then(written);
}
