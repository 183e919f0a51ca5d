/**
 * Gives a database whose newest snapshot cannot be read a new one, with the content of the newest
 * that is whole: copied out, and imported over it, with all the checks of an import.
 */
import { join } from 'node:path';
import type { EngineCommands, SnapshotSummary } from '../../fs/engineCommands.js';
import { MAIN_SUFFIX } from '../../fs/names.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import type { SnapshotId } from '../../proto/ids.js';
import { exportSnapshot } from '../transfer/exportSnapshot.js';
import { importFile } from '../transfer/importFile.js';
import type { MovedHead } from './finding.js';

const SILENT = { show: () => {}, note: () => {} };

/** Throws BUSY (somebody writes it), CORRUPT, DISK_FULL, UNAVAILABLE, IO. */
async function copyOver(
  commands: EngineCommands,
  scratch: string,
  { database, id }: SnapshotSummary,
): Promise<SnapshotId> {
  const directory = join(scratch, `head-${id}`);
  await nodeDisk.removeTree(directory);
  await nodeDisk.makeDirectory(directory);
  try {
    const file = join(directory, `${database}${MAIN_SUFFIX}`);
    const out = { commands, database, snapshot: id, file, force: false, checkpoint: false };
    await exportSnapshot({ ...out, progress: SILENT });
    const report = await importFile({ commands, file, database, replace: true, progress: SILENT });
    return report.snapshot.id;
  } finally {
    await nodeDisk.removeTree(directory);
  }
}

/** Of those databases whose newest snapshot is unreadable; others are left alone. */
export async function moveHeads(
  commands: EngineCommands,
  scratch: string,
  databases: readonly string[],
  unreadable: ReadonlySet<SnapshotId>,
): Promise<MovedHead[]> {
  const moved: MovedHead[] = [];
  for (const database of databases) {
    const snapshots = await commands.listSnapshots(database);
    const [head] = snapshots;
    if (head === undefined || !unreadable.has(head.id)) continue;
    const whole = snapshots.find(({ id, size }) => !unreadable.has(id) && size > 0);
    if (whole === undefined) continue;
    const snapshot = await copyOver(commands, scratch, whole);
    moved.push({ database, before: head.id, content: whole.id, snapshot });
  }
  return moved;
}
