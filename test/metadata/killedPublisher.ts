/**
 * The child of kill.test.ts: opens the file given as argument and publishes until it is killed,
 * printing each sequence after its promise resolved.
 */
import { writeSync } from 'node:fs';
import { openSqliteStore } from '../../metadata/sqlite/open.js';
import { assert, errorCode } from '../../proto/errors.js';
import { versionNumber, wallTime } from '../../proto/ids.js';
import { silentLogger, systemClock } from '../../proto/ports.js';
import { dbId, layer, START, snapshot, TTL } from './fixtures.js';

/** Layers under a snapshot, so that rows are replaced and not only added. */
const DEPTH = 4;

const path = process.argv[2];
assert(path !== undefined, 'the path of the metadata file is the first argument');
const store = await openSqliteStore(path, systemClock, silentLogger);
const id = dbId(1);
try {
  await store.createDatabase({ id, name: 'x', createdAt: wallTime(START) });
} catch (error) {
  if (errorCode(error) !== 'ALREADY_EXISTS') throw error;
}
const lease = await store.acquireLease(id, 'child', TTL);
const { head } = await store.getDatabase(id);
let parent = head === undefined ? undefined : await store.getSnapshot(head);
let stack = head === undefined ? [] : (await store.stackOf(head)).map((l) => l.id);
for (;;) {
  const sequence: number = (parent?.sequence ?? 0) + 1;
  const added = layer(sequence, id);
  stack = [...stack, added.id].slice(-DEPTH);
  const next = snapshot(sequence, {
    parent: parent?.id,
    sequence,
    version: versionNumber(sequence),
    epoch: lease.epoch,
  });
  await store.publish({ snapshot: next, newLayers: [added], stack });
  writeSync(1, `${sequence}\n`);
  parent = next;
}
