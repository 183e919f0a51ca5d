/** Sequences that the model test once found, as short as it made them. */
import assert from 'node:assert/strict';
import { acceptance } from '../harness/scene.js';
import { Driver, plan } from './modelDriver.js';
import { type Action, LockType, type Name, OpenFlag, type Operation } from './modelOperations.js';
import { Reference } from './modelReference.js';

const { RDWR, WRONLY, CREAT, APPEND } = OpenFlag;
const main: Name = { database: 0, suffix: '.duckdb' };
const wal: Name = { database: 0, suffix: '.duckdb.wal' };
const checkpoint: Name = { database: 0, suffix: '.duckdb.wal.checkpoint' };
const bak: Name = { database: 0, suffix: '.duckdb.bak' };

const does = (client: number, ...actions: Action[]): Operation[] =>
  actions.map((action) => ({ client, action }));
const open = (slot: number, name: Name, flags = 0): Action => ({
  op: 'open',
  slot,
  name,
  flags,
  mode: 0o644,
});
const write = (slot: number, length: number): Action => ({
  op: 'write',
  slot,
  length,
  tag: length,
});
const close = (slot: number): Action => ({ op: 'close', slot });
const stat = (name: Name): Action => ({ op: 'stat', name });
const lock = (slot: number, type: number): Action => ({ op: 'lock', slot, type });

