/** The oracle of postgresRivals.test.ts on histories that were made up: it can say no, and yes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RIVAL_TTL, type RivalEvent } from './postgresRival.js';
import { KILLED, requireFencing } from './rivalOracle.js';

/** `at` in ms; each event takes one. */
const event = (
  at: number,
  holder: string,
  what: RivalEvent['what'],
  epoch: number,
): RivalEvent => ({ what, holder, epoch, began: at, ended: at + 1 });

const A = 'rival-2';
const B = 'rival-3';

const LEGAL: Readonly<Record<string, readonly RivalEvent[]>> = {
  'it ran out': [event(0, A, 'acquire', 1), event(RIVAL_TTL, B, 'acquire', 2)],
  'it was released': [
    event(0, A, 'acquire', 1),
    event(5, A, 'release', 1),
    event(6, B, 'acquire', 2),
  ],
  'the holder took it again, and released that': [
    event(0, A, 'acquire', 26),
    event(10, A, 'acquire', 27),
    event(20, A, 'release', 27),
    event(35, B, 'acquire', 28),
  ],
  'the killed one may have released it': [
    event(0, KILLED, 'acquire', 1),
    event(9, B, 'acquire', 2),
  ],
};

const ILLEGAL: Readonly<Record<string, readonly RivalEvent[]>> = {
  'it had not run out': [event(0, A, 'acquire', 1), event(20, B, 'acquire', 2)],
  'it was renewed': [
    event(0, A, 'acquire', 1),
    event(30, A, 'renew', 1),
    event(45, B, 'acquire', 2),
  ],
  'somebody else released something': [
    event(0, A, 'acquire', 1),
    event(5, B, 'release', 1),
    event(20, B, 'acquire', 2),
  ],
  'an older one of his was released': [
    event(0, A, 'acquire', 1),
    event(1, A, 'release', 1),
    event(5, A, 'acquire', 2),
    event(20, B, 'acquire', 3),
  ],
  'it was released afterwards': [
    event(0, A, 'acquire', 1),
    event(20, B, 'acquire', 2),
    event(30, A, 'release', 1),
  ],
  'the old holder publishes': [
    event(0, A, 'acquire', 1),
    event(RIVAL_TTL + 5, B, 'acquire', 2),
    event(RIVAL_TTL + 15, A, 'publish', 1),
  ],
  'an epoch comes twice': [event(0, A, 'acquire', 1), event(90, B, 'acquire', 1)],
};

for (const [what, events] of Object.entries(LEGAL)) {
  test(`rivals may: ${what}`, () => requireFencing(events));
}

for (const [what, events] of Object.entries(ILLEGAL)) {
  test(`rivals may not: ${what}`, () => {
    assert.throws(() => requireFencing(events), { code: 'ERR_ASSERTION' });
  });
}

test('a refusal shows what happened in between', () => {
  const events = [
    event(0, A, 'acquire', 1),
    event(7, A, 'publish', 1),
    event(20, B, 'acquire', 2),
    event(70, B, 'publish', 2),
  ];
  assert.throws(
    () => requireFencing(events),
    ({ message }: Error) => message.includes('"began":7') && !message.includes('"began":70'),
  );
});
