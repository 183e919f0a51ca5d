/** The table in a terminal: no line is wider than it, and no rows push the first ones out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { displayWidth } from '../../daemon/query/displayWidth.js';
import { startDuckdbServer } from '../exec/duckdbServer.js';
import { MAIN } from '../harness/mountFixture.js';
import { must, run } from '../harness/proc.js';

const COLUMNS = 70;
const ROWS = 30;
const SQL = `SELECT i, 'a fairly long text, number ' || i AS s, range(i) AS l, '日本' AS j,
  i AS a, i AS b, i AS c, i AS d FROM range(200) r(i)`;

test('a result fits the terminal', { timeout: 90_000 }, async (t) => {
  const script = await run('script', ['--version'], { timeoutMs: 10_000 }).catch(String);
  if (typeof script === 'string' || script.code !== 0) return t.skip('there is no script(1)');
  const { server, stop } = await startDuckdbServer();
  try {
    const command = `stty cols ${COLUMNS} rows ${ROWS}; "$NODE" "$MAIN" query "$SQL"`;
    const env = { NODE: process.execPath, MAIN, SQL, OPENDUCK_ENDPOINT: server.endpoint };
    const output = await must('script', ['-qec', command, '/dev/null'], { env, timeoutMs: 60_000 });
    const lines = output.trimEnd().split(/\r?\n/);
    for (const line of lines) assert.ok(displayWidth(line) <= COLUMNS, line);
    assert.ok(lines.length < ROWS, `${lines.length} lines`);
    assert.match(output, /│ +0 │[\s\S]*│ +199 │/);
    assert.match(output, /200 rows \(\d+ shown\), 8 columns \(\d shown\)/);
  } finally {
    stop();
  }
});
