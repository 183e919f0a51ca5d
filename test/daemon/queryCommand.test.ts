/** The commands query and cancel as processes, against a server in this one. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { tableFromIPC } from 'apache-arrow';
import { encodeBatch, encodeFinished } from '../../exec/protocol/chunks.js';
import { startDuckdbServer } from '../exec/duckdbServer.js';
import { ScriptedServer } from '../exec/scriptedServer.js';
import { MAIN } from '../harness/mountFixture.js';
import { startProcess } from '../harness/proc.js';
import { cleanEnvironment, makeTempDir, sleep, within } from '../harness/testRun.js';
import { type CommandResult, runCommand } from './runCommand.js';

const SECONDS = 30_000;
const root = await makeTempDir();
const { server, stop } = await startDuckdbServer({
  token: 'T',
  setup: `CREATE TABLE t AS SELECT i, 'row ' || i AS s FROM range(5) r(i);
    CREATE TABLE big AS SELECT i::INT AS i, repeat('x', 50) AS s FROM range(200000) r(i)`,
});
after(async () => {
  stop();
  await rm(root, { recursive: true });
});

const ENVIRONMENT = { OPENDUCK_ENDPOINT: server.endpoint, OPENDUCK_TOKEN: 'T', TMPDIR: root };

const query = (sql: string, ...flags: string[]): Promise<CommandResult> =>
  runCommand(['query', sql, ...flags], ENVIRONMENT);

async function succeeds(sql: string, ...flags: string[]): Promise<string> {
  const result = await query(sql, ...flags);
  assert.equal(result.code, 0, result.stderr);
  assert.equal(result.stderr, '');
  return result.stdout;
}

test('table: in a pipe everything, numbers to the right', async () => {
  const expected = [
    '┌────────┬─────────┐',
    '│   i    │    s    │',
    '│ bigint │ varchar │',
    '├────────┼─────────┤',
    '│      0 │ row 0   │',
    '│      1 │ row 1   │',
    '└────────┴─────────┘',
    '',
  ].join('\n');
  assert.equal(await succeeds('SELECT * FROM t WHERE i < 2 ORDER BY i'), expected);
  const long = await succeeds('SELECT i FROM range(1000) r(i)');
  assert.equal(long.split('\n').length, 1000 + 6);
});

test('json and csv, to standard output and to a file', async () => {
  const sql = `SELECT 9223372036854775807 AS n, NULL AS x, 'a"b' AS s UNION ALL SELECT 1, NULL, ''`;
  const json = await succeeds(sql, '--format', 'json');
  assert.equal(
    json,
    '[{"n":9223372036854775807,"x":null,"s":"a\\"b"},\n{"n":1,"x":null,"s":""}]\n',
  );
  const file = join(root, 'result.csv');
  assert.equal(await succeeds(sql, '--format', 'csv', '--output', file), '');
  assert.equal(await readFile(file, 'utf8'), 'n,x,s\r\n9223372036854775807,,"a""b"\r\n1,,""\r\n');
  assert.equal(await succeeds('SELECT 1 AS a WHERE false', '--format', 'json'), '[]\n');
  assert.equal(await succeeds('SELECT 1 AS a WHERE false', '--format', 'csv'), 'a\r\n');
});

test('arrow: one stream, whatever the number of messages', async () => {
  const file = join(root, 'result.arrows');
  await succeeds('FROM big ORDER BY i', '--format', 'arrow', '--output', file);
  const bytes = await readFile(file);
  const table = tableFromIPC(bytes);
  assert.equal(table.numRows, 200_000);
  assert.ok(table.batches.length > 1);
  assert.equal(table.getChild('i')?.get(199_999), 199_999);
  // The end of the stream is the end of the file.
  assert.deepEqual([...bytes.subarray(-8)], [255, 255, 255, 255, 0, 0, 0, 0]);
  assert.equal(bytes.indexOf(Buffer.from([255, 255, 255, 255, 0, 0, 0, 0])), bytes.length - 8);
});

test('parquet that DuckDB reads; nothing is left beside it', async () => {
  const file = join(root, 'result.parquet');
  await succeeds('SELECT *, i::HUGEINT AS h FROM t', '--format', 'parquet', '--output', file);
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll(`SELECT i, s FROM '${file}' ORDER BY i`);
  assert.deepEqual(reader.getRows()[4], [4n, 'row 4']);
  connection.closeSync();
  instance.closeSync();
  assert.ok(!existsSync(`${file}.part`));
  assert.deepEqual(
    readdirSync(root).filter((name) => name.startsWith('openduck-query-')),
    [],
  );
});

test('errors: what DuckDB says, and the exit codes', async () => {
  const out = join(root, 'never');
  const wrong: [string[], number, RegExp][] = [
    [['SELECT * FROM nowhere', '--output', out], 1, /^openduck-fuse: Catalog Error: .*nowhere/],
    [['SELEC 1'], 1, /Parser Error/],
    [['SELECT 1', '--database', 'nope'], 3, /there is no database nope/],
    [['SELECT 1', '--at', 'missing'], 3, /no snapshot missing/],
    [['SELECT 1', '--token', 'U'], 1, /the token is not known/],
    [['SELECT 1', '--endpoint', 'http://127.0.0.1:1'], 1, /127\.0\.0\.1:1 cannot be reached/],
    [['SELECT 1', '--endpoint', 'ftp://x'], 2, /'ftp:\/\/x' is not an endpoint/],
    [['SELECT 1', '--format', 'xml'], 2, /xml/],
    [['SELECT', '1'], 2, /Unknown argument: 1/],
    [[''], 2, /the statement is empty/],
    [['  '], 2, /the statement is empty/],
    [['SELECT 1', '--timeout', '5'], 2, /--timeout: '5' is not a duration/],
    [['SELECT 1', '--local', '/x.docx'], 2, /x\.docx is no kind of file/],
    [['SELECT 1', '--output', join(root, 'no/such/dir')], 3, /dir/],
    [[], 2, /missing/],
  ];
  for (const [words, code, message] of wrong) {
    const result = await runCommand(['query', ...words], ENVIRONMENT);
    assert.match(result.stderr, message, words.join(' '));
    assert.equal(result.code, code, words.join(' '));
    assert.equal(result.stdout, '');
  }
  assert.ok(!existsSync(out) && !existsSync(`${out}.part`));
});

test('the endpoint may also come from the config file', async () => {
  const file = join(root, 'config.toml');
  await writeFile(file, `endpoint = "${server.endpoint}"\ntoken = "T"\n`);
  const words = ['query', 'SELECT 1 AS a', '--format', 'csv', '--config', file];
  const result = await runCommand(words);
  assert.deepEqual([result.code, result.stdout], [0, 'a\r\n1\r\n'], result.stderr);
});

test('without an endpoint and without a daemon it says how to get one', async () => {
  const result = await runCommand(['query', 'SELECT 1', '--data-dir', join(root, 'none')]);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /no daemon runs on .*none/);
  assert.match(result.stderr, /mount MOUNTPOINT --worker/);
});

interface Running {
  readonly stderr: () => string;
  readonly pid: number;
  readonly end: Promise<number | null>;
}

function startQuery(words: readonly string[], stdin?: string): Running & { stdout: () => string } {
  const child = startProcess(process.execPath, [MAIN, 'query', ...words], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: cleanEnvironment(ENVIRONMENT),
  });
  child.stdin!.end(stdin ?? '');
  let stderr = '';
  let stdout = '';
  child.stderr!.on('data', (text) => {
    stderr += text;
  });
  child.stdout!.on('data', (text) => {
    stdout += text;
  });
  const end = once(child, 'close').then(([code]) => code as number | null);
  return { stderr: () => stderr, stdout: () => stdout, pid: child.pid!, end };
}

test('SQL from standard input', async () => {
  const run = startQuery(['-', '--format', 'csv'], 'SELECT 1 AS a\n-- the end');
  assert.equal(await within(SECONDS, 'query', run.end), 0, run.stderr());
  assert.equal(run.stdout(), 'a\r\n1\r\n');
});

test('Ctrl-C ends the execution at both sides; cancel ID does from elsewhere', async () => {
  const endless = await ScriptedServer.start(async function* ({ request }) {
    if (request.access_token === '') yield encodeFinished();
    yield encodeBatch(Buffer.alloc(0));
    await new Promise(() => {});
  });
  try {
    const words = ['SELECT 1', '--endpoint', endless.endpoint, '--verbose', '--format', 'arrow'];
    const run = startQuery(words);
    while (endless.asked.length < 1) await sleep(20);
    const [asked] = endless.asked;
    process.kill(run.pid, 'SIGINT');
    assert.equal(await within(SECONDS, 'query', run.end), 1);
    assert.match(run.stderr(), /the execution was cancelled/);
    while (!asked!.cancelled) await sleep(20);
    const id = asked!.request.execution_id;
    assert.ok(run.stderr().includes(`execution ${id}\n`));
    assert.ok(endless.cancels.some((c) => c.execution_id === id));
    const cancel = await runCommand(['cancel', id, '--endpoint', endless.endpoint], ENVIRONMENT);
    assert.equal(cancel.code, 0, cancel.stderr);
    const unknown = await runCommand(['cancel', 'x', '--endpoint', endless.endpoint], ENVIRONMENT);
    assert.equal(unknown.code, 3);
    assert.match(unknown.stderr, /no execution x runs there/);
  } finally {
    endless.stop();
  }
});

test('a reader who leaves ends the query', async () => {
  const script = `"$0" "$1" query 'FROM big, range(1000)' --format csv | head -1`;
  const child = startProcess('sh', ['-c', script, process.execPath, MAIN], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: cleanEnvironment(ENVIRONMENT),
  });
  const [line] = (await within(SECONDS, 'head', once(child.stdout!, 'data'))) as [Buffer];
  assert.equal(line.toString(), 'i,s,range\r\n');
  await within(SECONDS, 'the end', once(child, 'close'));
  while (!server.asked.at(-1)!.cancelled) await sleep(20);
});

test('status --endpoint tells who answers, or that nobody does', async () => {
  const status = await runCommand(['status', '--endpoint', server.endpoint, '--token', 'T']);
  assert.equal(status.code, 0, status.stderr);
  assert.match(status.stdout, /^http:\/\/127\.0\.0\.1:\d+ answers \(\d+\.\d ms\)\nDuckDB v1\.\d/);
  assert.match(status.stdout, /databases: memory\n$/);
  const json = await runCommand(['status', '--json', '--endpoint', server.endpoint]);
  const { reachable, refusal, databases } = JSON.parse(json.stdout);
  assert.deepEqual([reachable, refusal, databases], [true, 'the token is not known', []]);
  const nobody = await runCommand(['status', '--endpoint', '127.0.0.1:1']);
  assert.equal(nobody.code, 1);
  assert.match(nobody.stderr, /127\.0\.0\.1:1 cannot be reached: .*ECONNREFUSED/);
});
