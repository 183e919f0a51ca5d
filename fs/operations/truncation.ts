/**
 * Truncation of files. Who cuts a database's content off has replaced it (`cp` over it begins so)
 * and stands in the audit trail; DuckDB, which shortens its own file under the write lock, does
 * not.
 */
import { audit } from '../../proto/audit.js';
import type { LiveFile } from '../database/liveFile.js';
import type { EngineDatabase } from '../engineOptions.js';
import type { FileSystem } from '../fileSystem.js';
import { MAIN_SUFFIX } from '../names.js';
import type { Call } from '../session/call.js';
import { actorOf } from './actor.js';

function replacesContent(
  fs: FileSystem,
  call: Call,
  entry: EngineDatabase,
  file: LiveFile,
  size: number,
): boolean {
  if (file.suffix !== MAIN_SUFFIX || !file.linked || size >= file.size) return false;
  return size === 0 || fs.useOf(entry).lockHolder !== fs.callers.processOf(call.header.pid);
}

/** As `Database.truncate`. Throws DISK_FULL, IO. */
export function truncateFile(
  fs: FileSystem,
  call: Call,
  entry: EngineDatabase,
  file: LiveFile,
  size: number,
): void {
  const { database } = entry;
  const before = file.size;
  const isReplaced = replacesContent(fs, call, entry, file, size);
  database.truncate(file, size);
  if (!isReplaced) return;
  const how = size === 0 ? 'the content of a database is replaced' : 'a database was cut off';
  const fields = { database: database.name, id: database.id, bytes: before, left: size };
  audit(fs.logger, 'replace', actorOf(fs, call), fields, how);
}
