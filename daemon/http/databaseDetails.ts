/** What a database has that its summary does not tell. */
import { publishLagMs } from '../../fs/database/publishLag.js';
import type { Engine } from '../../fs/engine.js';

export interface DatabaseDetails {
  readonly publishLagMs: number;
  /** Of the newest snapshot. */
  readonly epoch: number;
  readonly isLeaseHeld: boolean;
  /** Another host has taken the lease while it was ours. */
  readonly isLeaseLost: boolean;
}

/** undefined: there is no database of that name any more. */
export function databaseDetails(engine: Engine, name: string): DatabaseDetails | undefined {
  const entry = engine.find(name);
  if (entry === undefined) return undefined;
  const { publisher, ownership } = entry;
  return {
    publishLagMs: publishLagMs(publisher),
    epoch: Number(publisher.snapshot?.epoch ?? 0),
    isLeaseHeld: ownership.held,
    isLeaseLost: ownership.isLost,
  };
}
