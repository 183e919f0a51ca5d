/** Names come and go: UNLINK, RENAME, MKDIR, RMDIR. */
import { type Actor, audit } from '../../proto/audit.js';
import { OpenduckError } from '../../proto/errors.js';
import { Errno, RenameFlag } from '../../proto/fuse/constants.js';
import {
  decodeMkdir,
  decodeRename,
  decodeRmdir,
  decodeUnlink,
} from '../../proto/fuse/requests/names.js';
import type { EngineDatabase } from '../engineOptions.js';
import { ErrnoAnswer } from '../errno.js';
import type { FileSystem } from '../fileSystem.js';
import {
  COMPANIONS,
  type FileName,
  MAIN_SUFFIX,
  MAX_NAME_BYTES,
  parseFileName,
  parseNewName,
  SPILL_SUFFIX,
} from '../names.js';
import type { Node, SpillDirectoryNode } from '../nodes/nodes.js';
import { type Answer, type Call, DONE } from '../session/call.js';
import { parseReferenceName, SNAPSHOTS_NAME } from '../snapshotNames.js';
import { actorOf } from './actor.js';
import { entryAnswer } from './attributes.js';
import { spillNameIn } from './history.js';
import { readOnlyHistory, requireNoHistory } from './readOnlyHistory.js';

const absent = (name: string): ErrnoAnswer => new ErrnoAnswer(Errno.ENOENT, `no ${name}`);

function requireWritable(fs: FileSystem, parsed: FileName): void {
  if (parsed.ref === undefined && !fs.readOnly) return;
  throw new OpenduckError('READ_ONLY', `${parsed.database}${parsed.suffix} is read-only here`, {
    database: parsed.database,
  });
}

export async function unlink(fs: FileSystem, call: Call): Promise<Answer> {
  const name = decodeUnlink(call.request, call.header);
  const parent = fs.nodes.get(call.header.nodeId);
  if (parent.kind === 'spillDirectory') return unlinkSpill(fs, parent, name);
  requireNoHistory(parent, name);
  const parsed = parseFileName(name);
  if (parsed === undefined) throw absent(name);
  requireWritable(fs, parsed);
  const entry = fs.engine.find(parsed.database);
  const file = entry?.database.files.get(parsed.suffix);
  if (entry === undefined || file === undefined) throw absent(name);
  const process = fs.callers.processOf(call.header.pid);
  const use = fs.useOf(entry);
  use.requireMayChange(process, `removing ${name}`);
  const actor = actorOf(fs, call);
  await fs.changing(entry, async () => {
    fs.changedBy(entry, process);
    if (parsed.suffix === MAIN_SUFFIX) await unlinkMain(fs, entry, actor);
    else await unlinkSide(entry, parsed.suffix);
  });
  return DONE;
}

/** The file of now: what was there before the database was ours may be another host's past. */
async function unlinkSide({ database }: EngineDatabase, suffix: string): Promise<void> {
  const file = database.files.get(suffix);
  if (file === undefined) throw absent(database.name + suffix);
  await database.unlink(file);
}

/** Suffixes of side files that are not DuckDB's own. */
const foreignFiles = ({ database }: EngineDatabase): string[] =>
  [...database.files.keys()].filter((s) => s !== MAIN_SUFFIX && !COMPANIONS.has(s));

/**
 * rm of a database file drops the database with its WAL. Side files that are not DuckDB's own (a
 * backup that somebody put beside it) keep the database's other files alive.
 */
async function unlinkMain(fs: FileSystem, entry: EngineDatabase, actor: Actor): Promise<void> {
  const { files } = entry.database;
  if (foreignFiles(entry).length === 0) {
    await fs.engine.drop(entry);
    return auditDrop(fs, actor, entry, 'a database was removed');
  }
  for (const suffix of [...COMPANIONS, MAIN_SUFFIX]) {
    const file = files.get(suffix);
    if (file !== undefined) await entry.database.unlink(file);
  }
}

function unlinkSpill(fs: FileSystem, parent: SpillDirectoryNode, name: string): Answer {
  const file = parent.directory.files.get(name);
  if (file === undefined) throw absent(name);
  parent.directory.files.delete(name);
  file.linked = false;
  // Goes with its node, which the kernel may still hold; at once when there is none.
  fs.nodes.dropIfUnused(fs.nodes.spillFile(file));
  return DONE;
}

export async function rename(fs: FileSystem, call: Call): Promise<Answer> {
  const { oldName, newName, newParentId, flags } = decodeRename(call.request, call.header);
  if (Buffer.byteLength(newName) > MAX_NAME_BYTES) {
    throw new ErrnoAnswer(Errno.ENAMETOOLONG, `name of ${newName.length} characters`);
  }
  const parent = fs.nodes.get(call.header.nodeId);
  const target = fs.nodes.get(newParentId);
  requireNoHistory(parent, oldName);
  requireNoHistory(target, newName);
  if (parent.kind !== 'root' || target.kind !== 'root') {
    throw new ErrnoAnswer(Errno.EXDEV, 'between directories'); // mv copies instead
  }
  if ((flags & ~RenameFlag.NOREPLACE) !== 0) throw new ErrnoAnswer(Errno.EINVAL, 'rename flags');
  for (const name of [oldName, newName]) if (name === SNAPSHOTS_NAME) throw readOnlyHistory(name);
  const from = parseFileName(oldName);
  if (from === undefined) throw absent(oldName);
  requireWritable(fs, from);
  const entry = fs.engine.find(from.database);
  const file = entry?.database.files.get(from.suffix);
  if (entry === undefined || file === undefined) throw absent(oldName);
  const to = parseNewName(newName);
  if (to.suffix === SPILL_SUFFIX) {
    throw new OpenduckError('NOT_PERMITTED', `${newName} is the name of a spill directory`);
  }
  const process = fs.callers.processOf(call.header.pid);
  const use = fs.useOf(entry);
  use.requireMayChange(process, `renaming ${oldName}`);
  const actor = actorOf(fs, call);
  await fs.changing(entry, async () => {
    fs.changedBy(entry, process);
    await renameOwned(fs, process, entry, { from, to, newName, flags, actor });
  });
  return DONE;
}

