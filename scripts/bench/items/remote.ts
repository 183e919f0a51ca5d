/** Results over gRPC and Arrow from a mount's worker, against fetching them in DuckDB's process. */
import { DuckDBInstance } from '@duckdb/node-api';
import { ArrowLoader } from '../../../exec/arrow/load.js';
import { connect, type Session } from '../../../exec/client/session.js';
import type { BenchMount } from '../benchMount.js';
import { READ_ONLY } from '../duckdbWorker.js';
import { type Item, type Measure, NotMeasurable, type Sample } from '../item.js';
import type { Stage } from '../stage.js';

const NAME = 'types';
const ROWS = 2_000_000;
const SMALL_QUERIES = 200;
const START_LIMIT_MS = 30_000;

/** Of columns that DuckDB has to read from its blocks; none is constant. */
const TYPES: Readonly<Record<string, string>> = {
  BIGINT: '(hash(i) >> 1)::BIGINT',
  DOUBLE: 'hash(i) / 7.0',
  'DECIMAL(18,2)': '(hash(i) % 100000000) / 100.0',
  DATE: `DATE '1992-01-01' + (hash(i) % 2400)::INTEGER`,
  TIMESTAMP: `TIMESTAMP '1992-01-01' + to_microseconds((hash(i) % 1000000000000)::BIGINT)`,
  'VARCHAR, up to 12 bytes': `'row ' || (hash(i) % 1000000)`,
  'VARCHAR, 40 bytes': `md5(i::VARCHAR) || ' of them'`,
  'LIST of 3 INTEGER': '[i % 7, i % 11, i % 13]::INTEGER[]',
};
const LABELS = Object.keys(TYPES);

const column = (i: number): string => `c${i}`;
const idOf = (i: number): string => `remote-${i}`;

function createTable(): string {
  const columns = LABELS.map((label, i) => {
    const type = label.startsWith('DECIMAL') ? `::${label}` : '';
    return `(${TYPES[label]})${type} AS ${column(i)}`;
  });
  return `CREATE TABLE t AS SELECT ${columns.join(', ')} FROM range(${ROWS}) r(i)`;
}

async function endpointOf({ control }: BenchMount): Promise<string> {
  for (const end = Date.now() + START_LIMIT_MS; Date.now() < end; ) {
    const { worker } = await control.status();
    if (worker !== undefined && worker.pid > 0) return worker.endpoint;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new NotMeasurable('the worker did not start');
}

interface Received {
  readonly seconds: number;
  readonly bytes: number;
}

async function receive(session: Session, sql: string): Promise<Received> {
  const start = performance.now();
  let bytes = 0;
  for await (const payload of session.payloads(sql)) bytes += payload.length;
  return { seconds: (performance.now() - start) / 1000, bytes };
}

/** Into a table of this process's DuckDB, as hybrid queries do it. */
async function load(session: Session): Promise<number> {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  const start = performance.now();
  let loader: ArrowLoader | undefined;
  for await (const payload of session.payloads('FROM t')) {
    loader ??= await ArrowLoader.create(connection, 't', payload);
    loader.append(payload);
  }
  loader?.close();
  const seconds = (performance.now() - start) / 1000;
  connection.closeSync();
  instance.closeSync();
  return seconds;
}

async function measureTypes(stage: Stage, session: Session, path: string): Promise<Sample[]> {
  const samples: Sample[] = [];
  const worker = stage.worker();
  await worker.open(path, READ_ONLY);
  await worker.fetch('FROM t'); // both sides have it in memory from now on
  await receive(session, 'FROM t');
  const rate = (seconds: number): number => ROWS / 1e6 / seconds;
  for (const [i] of LABELS.entries()) {
    const sql = `SELECT ${column(i)} FROM t`;
    const { seconds, bytes } = await receive(session, sql);
    const { ms } = await worker.fetch(sql);
    samples.push({ id: idOf(i), value: rate(seconds), baseline: rate(ms[0]! / 1000) });
    samples.push({ id: `${idOf(i)}-bytes`, value: bytes / 1e6 / seconds });
  }
  samples.push({ id: 'remote-load', value: rate(await load(session)) });
  const start = performance.now();
  for (let i = 0; i < SMALL_QUERIES; i++) await session.query(`SELECT c0 FROM t LIMIT 1`);
  const each = (performance.now() - start) / SMALL_QUERIES;
  const local = await worker.run(
    ...Array.from({ length: SMALL_QUERIES }, () => 'SELECT c0 FROM t LIMIT 1'),
  );
  const localEach = local.ms.reduce((a, b) => a + b, 0) / SMALL_QUERIES;
  samples.push({ id: 'remote-small', value: each, baseline: localEach });
  await worker.close();
  return samples;
}

const inProcess = 'fetch in the process of DuckDB';

export const remoteItem: Item = {
  name: 'remote',
  title: 'Remote queries: gRPC and Arrow',
  weight: 60,
  maxRounds: 3,
  measures: [
    ...LABELS.flatMap((label, i): Measure[] => [
      { id: idOf(i), label, unit: 'Mrow/s', baseline: inProcess },
      { id: `${idOf(i)}-bytes`, label: `${label}: bytes`, unit: 'MB/s' },
    ]),
    {
      id: 'remote-load',
      label: 'all these columns into a local table',
      unit: 'Mrow/s',
      note: 'with client, worker and both DuckDBs on one machine',
    },
    { id: 'remote-small', label: 'a query for one row', unit: 'ms', baseline: inProcess },
  ],
  run: (stage) =>
    stage.withFreshMount(
      async (mount) => {
        const path = mount.fixture.path(`${NAME}.duckdb`);
        const worker = stage.worker();
        await worker.open(path);
        await worker.run(createTable(), 'CHECKPOINT');
        await worker.close();
        const session = await connect({ endpoint: await endpointOf(mount), database: NAME });
        try {
          return await measureTypes(stage, session, path);
        } finally {
          await session.close();
        }
      },
      ['--worker=127.0.0.1:0'],
    ),
};
