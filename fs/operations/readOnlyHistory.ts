/** What is refused in `.snapshots`: everything that would change it. */
import { OpenduckError } from '../../proto/errors.js';
import type { Node } from '../nodes/nodes.js';

export function readOnlyHistory(name: string): OpenduckError {
  return new OpenduckError('READ_ONLY', `${name}: snapshots are read-only`, {
    hint: 'Copy the files out of it, or restore the database from them.',
  });
}

/** Throws READ_ONLY for a directory in which nothing is made, renamed or removed. */
export function requireNoHistory(parent: Node, name: string): void {
  if (parent.kind === 'snapshots' || parent.kind === 'history') throw readOnlyHistory(name);
}
