/** Local files joined with the databases of a worker: by the package and by the command line. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from '../../exec/client/index.js';
import { succeeded } from '../harness/proc.js';
import { acceptance } from '../harness/scene.js';
import { WorkerMount } from '../harness/workerMount.js';

acceptance('local files and a worker in one statement', { seconds: 180 }, async (scene) => {
  const worker = await WorkerMount.start(scene);
  await worker.create(
    'mydb',
    "CREATE TABLE orders AS SELECT i AS id, i % 100 AS customer, 'o' || i AS note FROM range(20000) r(i)",
  );
  const dir = await scene.tempDir();
  const csv = join(dir, 'customers.csv');
  await writeFile(csv, 'customer,name\n1,one\n7,seven\n');
  const duckdb = scene.duckdb();
  await duckdb.open(join(dir, 'shop.duckdb'));
  await duckdb.sql("CREATE TABLE regions AS SELECT 7 AS customer, 'north' AS region");
  await duckdb.end();

  const session = await connect(`openduck:mydb?endpoint=${worker.endpoint}`);
  scene.afterMounts(() => session.close());
  await session.attachLocal(csv, join(dir, 'shop.duckdb'));
  const join3 = `SELECT region, name, count(*) AS n FROM orders o
    JOIN customers c ON o.customer = c.customer JOIN shop.regions r ON r.customer = c.customer
    GROUP BY ALL`;
  assert.deepEqual((await session.query(join3)).rows, [['north', 'seven', 200n]]);

  // What is about remote tables alone goes there as it stands, also when it changes something.
  assert.equal(await session.execute("INSERT INTO orders VALUES (-1, 7, 'new')"), 1);
  await session.execute('CREATE TABLE mydb.main.kept AS SELECT * FROM mydb.orders WHERE id < 5');
  assert.deepEqual((await session.query('SELECT count(*) FROM kept')).rows, [[6n]]);
  assert.deepEqual((await session.query(join3)).rows, [['north', 'seven', 201n]]);
  await assert.rejects(
    session.execute('INSERT INTO kept SELECT customer, 0, name FROM customers'),
    {
      code: 'UNSUPPORTED',
    },
  );

  const { mount } = worker;
  const words = ['query', join3, '--local', csv, join(dir, 'shop.duckdb')];
  const table = succeeded(await mount.cli([...words, '--format', 'csv']));
  assert.equal(table, 'region,name,n\r\nnorth,seven,201\r\n');
  const plan = succeeded(await mount.cli([...words, '--explain']));
  assert.match(plan, /\[LOCAL\][\s\S]*\[BRIDGE\] R→L[\s\S]*\[REMOTE\]/);
  const analyzed = succeeded(await mount.cli([...words, '--explain', '--analyze']));
  assert.match(analyzed, /actual=\d+ rows, \d+ bytes/);
  const told = await mount.cli([...words, '--verbose', '--format', 'csv']);
  assert.match(told.stderr, /^execution [0-9a-f-]{36}\nbridge [\s\S]*: \d+ rows, /);
  const arrow = join(dir, 'x.parquet');
  succeeded(await mount.cli([...words, '--format', 'parquet', '--output', arrow]));
  const counted = await mount.cli(['query', 'FROM x', '--local', arrow, '--format', 'json']);
  assert.deepEqual(JSON.parse(succeeded(counted)), [{ region: 'north', name: 'seven', n: 201 }]);
  const unknown = await mount.cli(['query', 'SELECT 1', '--local', join(dir, 'none.csv')]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /none\.csv/);
});
