/** The audit lines of a garbage collection: which snapshots went, and how much with them. */
import { type Actor, audit } from '../../proto/audit.js';
import type { Logger } from '../../proto/ports.js';
import { bytesOf, type CollectReport } from './report.js';

/** Of one line; a collection after a long time takes thousands. */
const IDS_PER_LINE = 100;

/** Nothing for one that found nothing, or only looked. */
export function auditCollection(
  logger: Logger,
  actor: Actor,
  { dryRun, databases, deleted }: CollectReport,
): void {
  if (dryRun) return;
  for (const { id, name, dropped, snapshots } of databases) {
    const what = dropped ? 'a dropped database is gone for good' : 'old snapshots were removed';
    for (let from = 0; from === 0 || from < snapshots.length; from += IDS_PER_LINE) {
      const some = snapshots.slice(from, from + IDS_PER_LINE);
      audit(logger, 'gc', actor, { database: name, id, dropped, snapshots: some }, what);
    }
  }
  if (deleted.length === 0) return;
  const fields = { objects: deleted.length, bytes: bytesOf(deleted) };
  audit(logger, 'gc', actor, fields, 'objects that nobody needs were deleted');
}
