/**
 * The part of the conformance suite about WHEN.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { wallTime } from '../../proto/ids.js';
import type { Case } from './conformance.js';
import { dbId, refuses, START, snapId, startWriter } from './fixtures.js';

const NOW = wallTime(START + 10 * 60_000);

/** Registers the tests. */
export function resolutionConformance(check: Case): void {
  check('WHEN: names, ids, ~N and times', async ({ store }) => {
    const writer = await startWriter(store);
    // Commits at minutes 0, 1, 2 and 3; ids begin with 00000001 to 00000004.
    for (let i = 0; i < 4; i++) await writer.publish();
    await store.nameSnapshot(snapId(2), 'release: one');
    await store.nameSnapshot(snapId(3), '~first');
    const cases: readonly (readonly [string, number])[] = [
      ['release: one', 2],
      ['~first', 3],
      [snapId(3), 3],
      [snapId(3).toUpperCase(), 3],
      ['00000003', 3],
      ['00000003-', 3],
      ['00000003005a', 3],
      ['~0', 4],
      ['~3', 1],
      ['now', 4],
      ['8 minutes ago', 3],
      ['481s ago', 2],
      ['10 min ago', 1],
      ['2026-05-01T00:01:59.999Z', 2],
      ['2026-05-01 02:02+02:00', 3],
      ['2027-01-01', 4],
    ];
    for (const [when, n] of cases) {
      assert.equal((await store.resolveSnapshot(dbId(1), when, NOW)).id, snapId(n), when);
    }
  });

  check('WHEN: a name wins over every other form', async ({ store }) => {
    const writer = await startWriter(store);
    for (let i = 0; i < 3; i++) await writer.publish();
    for (const name of ['now', '00000003', '2026-05-01', '5 minutes ago']) {
      await store.nameSnapshot(snapId(1), name);
      assert.equal((await store.resolveSnapshot(dbId(1), name, NOW)).id, snapId(1), name);
    }
  });

  check('WHEN: what is not there is NOT_FOUND, with what to do', async ({ store }) => {
    const writer = await startWriter(store);
    const find = (when: string, n = 1) => store.resolveSnapshot(dbId(n), when, NOW);
    const empty = await refuses(find('~0'), 'NOT_FOUND', /'x' has no snapshot yet/);
    assert.match(empty.hint ?? '', /openduck-fuse snapshot x/);
    await writer.publish();
    await refuses(find('~1'), 'NOT_FOUND', /has no ~1: it has 1 /);
    await refuses(find('dead'), 'NOT_FOUND', /'dead'/);
    const early = await refuses(find('1 day ago'), 'NOT_FOUND', /2026-04-30T00:10:00\.000Z/);
    assert.ok(early.message.includes(snapId(1)), early.message);
    assert.ok(early.message.includes('2026-05-01T00:00:00.000Z'), early.message);
    assert.match(early.hint ?? '', /snapshot list x/);
    await refuses(find('no such name'), 'NOT_FOUND', /'no such name'/);
    await refuses(find('~0', 9), 'NOT_FOUND', /no database/);
  });

  check('WHEN: an ambiguous prefix lists the candidates', async ({ store }) => {
    const writer = await startWriter(store);
    const other = await startWriter(store, { number: 2, name: 'y', first: 0xabcd0000 });
    for (let i = 0; i < 12; i++) await writer.publish();
    await other.publish();
    const find = (when: string, n = 1) => store.resolveSnapshot(dbId(n), when, NOW);
    const error = await refuses(find('0000'), 'INVALID_ARGUMENT', /and more/);
    assert.ok(error.message.includes(snapId(12)), error.message);
    const two = await refuses(find('0000000'), 'INVALID_ARGUMENT');
    assert.ok(two.message.includes(snapId(12)), two.message);
    // Only its own database's ids count.
    assert.equal((await find('abcd', 2)).id, snapId(0xabcd0000));
    await refuses(find('abcd'), 'NOT_FOUND');
    await refuses(find('2026-13-01'), 'INVALID_ARGUMENT');
  });

  check('WHEN: a time means the newest of what was committed by then', async ({ store }) => {
    let number = 0;
    const minutes = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(minutes, fc.integer({ min: -1, max: 21 }), async (commits, moment) => {
        number++;
        const name = `db${number}`;
        const writer = await startWriter(store, { number, name, first: number * 100 });
        // Not sorted: clocks are set back sometimes.
        for (const minute of commits) {
          await writer.publish({ commitTime: wallTime(START + minute * 60_000) });
        }
        const expected = commits.findLastIndex((minute) => minute <= moment);
        const when = new Date(START + moment * 60_000).toISOString();
        const found = store.resolveSnapshot(dbId(number), when, NOW);
        if (expected < 0) await refuses(found, 'NOT_FOUND');
        else assert.equal((await found).sequence, expected + 1);
      }),
      { numRuns: 25 },
    );
    assert.deepEqual(await store.check(), []);
  });
}
