/** Every command that changes something leaves its line, and only when it succeeded. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { auditedCommands } from '../../daemon/auditedCommands.js';
import { auditCollection } from '../../fs/gc/auditCollection.js';
import { DAEMON } from '../../proto/audit.js';
import { snapshotId } from '../../proto/ids.js';
import { recordingLogger } from '../layers/s3Fixture.js';
import { fakeCommands, REPORT, SNAPSHOT } from './fakeCommands.js';

const ACTOR = { by: 'command', pid: 4711, uid: 1000 } as const;
const ALL = { database: undefined, dryRun: false, undropWithinMs: 1, minAgeMs: 1 };

test('one line each: who, what, which database', async () => {
  const logger = recordingLogger();
  const commands = auditedCommands(fakeCommands, logger, ACTOR);
  assert.equal((await commands.takeSnapshot('mydb', 'before')).name, 'before');
  await commands.nameSnapshot('mydb', '~1', undefined);
  await commands.removeSnapshot('mydb', '~1', true);
  await commands.clone('mydb', undefined, 'copy');
  await commands.restore('mydb', '~3', 0);
  await commands.reset('mydb', 0);
  await commands.undrop('mydb', undefined, 'again');
  await commands.recover('mydb', 'rescued');
  await commands.finishImport('mydb', []);
  await commands.setRetention('mydb', { keepLast: 3 });
  await commands.collect(ALL);
  const told = logger.lines.map(({ fields }) => [fields['action'], fields.database]);
  assert.deepEqual(told, [
    ['snapshot', 'mydb'],
    ['snapshot-name', 'mydb'],
    ['snapshot-rm', 'mydb'],
    ['clone', 'copy'],
    ['restore', 'mydb'],
    ['reset', 'mydb'],
    ['undrop', 'again'],
    ['recover', 'rescued'],
    ['import', 'mydb'],
    ['retention', 'mydb'],
    ['gc', 'mydb'],
  ]);
  for (const { level, fields } of logger.lines) {
    assert.equal(level, 'info');
    const { audit, by, callerPid, callerUid } = fields;
    assert.deepEqual([audit, by, callerPid, callerUid], [true, 'command', 4711, 1000]);
  }
  assert.deepEqual(logger.lines.at(-1)?.fields['snapshots'], [SNAPSHOT.id]);
});

test('nothing for what only looks, fails, or is a dry run', async () => {
  const logger = recordingLogger();
  const commands = auditedCommands(fakeCommands, logger, ACTOR);
  await commands.status();
  await commands.listSnapshots('mydb');
  await commands.retention('mydb');
  await assert.rejects(commands.clone('nope', undefined, 'copy'), { code: 'NOT_FOUND' });
  await assert.rejects(commands.restore('nope', '~1', 0), { code: 'NOT_FOUND' });
  auditCollection(logger, ACTOR, { ...REPORT, dryRun: true });
  assert.deepEqual(logger.lines, []);
});

test('a large collection names every snapshot, in lines of bounded length', () => {
  const logger = recordingLogger();
  const snapshots = Array.from({ length: 250 }, (_, i) =>
    snapshotId(`01890000-0001-7aaa-8aaa-${String(i).padStart(12, '0')}`),
  );
  const [database] = REPORT.databases;
  const deleted = [
    { key: 'a/1.layer', bytes: 5 },
    { key: 'a/2.layer', bytes: 7 },
  ];
  auditCollection(logger, DAEMON, { ...REPORT, databases: [{ ...database!, snapshots }], deleted });
  const lines = logger.lines.map(({ fields }) => fields);
  assert.deepEqual(
    lines.slice(0, 3).flatMap((line) => line['snapshots']),
    snapshots,
  );
  assert.deepEqual(
    lines.map((line) => (line['snapshots'] as readonly string[] | undefined)?.length),
    [100, 100, 50, undefined],
  );
  assert.deepEqual([lines[3]?.['objects'], lines[3]?.['bytes']], [2, 12]);
});
