/** All items in the order of a run: what only reads the big database, then what changes it. */
import type { Item } from '../item.js';
import { commitsItem } from './commits.js';
import { compactionItem } from './compaction.js';
import { copyInItem, copyOutItem } from './copies.js';
import { loadItem } from './load.js';
import { memoryItem } from './memory.js';
import { mixedItem } from './mixed.js';
import { openBesideItem } from './openBeside.js';
import { queriesItem } from './queries.js';
import { readersItem } from './readers.js';
import { remoteItem } from './remote.js';
import { scanItems } from './scans.js';
import { snapshotsItem } from './snapshots.js';
import { spillItem } from './spill.js';

export const ITEMS: readonly Item[] = [
  ...scanItems,
  queriesItem,
  spillItem,
  copyOutItem,
  loadItem,
  copyInItem,
  commitsItem,
  compactionItem,
  mixedItem,
  openBesideItem,
  snapshotsItem,
  readersItem,
  remoteItem,
  memoryItem,
];
