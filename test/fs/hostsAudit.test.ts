/** The audit trail of hosts that share their databases: who may write, and what others did. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type LogLine, recordingLogger } from '../layers/s3Fixture.js';
import { commitText, finish, Hosts, TTL_MS } from './hostsFixture.js';
import { ManualClock } from './manualClock.js';

const LIMIT = { timeout: 30_000 };

const trail = (lines: readonly LogLine[]) =>
  lines.filter(({ fields }) => fields['audit'] === true).map(({ fields }) => fields);

test('every change of a lease is told, by the host that has it', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const [logA, logB] = [recordingLogger(), recordingLogger()];
  const a = await hosts.engine('a', hosts.clock, hosts.metadata, undefined, logA);
  const clockOfB = new ManualClock();
  const b = await hosts.engine('b', clockOfB, hosts.metadata, undefined, logB);
  await finish(await commitText(a, 'duck', 'one'));
  await b.refresh();
  const onB = await commitText(b, 'duck', 'two');
  const actions = (lines: readonly LogLine[]) => trail(lines).map(({ action }) => action);
  assert.deepEqual(actions(logA.lines), ['lease-taken', 'lease-given-back']);
  assert.deepEqual(actions(logB.lines), ['lease-taken']);
  const [taken, back] = trail(logA.lines);
  const [after] = trail(logB.lines);
  assert.deepEqual({ ...taken }, { ...back, action: 'lease-taken' });
  assert.deepEqual([taken?.database, taken?.['by'], taken?.['holder']], ['duck', 'daemon', 'a']);
  assert.ok(Number(after?.['epoch']) > Number(taken?.['epoch']));

  // Time stands still for B for longer than its lease lasts.
  hosts.clock.advance(TTL_MS * 2);
  await commitText(a, 'duck', 'three');
  clockOfB.advance(TTL_MS * 2);
  await assert.rejects(onB.ownership.confirm(), { code: 'LEASE_LOST' });
  const lost = logB.lines.find(({ fields }) => fields['action'] === 'lease-lost');
  assert.deepEqual([lost?.level, lost?.fields['by']], ['error', 'another host']);
  assert.equal(lost?.fields.database, 'duck');
  await a.close();
  await b.close();
});

test('what another host did to names is told', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const log = recordingLogger();
  const a = await hosts.engine('a');
  const b = await hosts.engine('b', hosts.clock, hosts.metadata, undefined, log);
  const entry = await commitText(a, 'duck', 'one');
  await b.refresh();
  await a.rename(entry, 'goose');
  await b.refresh();
  await a.drop(entry);
  await b.refresh();
  const others = trail(log.lines).filter(({ by }) => by === 'another host');
  assert.deepEqual(
    others.map(({ action, database, to }) => [action, database, to]),
    [
      ['rename', 'duck', 'goose'],
      ['drop', 'goose', undefined],
    ],
  );
  await a.close();
  await b.close();
});
