/** OPENDIR, READDIR, RELEASEDIR. A listing is made at OPENDIR, so that it is one moment's. */
import { DirentType, Errno } from '../../proto/fuse/constants.js';
import { addDirent, openOut } from '../../proto/fuse/replies.js';
import { decodeRead, decodeRelease, newReadRequest } from '../../proto/fuse/requests/files.js';
import { ErrnoAnswer } from '../errno.js';
import type { DirectoryEntry, FileSystem } from '../fileSystem.js';
import type { Node } from '../nodes/nodes.js';
import { type Answer, type Call, DONE } from '../session/call.js';
import { attributesOf } from './attributes.js';
import { listHistory } from './history.js';
import { visibleFiles } from './lookup.js';

const readRequest = newReadRequest();

function list(
  fs: FileSystem,
  node: Node,
  thread: number,
): DirectoryEntry[] | Promise<DirectoryEntry[]> {
  const self = attributesOf(fs, node).ino;
  const entries: DirectoryEntry[] = [
    { name: '.', inode: self, directory: true },
    { name: '..', inode: self, directory: true },
  ];
  if (node.kind === 'spillDirectory') {
    for (const [name, { inode }] of node.directory.files) {
      entries.push({ name, inode, directory: false });
    }
    return entries;
  }
  if (node.kind === 'snapshots' || node.kind === 'history') {
    return listHistory(fs, node).then((names) => [...entries, ...names]);
  }
  if (node.kind !== 'root') throw new ErrnoAnswer(Errno.ENOTDIR, 'no directory');
  const process = fs.callers.processOf(thread);
  for (const entry of fs.engine.databases()) {
    const { database } = entry;
    const files = fs.useOf(entry).isWriter(process)
      ? database.files
      : visibleFiles(fs, entry, process);
    for (const [suffix, file] of files) {
      const { inode } = 'file' in file ? file.file : file;
      entries.push({ name: database.name + suffix, inode, directory: false });
    }
  }
  for (const name of fs.spills.namesOf(process)) {
    if (name.includes('/')) continue; // beside a snapshot
    const { inode } = fs.spills.find(process, name)!;
    entries.push({ name, inode, directory: true });
  }
  return entries;
}

export async function opendir(fs: FileSystem, call: Call): Promise<Answer> {
  const { nodeId, pid } = call.header;
  const node = fs.nodes.get(nodeId);
  const listing = await list(fs, node, pid);
  const { id } = fs.addHandle(node, { process: 0, listing });
  return (out, at) => openOut(out, at, { handle: id, replyFlags: 0, backingId: 0 });
}

/** Offsets are positions in the listing, plus one. */
export function readdir(fs: FileSystem, call: Call): Answer {
  decodeRead(call.request, call.header, readRequest);
  const { offset, size, handle } = readRequest;
  const listing = fs.handle(handle).listing ?? [];
  return (out, at) => {
    const limit = Math.min(out.length, at + size);
    let end = at;
    for (let i = offset; i < listing.length; i++) {
      const { name, inode, directory } = listing[i]!;
      const type = directory ? DirentType.DIR : DirentType.REG;
      const bytes = addDirent(out, end, limit, inode, i + 1, type, Buffer.from(name));
      if (bytes === 0) break;
      end += bytes;
    }
    return end - at;
  };
}

export function releasedir(fs: FileSystem, call: Call): Answer {
  const { handle: id } = decodeRelease(call.request, call.header);
  const handle = fs.findHandle(id);
  if (handle !== undefined) fs.removeHandle(handle);
  return DONE;
}