const SEQUENCES: Readonly<Record<string, readonly Operation[]>> = {
  'truncate by path publishes that file only': [
    ...does(2, open(0, bak, RDWR | CREAT), write(0, 8108)),
    ...does(0, open(0, wal, RDWR | CREAT)),
    ...does(1, { op: 'truncate', name: wal, size: 2621 }, stat(bak), stat(wal)),
  ],
  'a read lock of the writer’s process ends with its descriptor': [
    ...does(0, open(0, main, RDWR | CREAT), open(1, main), lock(1, LockType.READ)),
    ...does(2, open(0, main, RDWR), lock(0, LockType.WRITE)),
    ...does(0, { op: 'die' }),
    ...does(2, lock(0, LockType.WRITE)),
  ],
  'a process sees what it has changed itself': [
    ...does(0, open(0, main, RDWR | CREAT), write(0, 10), close(0)),
    ...does(1, open(0, main), close(0), open(0, wal, WRONLY | CREAT), write(0, 20), close(0)),
    ...does(1, stat(wal), { op: 'rename', name: wal, to: bak }, stat(bak), stat(wal)),
  ],
  'who has an unlinked file of a removed database open goes on writing': [
    ...does(0, open(0, main, RDWR | CREAT), open(1, bak, RDWR | CREAT), write(1, 100)),
    ...does(1, { op: 'unlink', name: bak }, { op: 'unlink', name: main }, stat(main)),
    ...does(1, open(0, main, RDWR | CREAT), { op: 'snapshot', database: 0, ref: 1 }),
    ...does(
      0,
      write(1, 300),
      { op: 'fsync', slot: 1 },
      { op: 'read', slot: 1, length: 500, at: 0 },
    ),
  ],
  'a database that was renamed away and back has the side files of now': [
    ...does(0, open(0, main, RDWR | CREAT), write(0, 100), close(0)),
    ...does(1, open(0, main)),
    ...does(0, { op: 'rename', name: main, to: bak }),
    ...does(0, open(0, wal, RDWR | CREAT), write(0, 50), close(0)),
    ...does(0, { op: 'rename', name: bak, to: main }),
    ...does(2, open(0, main), stat(wal)),
  ],
  'a side file that was replaced is opened for writing at the first try': [
    ...does(0, open(0, main, RDWR | CREAT)),
    ...does(1, open(0, wal, RDWR | CREAT)),
    ...does(2, open(0, main)),
    ...does(1, { op: 'rename', name: main, to: wal }),
    ...does(2, close(0), open(0, wal, RDWR), write(0, 30)),
  ],
  'a pinned side file that replaced the database file is still that side file': [
    ...does(2, open(0, main, RDWR | CREAT)),
    ...does(1, open(0, wal, RDWR | CREAT)),
    ...does(2, close(0)),
    ...does(1, write(0, 4048)),
    ...does(2, open(0, main)),
    ...does(1, close(0), { op: 'rename', name: wal, to: main }),
    ...does(2, close(0), open(0, wal), { op: 'read', slot: 0, length: 50, at: 0 }),
  ],
  'a WAL that is refused is refused at the second try too': [
    ...does(1, open(0, checkpoint, WRONLY | CREAT)),
    ...does(0, open(3, main, WRONLY | CREAT)),
    ...does(1, close(0), open(0, main)),
    ...does(2, { op: 'rename', name: checkpoint, to: wal }),
    ...does(1, open(1, main), close(1), open(1, wal, RDWR | APPEND)),
  ],
  'a side file that replaced the database file is pinned as the database file': [
    ...does(1, open(0, main, RDWR | CREAT), close(0), open(0, checkpoint, RDWR | CREAT)),
    ...does(2, open(0, main), { op: 'rename', name: checkpoint, to: main }, close(0)),
    ...does(2, open(0, main), { op: 'truncate', name: main, size: 542 }),
    ...does(1, open(1, wal, RDWR | CREAT)),
    ...does(2, stat(wal), { op: 'rename', name: wal, to: bak }),
  ],
  'what a name is promised to mean comes before what it meant in a removed database': [
    ...does(0, open(0, main, RDWR | CREAT)),
    ...does(1, open(5, main)),
    ...does(0, { op: 'unlink', name: main }, open(1, wal, WRONLY | CREAT), close(0)),
    ...does(0, open(0, main, RDWR | CREAT)),
    ...does(1, open(3, main), close(3), { op: 'truncate', name: wal, size: 5998 }),
  ],
  'who had a look at a file that is not the database file any more begins anew': [
    ...does(0, open(0, main, WRONLY | CREAT)),
    ...does(2, open(0, main)),
    ...does(0, { op: 'rename', name: main, to: bak }),
    ...does(2, close(0), open(4, main), open(1, checkpoint, WRONLY | CREAT), close(1)),
    ...does(2, { op: 'rename', name: checkpoint, to: checkpoint }, stat(checkpoint)),
  ],
  'the lock on a removed database is in nobody’s way': [
    ...does(2, open(0, main, RDWR | CREAT)),
    ...does(1, open(0, main, RDWR), lock(0, LockType.WRITE), { op: 'unlink', name: main }),
    ...does(2, write(0, 1539), { op: 'ftruncate', slot: 0, size: 7 }),
  ],
  'who writes a removed database goes on after a change of its size': [
    ...does(0, open(0, main, WRONLY | CREAT)),
    ...does(1, open(0, main, RDWR)),
    ...does(2, open(0, main, RDWR), write(0, 9773)),
    ...does(0, { op: 'unlink', name: main }, { op: 'fsync', slot: 0 }),
    // By then its last snapshot is published, and the database let go.
    ...does(2, ...Array.from({ length: 300 }, (): Action => ({ op: 'fstat', slot: 0 }))),
    ...does(1, { op: 'ftruncate', slot: 0, size: 76 }, write(0, 3304)),
  ],
};

acceptance('sequences that once failed', { seconds: 60 }, async (scene) => {
  const driver = await Driver.start();
  try {
    for (const [i, [what, operations]] of Object.entries(SEQUENCES).entries()) {
      const reference = new Reference(`r${i}-`);
      const steps = plan(operations, reference);
      const mismatch = await driver.run(steps, reference);
      assert.equal(mismatch, undefined, `${what}: ${JSON.stringify(mismatch)}`);
      await driver.clear(reference);
      scene.note(what);
    }
    await driver.stop();
  } finally {
    await driver.abandon();
  }
});
