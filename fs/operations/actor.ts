/** Who makes a request, for the audit trail. */
import type { Actor } from '../../proto/audit.js';
import type { FileSystem } from '../fileSystem.js';
import type { Call } from '../session/call.js';

/** Call it before anything is awaited: the header is the next request's then. */
export function actorOf(fs: FileSystem, { header }: Call): Actor {
  const pid = fs.callers.processOf(header.pid);
  return { by: 'process', pid, uid: header.uid, process: fs.callers.nameOf(pid) };
}
