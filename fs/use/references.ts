/**
 * The kernel remembers names long after the last open file is closed, and with them versions that
 * nobody needs. It is asked to forget those of old versions that are not open.
 */
import type { Clock } from '../../proto/ports.js';
import type { ReaderNode } from '../nodes/nodes.js';
import type { NodeTable } from '../nodes/nodeTable.js';

/** Its FORGETs come right after that, as requests of their own. */
const FORGET_MS = 50;

const nameOf = ({ entry, file, ref }: ReaderNode): string =>
  `${entry.database.name}${ref === undefined ? '' : `@${ref}`}${file.suffix}`;

/** `forgetName`: of the mounted directory; resolves when the kernel has done so. */
export async function forgetOldVersions(
  nodes: NodeTable,
  forgetName: (name: string) => Promise<void>,
  clock: Clock,
): Promise<void> {
  const idle = [...nodes.oldVersions()].filter((n) => n.handles === 0 && n.promises === 0);
  for (const name of new Set(idle.map(nameOf))) await forgetName(name);
  if (idle.length > 0) await clock.sleep(FORGET_MS);
}