interface Renaming {
  readonly from: FileName;
  readonly to: FileName;
  readonly newName: string;
  readonly flags: number;
  readonly actor: Actor;
}

async function renameOwned(
  fs: FileSystem,
  process: number,
  entry: EngineDatabase,
  { from, to, newName, flags, actor }: Renaming,
): Promise<void> {
  const file = entry.database.files.get(from.suffix);
  if (file === undefined) throw absent(from.database + from.suffix);
  const replaced = fs.engine.find(to.database);
  const exists = replaced?.database.files.has(to.suffix) ?? false;
  if (exists && (flags & RenameFlag.NOREPLACE) !== 0) {
    throw new OpenduckError('ALREADY_EXISTS', `${newName} exists`);
  }
  if (to.database === from.database) {
    await entry.database.rename(file, to.suffix);
    return;
  }
  // Between databases only a database as a whole moves; mv copies side files.
  if (from.suffix !== MAIN_SUFFIX || to.suffix !== MAIN_SUFFIX) {
    throw new ErrnoAnswer(Errno.EXDEV, 'between databases');
  }
  const renamed = (): Promise<void> => fs.engine.rename(entry, to.database);
  if (replaced === undefined) {
    await renamed();
  } else {
    fs.useOf(replaced).requireMayChange(process, `replacing ${newName}`);
    requireReplaceable(entry, replaced);
    await fs.changing(replaced, renamed);
    auditDrop(fs, actor, replaced, 'a database was replaced by another one');
  }
  const fields = { database: from.database, to: to.database, id: entry.database.id };
  audit(fs.logger, 'rename', actor, fields, 'a database was renamed');
}

function auditDrop(fs: FileSystem, actor: Actor, { database }: EngineDatabase, how: string): void {
  const { name, id } = database;
  audit(fs.logger, 'drop', actor, { database: name, id }, how);
}

/**
 * A database that is replaced is dropped as a whole: not with files that are somebody's backup.
 * Then mv has to copy, which is only right when no WAL is left behind on either side.
 */
function requireReplaceable(from: EngineDatabase, to: EngineDatabase): void {
  const foreign = foreignFiles(to).map((suffix) => to.database.name + suffix);
  if (foreign.length === 0) return;
  const hasWal = ({ database }: EngineDatabase): boolean =>
    [...database.files.keys()].some((suffix) => COMPANIONS.has(suffix));
  const name = to.database.name;
  if (!hasWal(from) && !hasWal(to)) throw new ErrnoAnswer(Errno.EXDEV, 'into another file set');
  throw new OpenduckError('BUSY', `replacing ${name} would remove ${foreign.join(', ')} too`, {
    database: name,
    hint: 'Open and close the databases once, so that they have no WAL, or move the others away.',
  });
}

/** Under which a spill directory of this name is known; undefined where there is none. */
function spillName(parent: Node, name: string): string | undefined {
  if (parent.kind === 'root') return name;
  if (parent.kind !== 'history') return undefined;
  return parseReferenceName(name)?.suffix === SPILL_SUFFIX ? spillNameIn(parent, name) : undefined;
}

/** Only spill directories can be made, and everybody sees only their own. */
export async function mkdir(fs: FileSystem, call: Call): Promise<Answer> {
  const { name, mode } = decodeMkdir(call.request, call.header);
  const { nodeId, pid, uid, gid } = call.header;
  const parent = fs.nodes.get(nodeId);
  const known = spillName(parent, name);
  if (known === undefined) requireNoHistory(parent, name);
  if (known === undefined || parseFileName(name)?.suffix !== SPILL_SUFFIX) {
    throw new OpenduckError('NOT_PERMITTED', `the directory ${name} cannot be made here`, {
      hint: 'The only directories are NAME.duckdb.tmp, where DuckDB spills to disk.',
    });
  }
  const process = fs.callers.processOf(pid);
  const owner = { mode: mode & 0o7777, uid, gid };
  const directory = await fs.spills.create(process, known, owner);
  return entryAnswer(fs, fs.nodes.spillDirectory(directory));
}

export async function rmdir(fs: FileSystem, call: Call): Promise<Answer> {
  const name = decodeRmdir(call.request, call.header);
  const parent = fs.nodes.get(call.header.nodeId);
  const known = spillName(parent, name);
  if (known === undefined) requireNoHistory(parent, name);
  if (parent.kind === 'root' && name === SNAPSHOTS_NAME) throw readOnlyHistory(name);
  const directory = known && fs.spills.find(fs.callers.processOf(call.header.pid), known);
  if (!directory) throw absent(name);
  if (directory.files.size > 0) throw new ErrnoAnswer(Errno.ENOTEMPTY, `${name} is not empty`);
  await fs.spills.remove(directory);
  return DONE;
}
