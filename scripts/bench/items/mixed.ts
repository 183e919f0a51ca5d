/** Inserts, updates and deletes in transactions, with checkpoints between them. */
import { type Item, pairSample } from '../item.js';

const NAME = 'mixed';
const ACCOUNTS = 200_000;
const TRANSACTIONS = 60;
const CHECKPOINT_EVERY = 20;

const SCHEMA = [
  'CREATE TABLE IF NOT EXISTS accounts (id BIGINT, balance BIGINT, secret UBIGINT)',
  `INSERT INTO accounts SELECT range, 0, hash(range) FROM range(${ACCOUNTS})
    WHERE NOT EXISTS (FROM accounts)`,
  'CREATE TABLE IF NOT EXISTS events (seq BIGINT, amount BIGINT, secret UBIGINT)',
  'CHECKPOINT',
];

function transaction(seq: number): string {
  const from = (seq * 7919) % ACCOUNTS;
  return `BEGIN;
    INSERT INTO events SELECT ${seq}, range, hash(range, ${seq}) FROM range(2000);
    UPDATE accounts SET balance = balance + ${seq} WHERE id BETWEEN ${from} AND ${from + 500};
    DELETE FROM events WHERE seq = ${seq - 10};
    COMMIT`;
}

function statements(round: number): string[] {
  const all: string[] = [];
  for (let i = 1; i <= TRANSACTIONS; i++) {
    all.push(transaction(round * TRANSACTIONS + i));
    if (i % CHECKPOINT_EVERY === 0) all.push('CHECKPOINT');
  }
  return all;
}

export const mixedItem: Item = {
  name: 'mixed',
  title: 'Mixed updates',
  weight: 45,
  measures: [
    {
      id: 'mixed',
      label: `${TRANSACTIONS} transactions`,
      unit: 'ms',
      note:
        '2000 rows inserted, 500 updated, 2000 deleted in each; ' +
        `CHECKPOINT after every ${CHECKPOINT_EVERY}`,
    },
  ],
  run: async (stage, round) => {
    const times = await stage.bothSides(round, async (side) => {
      const worker = stage.worker();
      await worker.open(stage.path(side, NAME));
      await worker.run(...SCHEMA);
      await stage.quiet();
      const { elapsedMs } = await worker.run(...statements(round));
      await worker.close();
      return elapsedMs;
    });
    return [pairSample('mixed', times)];
  },
};
