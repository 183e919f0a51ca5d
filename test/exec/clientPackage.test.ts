/** The package as its users get it: packed, in another project, with types. */
import assert from 'node:assert/strict';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { must } from '../harness/proc.js';
import { makeTempDir } from '../harness/testRun.js';
import { startDuckdbServer } from './duckdbServer.js';

const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));
const MODULES = join(PROJECT, 'node_modules');
const LIMIT = { timeoutMs: 120_000 };

const CONSUMER = `
import { connect, OpenduckError, type QueryResult } from 'openduck-fuse';

const session = await connect('openduck:mydb?endpoint=' + process.argv[2]);
const result: QueryResult = await session.query('SELECT 42 AS answer, [1, 2] AS list');
const row: unknown[] = result.rows[0]!;
let rows = 0;
for await (const batch of session.stream('FROM range(100000)')) rows += batch.rowCount;
const code: string = await session.query('SELECT nothing').then(
  () => 'none',
  (error: unknown) => (error instanceof OpenduckError ? error.code : 'other'),
);
await session.close();
console.log(JSON.stringify([result.fields.map((f) => f.name), row[0], rows, code]));
`;

const TSCONFIG = {
  compilerOptions: {
    strict: true,
    target: 'es2023',
    module: 'nodenext',
    types: ['node'],
    skipLibCheck: false,
    outDir: 'out',
  },
  include: ['consumer.ts'],
};

test('another project imports it, with types, and queries', { timeout: 300_000 }, async (t) => {
  const dir = await makeTempDir();
  t.after(() => rm(dir, { recursive: true }));
  await must('npm', ['pack', '--ignore-scripts', '--pack-destination', dir], {
    ...LIMIT,
    cwd: PROJECT,
  });
  const installed = join(dir, 'node_modules', 'openduck-fuse');
  await mkdir(installed, { recursive: true });
  await must(
    'sh',
    ['-c', 'tar -xzf "$0"/*.tgz -C "$1" --strip-components=1', dir, installed],
    LIMIT,
  );
  // What npm would install beside it.
  await symlink(MODULES, join(installed, 'node_modules'));
  await symlink(join(MODULES, '@types'), join(dir, 'node_modules', '@types'));
  await symlink(join(MODULES, 'undici-types'), join(dir, 'node_modules', 'undici-types'));
  await writeFile(join(dir, 'package.json'), JSON.stringify({ type: 'module', private: true }));
  await writeFile(join(dir, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  await writeFile(join(dir, 'consumer.ts'), CONSUMER);
  await must(process.execPath, [join(MODULES, 'typescript/bin/tsc'), '-p', dir], LIMIT);
  const { server, stop } = await startDuckdbServer();
  try {
    const run = [join(dir, 'out/consumer.js'), server.endpoint];
    const output = await must(process.execPath, run, { timeoutMs: 60_000, cwd: dir });
    assert.deepEqual(JSON.parse(output), [['answer', 'list'], 42, 100_000, 'QUERY']);
  } finally {
    stop();
  }
});
