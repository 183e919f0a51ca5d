/** Clients that have nothing of ours: grpcio and pyarrow. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type CommandResult, must, run, succeeded } from '../harness/proc.js';
import { ensurePython, type Python } from '../harness/pythonModules.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { WorkerMount } from '../harness/workerMount.js';

const PROGRAM = fileURLToPath(new URL('../../../docs/examples/python/query.py', import.meta.url));

let python: Python | string = 'not looked for yet';
before(
  async () => {
    python = await ensurePython();
  },
  { timeout: 900_000 },
);

function pythonOrSkip(scene: Scene): Python | undefined {
  if (typeof python !== 'string') return python;
  scene.skip(python);
  return undefined;
}

async function startWorker(scene: Scene): Promise<WorkerMount> {
  const worker = await WorkerMount.start(scene, ['--token', 'T']);
  await worker.create(
    'mydb',
    `CREATE TABLE t AS SELECT i::INT AS i, 'row ' || i AS s FROM range(100000) r(i)`,
  );
  return worker;
}

acceptance('the example in docs/ talks to a worker', { seconds: 120 }, async (scene) => {
  const found = pythonOrSkip(scene);
  if (found === undefined) return;
  const worker = await startWorker(scene);
  const ask = (sql: string, database = 'mydb', token = 'T'): Promise<CommandResult> =>
    run('python3', [PROGRAM, worker.endpoint, database, sql], {
      // Settings of ours do not reach the processes of the tests by themselves.
      env: { ...found.env, OPENDUCK_TOKEN: token },
      timeoutMs: 60_000,
    });
  const few = await ask('SELECT i, s FROM t WHERE i < 2 ORDER BY i');
  assert.equal(few.stdout, '"i","s"\n0,"row 0"\n1,"row 1"\n', few.stderr);
  const none = await ask('SELECT i, s FROM t WHERE false');
  assert.equal(none.stdout, '"i","s"\n', none.stderr);
  const all = await ask('SELECT i FROM t');
  assert.equal(all.stdout.split('\n').length, 100_002);
  const wrong = await ask('SELECT nothing');
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /^query\.py: Binder Error: .*"nothing"/);
  assert.match((await ask('SELECT 1', 'nope')).stderr, /NOT_FOUND: there is no database 'nope'/);
  assert.match((await ask('SELECT 1', 'mydb', 'U')).stderr, /UNAUTHENTICATED/);
});

/** One value of many types, NULLs and nested ones, and more rows than one batch has. */
const TYPES = `SELECT i::INT AS i, i * 0.25 AS d, 'ü' || i AS s, i::HUGEINT AS h, (i / 7)::DOUBLE AS f,
  DATE '2024-01-01' + i::INT AS day, TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS at,
  CASE WHEN i % 3 = 0 THEN NULL ELSE [i, NULL] END AS l, {'a': i, 'b': 'x'} AS r,
  MAP{'k': i} AS m, '\\xAB'::BLOB AS b, INTERVAL (i) DAY AS v, gen_random_uuid() AS u,
  ('ok')::ENUM('sad', 'ok') AS e, TIMESTAMPTZ '2024-07-01 00:00:00+00' AS z FROM range(5000) r(i)`;

const READ = `
import sys, pyarrow as pa, pyarrow.parquet as pq
with pa.OSFile(sys.argv[1]) as file:
    with pa.ipc.open_stream(file) as reader:
        table = reader.read_all()
    assert file.tell() == file.size(), 'the stream ends before the file does'
table.validate(full=True)
parquet = pq.read_table(sys.argv[2])
parquet.validate(full=True)
print(table.num_rows, parquet.num_rows, table['i'].to_pylist() == list(range(5000)),
      table['s'][1].as_py(), table['d'][1].as_py(), table['e'][0].as_py(),
      table['r'][2].as_py(), table['l'][0].as_py(), parquet['s'][4999].as_py())
`;

acceptance('pyarrow reads what query writes', { seconds: 180 }, async (scene) => {
  const found = pythonOrSkip(scene);
  if (found === undefined) return;
  const worker = await startWorker(scene);
  const root = await scene.tempDir();
  const files = { arrow: join(root, 'x.arrows'), parquet: join(root, 'x.parquet') };
  for (const [format, file] of Object.entries(files)) {
    const words = ['query', TYPES, '--token', 'T', '--format', format, '--output', file];
    succeeded(await worker.mount.cli(words));
  }
  const read = ['-c', READ, files.arrow, files.parquet];
  const told = await must('python3', read, { env: found.env, timeoutMs: 60_000 });
  assert.equal(told, "5000 5000 True ü1 0.25 ok {'a': 2, 'b': 'x'} None ü4999\n");
});
