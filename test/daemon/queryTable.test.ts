import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BoxColumn, boxTable, layOut } from '../../daemon/query/boxTable.js';
import { displayWidth, fitWidth } from '../../daemon/query/displayWidth.js';

const column = (name: string, type: string, align: 'left' | 'right'): BoxColumn => ({
  name,
  type,
  align,
});

test('a small table, whole', () => {
  const content = {
    columns: [column('n', 'integer', 'right'), column('text', 'varchar', 'left')],
    head: [
      ['1', 'x'],
      ['-23', null],
      [null, 'a\nb\u001b[31m'],
    ],
    tail: [],
    rowCount: 3,
  };
  const expected = [
    '┌─────────┬────────────────┐',
    '│    n    │      text      │',
    '│ integer │    varchar     │',
    '├─────────┼────────────────┤',
    '│       1 │ x              │',
    '│     -23 │ NULL           │',
    '│    NULL │ a\\nb\\u001b[31m │',
    '└─────────┴────────────────┘',
    '',
  ].join('\n');
  assert.equal(boxTable(content, undefined), expected);
  assert.equal(boxTable(content, 80), expected);
});

test('no rows are said to be none; left out ones are counted', () => {
  const columns = [column('a', 'bigint', 'right')];
  assert.match(boxTable({ columns, head: [], tail: [], rowCount: 0 }, 80), /┘\n {2}0 rows\n$/);
  const cut = boxTable({ columns, head: [['1']], tail: [['1000000']], rowCount: 1_000_000 }, 80);
  assert.match(cut, / 1 │\n(│ +· +│\n){3}│ 1000000 │/);
  assert.match(cut, / {2}1,000,000 rows \(2 shown\)\n$/);
});

test('wide, combining and joined characters', () => {
  const widths: [string, number][] = [
    ['abc', 3],
    ['ü', 1],
    ['u\u0308', 1],
    ['日本語', 6],
    ['ｆ', 2],
    ['한국', 4],
    ['🦆', 2],
    ['👩‍👩‍👧', 2],
    ['🇩🇪', 2],
    ['👍🏽', 2],
    ['❤️', 2],
    ['❤', 1],
    ['⚡', 2],
    ['1️⃣', 2],
    ['\u200b', 0],
    ['e\u0301\u0301\u0301', 1],
    ['שלום', 4],
  ];
  for (const [text, width] of widths) assert.equal(displayWidth(text), width, text);
  assert.equal(fitWidth('日本語', 5), '日本…');
  assert.equal(fitWidth('日本語', 4), '日…');
  assert.equal(fitWidth('👩‍👩‍👧x👩‍👩‍👧', 4), '👩‍👩‍👧x…');
  assert.equal(fitWidth('abc', 3), 'abc');
});

const cellTexts = fc.string({ unit: 'grapheme', maxLength: 40 });

test('every line of every table has the same width, and none is wider than the terminal', () => {
  const tables = fc.integer({ min: 1, max: 12 }).chain((columns) =>
    fc.record({
      names: fc.array(cellTexts, { minLength: columns, maxLength: columns }),
      rows: fc.array(fc.array(fc.option(cellTexts), { minLength: columns, maxLength: columns }), {
        maxLength: 5,
      }),
      room: fc.integer({ min: 20, max: 200 }),
    }),
  );
  fc.assert(
    fc.property(tables, ({ names, rows, room }) => {
      const columns = names.map((name, i) => column(name, 'varchar', i % 2 ? 'left' : 'right'));
      const content = { columns, head: rows, tail: [], rowCount: rows.length };
      const lines = boxTable(content, room).split('\n');
      const box = lines.filter((line) => /^[┌│├└]/.test(line));
      const widths = new Set(box.map(displayWidth));
      assert.equal(widths.size, 1, boxTable(content, room));
      assert.ok([...widths][0]! <= room);
      const full = boxTable(content, undefined);
      assert.ok(!full.includes('shown'));
    }),
    { numRuns: 300 },
  );
});

test('narrow columns keep their width; columns in the middle go first', () => {
  assert.deepEqual(layOut([5, 100, 5], 60), { shown: [0, 1, 2], widths: [5, 40, 5] });
  const many = layOut(
    Array.from({ length: 30 }, () => 20),
    80,
  );
  assert.ok(many.shown.includes(-1));
  assert.ok(many.shown.includes(0) && many.shown.includes(29));
});
