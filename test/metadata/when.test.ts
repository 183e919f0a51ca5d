/**
 * WHEN, form by form, in a time zone that is not UTC and has daylight saving time.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatTime, parseWhen, requireSnapshotName, type When } from '../../metadata/when.js';
import { errorCode } from '../../proto/errors.js';
import { wallTime } from '../../proto/ids.js';

process.env['TZ'] = 'America/New_York';

const NOW = wallTime(Date.UTC(2026, 4, 10, 12));

const time = (iso: string): When => ({ kind: 'time', at: wallTime(Date.parse(iso)) });
const id = (prefix: string): When => ({ kind: 'id', prefix });
const back = (steps: number): When => ({ kind: 'back', steps });
const OTHER: When = { kind: 'other' };

const FORMS: readonly (readonly [string, When])[] = [
  ['abcd', id('abcd')],
  ['ABCD', id('abcd')],
  ['2026', id('2026')],
  ['20260501', id('20260501')],
  ['0190aaaa-', id('0190aaaa-')],
  ['0190aaaab', id('0190aaaa-b')],
  ['0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee', id('0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee')],
  ['0190aaaabbbb7ccc8dddeeeeeeeeeeee', id('0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee')],
  ['~0', back(0)],
  [' ~12 ', back(12)],
  ['now', back(0)],
  ['90s ago', time('2026-05-10T11:58:30Z')],
  ['1 second ago', time('2026-05-10T11:59:59Z')],
  ['30 sec ago', time('2026-05-10T11:59:30Z')],
  ['5 minutes ago', time('2026-05-10T11:55:00Z')],
  ['5 Minutes  ago', time('2026-05-10T11:55:00Z')],
  ['5m ago', time('2026-05-10T11:55:00Z')],
  ['1 hour ago', time('2026-05-10T11:00:00Z')],
  ['2h ago', time('2026-05-10T10:00:00Z')],
  ['2d ago', time('2026-05-08T12:00:00Z')],
  ['1 week ago', time('2026-05-03T12:00:00Z')],
  ['0 days ago', time('2026-05-10T12:00:00Z')],
  ['999999999 weeks ago', time('1970-01-01T00:00:00Z')],
  ['2026-05-01T10:30:15.250Z', time('2026-05-01T10:30:15.250Z')],
  ['2026-05-01t10:30z', time('2026-05-01T10:30:00Z')],
  ['2026-05-01T10:30:15,5+02:00', time('2026-05-01T08:30:15.500Z')],
  ['2026-05-01 10:30:15.123999-0530', time('2026-05-01T16:00:15.123Z')],
  ['2026-05-01T10:30+02', time('2026-05-01T08:30:00Z')],
  ['2026-05-01T23:30-01:00', time('2026-05-02T00:30:00Z')],
  ['2026-05-01', time('2026-05-01T04:00:00Z')],
  ['2026-01-01', time('2026-01-01T05:00:00Z')],
  ['2026-05-01 10:30', time('2026-05-01T14:30:00Z')],
  ['2024-02-29', time('2024-02-29T05:00:00Z')],
  // The hour that clocks skip, 02:00 to 03:00, counts on from before.
  ['2026-03-08T02:30', time('2026-03-08T07:30:00Z')],
  ['abc', OTHER],
  ['0190-aaaa', OTHER],
  ['0190aaaabbbb7ccc8dddeeeeeeeeeeeee', OTHER],
  ['5 minutes', time('2026-05-10T11:55:00Z')],
  ['5min', time('2026-05-10T11:55:00Z')],
  ['90S', time('2026-05-10T11:58:30Z')],
  ['2d', time('2026-05-08T12:00:00Z')],
  ['123d', id('123d')],
  ['Yesterday', time('2026-05-09T12:00:00Z')],
  [
    '2026-05-01T10:30:15.250Z_0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee',
    id('0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee'),
  ],
  ['5 parsecs', OTHER],
  ['3rd', OTHER],
  ['ago', OTHER],
  ['', OTHER],
  ['release 2026-05-01', OTHER],
];

const NONSENSE: readonly string[] = [
  '~',
  '~x',
  '~-1',
  '~1.5',
  '~1234567890',
  '5 parsecs ago',
  '2026-5-1',
  '2026-13-01',
  '2026-02-30',
  '2026-02-00',
  '2026-05-01T24:00Z',
  '2026-05-01T10:60Z',
  '2026-05-01T10:30:60Z',
  '2026-05-01T10:30+24:00',
  '2026-05-01T10:30+02:60',
  '2026-05-01T10',
  '2026-05-01Z',
  '2026-05-01T10:30:15.250Z_',
  '2026-05-01T10:30:15.250Z_xyz',
];

test('when: every form means what the table says', () => {
  for (const [text, expected] of FORMS) assert.deepEqual(parseWhen(text, NOW), expected, text);
});

test('when: what begins like a form and makes no sense is refused', () => {
  for (const text of NONSENSE) {
    assert.throws(
      () => parseWhen(text, NOW),
      (error: unknown) => errorCode(error) === 'INVALID_ARGUMENT',
      text,
    );
  }
});

const anyTime = fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) }).map(wallTime);

test('when: a printed time is read back as the same time', () => {
  fc.assert(
    fc.property(anyTime, (at) => {
      assert.deepEqual(parseWhen(formatTime(at), NOW), { kind: 'time', at });
    }),
  );
});

test('when: an offset moves the time by itself', () => {
  const minutes = fc.integer({ min: -23 * 60 - 59, max: 23 * 60 + 59 });
  fc.assert(
    fc.property(anyTime, minutes, (at, offset) => {
      fc.pre(at + offset * 60_000 >= 0);
      const clock = new Date(at + offset * 60_000).toISOString().slice(0, -1);
      fc.pre(clock.length === 23);
      const ahead = Math.abs(offset);
      const two = (n: number) => String(n).padStart(2, '0');
      const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(ahead / 60))}:${two(ahead % 60)}`;
      assert.deepEqual(parseWhen(`${clock}${zone}`, NOW), { kind: 'time', at });
    }),
  );
});

test('when: every beginning of an id is a prefix of it, with dashes or without', () => {
  fc.assert(
    fc.property(fc.uuid(), fc.integer({ min: 4, max: 36 }), (uuid, length) => {
      const dashed = uuid.slice(0, length);
      for (const text of [dashed, dashed.replaceAll('-', '')]) {
        const when = parseWhen(text, NOW);
        assert.ok(when.kind === 'id' && uuid.startsWith(when.prefix), text);
        const digits = (s: string) => s.replaceAll('-', '');
        assert.equal(digits(when.prefix), digits(text));
      }
    }),
  );
});

test('when: no text at all is an accident', () => {
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789-:TZ+~. ago') });
  fc.assert(
    fc.property(fc.oneof(fc.string(), digits), (text) => {
      try {
        const when = parseWhen(text, NOW);
        assert.ok(when.kind !== 'time' || Number.isSafeInteger(when.at), text);
      } catch (error) {
        assert.equal(errorCode(error), 'INVALID_ARGUMENT', text);
      }
    }),
    { numRuns: 2000 },
  );
});

test('when: snapshot names have rules', () => {
  for (const good of ['a', 'x'.repeat(100), '🦆'.repeat(100), '~', '~1a', ' ', 'a:b c']) {
    requireSnapshotName(good);
  }
  for (const bad of ['', 'x'.repeat(101), 'a/b', 'a@b', 'a\0b', '~0', '~42']) {
    assert.throws(
      () => requireSnapshotName(bad),
      (error: unknown) => errorCode(error) === 'INVALID_ARGUMENT',
      bad,
    );
  }
});
