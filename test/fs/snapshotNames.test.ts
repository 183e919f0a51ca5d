/** Names in `.snapshots/NAME`: unique, in the order of time, and each leads to its snapshot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseReferenceName, referencesOf, suffixOf } from '../../fs/snapshotNames.js';
import type { SnapshotRecord } from '../../metadata/store.js';
import { formatTime, parseWhen } from '../../metadata/when.js';
import { wallTime } from '../../proto/ids.js';
import { snapId, snapshot } from '../metadata/fixtures.js';

const START = Date.UTC(2026, 10, 25, 3, 14, 15, 250);

/** Newest first, as the metadata lists them. */
function snapshotsAt(times: readonly number[], names: readonly (string | undefined)[] = []) {
  return times
    .map((ms, i) =>
      snapshot(i + 1, { sequence: i + 1, commitTime: wallTime(START + ms), name: names[i] }),
    )
    .reverse();
}

/** What the metadata does with a reference; see resolve.ts. */
function resolve(snapshots: readonly SnapshotRecord[], ref: string): SnapshotRecord | undefined {
  const named = snapshots.find(({ name }) => name === ref);
  if (named !== undefined) return named;
  const when = parseWhen(ref, wallTime(START));
  if (when.kind === 'time') return snapshots.find(({ commitTime }) => commitTime <= when.at);
  return when.kind === 'id' ? snapshots.find(({ id }) => id.startsWith(when.prefix)) : undefined;
}

test('snapshot names: by time, and by name', () => {
  const snapshots = snapshotsAt([0, 1000], ['before', undefined]);
  assert.deepEqual(
    [...referencesOf(snapshots)].map(([ref, { id }]) => [ref, id]),
    [
      ['2026-11-25T03:14:15.250Z', snapId(1)],
      ['2026-11-25T03:14:16.250Z', snapId(2)],
      ['before', snapId(1)],
    ],
  );
});

test('snapshot names: a time that means another snapshot is told apart by the id', () => {
  const [time] = [formatTime(wallTime(START))];
  const refs = [...referencesOf(snapshotsAt([0, 0])).keys()];
  assert.deepEqual(refs, [`${time}_${snapId(1)}`, time]);
});

test('snapshot names: what could not be a file name is listed by its time only', () => {
  for (const name of ['.hidden', 'a.duckdb.b', '🦆'.repeat(62)]) {
    assert.equal(referencesOf(snapshotsAt([0], [name])).size, 1, name);
  }
});

test('snapshot names: each leads to its snapshot, whatever clocks and names are', () => {
  const times = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 12 });
  const label = fc.oneof(
    fc.constant(undefined),
    fc.integer({ min: 0, max: 5 }).map((ms) => formatTime(wallTime(START + ms))),
    fc.string({ minLength: 1, maxLength: 8 }).map((text) => text.replace(/[/@\0]/g, '_')),
  );
  fc.assert(
    fc.property(times, fc.array(label, { maxLength: 12 }), (ms, labels) => {
      const unique = labels.map((l, i) => (labels.indexOf(l) === i ? l : undefined));
      const snapshots = snapshotsAt(ms, unique);
      const references = referencesOf(snapshots);
      const found = new Set<SnapshotRecord>();
      for (const [ref, meant] of references) {
        assert.equal(resolve(snapshots, ref), meant, ref);
        found.add(meant);
        for (const suffix of meant.files.map(suffixOf)) {
          assert.deepEqual(parseReferenceName(ref + suffix), { ref, suffix });
        }
      }
      assert.equal(found.size, snapshots.length, 'every snapshot is listed');
    }),
  );
});
