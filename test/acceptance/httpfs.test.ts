/** ATTACH over HTTP by stock DuckDB with its own httpfs. */
import assert from 'node:assert/strict';
import { HttpMount } from '../harness/httpMount.js';
import { run, succeeded } from '../harness/proc.js';
import { HTTPFS_PYTHONS, type Python } from '../harness/pythonModules.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { within } from '../harness/testRun.js';

const LOAD = `
import sys, time, json, glob, os, duckdb
name = f'v{duckdb.__version__}/**/httpfs.duckdb_extension'
folders = [folder for folder in sys.path if os.path.isdir(folder)]
path = next(path for folder in folders for path in glob.glob(f'{folder}/duckdb_ext*/**/{name}', recursive=True))
# Processes of one machine that have a name of their own are clients of their own.
db = duckdb.connect(config={'custom_user_agent': f'test-{os.getpid()}'})
db.execute(f"LOAD '{path}'")
def one(sql): return db.execute(sql).fetchone()
`;

/** Runs a program with DuckDB as \`db\`; resolves to what it prints as JSON. */
type RunPython = (program: string, ...args: string[]) => Promise<unknown>;

/** One test for each DuckDB whose httpfs there is. */
function withHttpfs(what: string, body: (scene: Scene, python: RunPython) => Promise<void>): void {
  for (const [version, ensure] of HTTPFS_PYTHONS) {
    acceptance(`httpfs of DuckDB ${version}: ${what}`, { seconds: 240 }, async (scene) => {
      const found: Python | string = await ensure();
      if (typeof found === 'string') return scene.skip(found);
      await body(scene, async (program, ...args) => {
        const options = { env: found.env, timeoutMs: 60_000 };
        const result = await run('python3', ['-c', LOAD + program, ...args], options);
        return JSON.parse(succeeded(result));
      });
    });
  }
}

withHttpfs('named, newest, with a WAL, with a token', async (scene, python) => {
  const http = await HttpMount.start(scene, ['--token', 'a-secret-token']);
  const writer = scene.duckdb();
  await writer.open(http.mount.path('a.duckdb'));
  await writer.sql(`CREATE TABLE t AS SELECT range AS i, md5(range::VARCHAR) AS s
    FROM range(300000); CHECKPOINT; INSERT INTO t VALUES (-1, 'in the WAL')`);
  await http.snapshot('a', '--name', 'before');
  await writer.sql("DELETE FROM t WHERE i < 1000; INSERT INTO t VALUES (-2, 'later')");
  const digest = await writer.value(`SELECT md5(string_agg(s, '' ORDER BY i)) FROM t`);
  await http.snapshot('a');
  const program = `
url = sys.argv[1]
try:
    db.execute(f"ATTACH '{url}/db/a.duckdb' AS refused (READ_ONLY)")
    refused = None
except duckdb.Error as error: refused = str(error)
db.execute("CREATE SECRET (TYPE http, BEARER_TOKEN 'a-secret-token')")
db.execute(f"ATTACH '{url}/db/a@before.duckdb' AS before (READ_ONLY)")
db.execute(f"ATTACH '{url}/db/a.duckdb' AS newest (READ_ONLY)")
print(json.dumps([refused, one("SELECT count(*), min(i) FROM before.t"),
  one("SELECT count(*), min(i) FROM newest.t"),
  one("SELECT md5(string_agg(s, '' ORDER BY i)) FROM newest.t")[0],
  one("SELECT count(*) FROM before.t JOIN newest.t USING (i)")[0]]))`;
  const [refused, ...rows] = (await python(program, http.endpoint)) as unknown[];
  assert.match(String(refused), /database does not exist/, 'all that DuckDB says of 401');
  assert.deepEqual(rows, [[300_001, -1], [299_001, -2], digest, 299_000]);
});

withHttpfs('a head that moves is never mixed in', async (scene, python) => {
  const http = await HttpMount.start(scene, ['--publish-interval', '100ms']);
  const writer = scene.duckdb();
  await writer.open(http.mount.path('a.duckdb'));
  await writer.sql('CREATE TABLE t AS SELECT range AS i, range * 3 AS j FROM range(100000)');
  await http.snapshot('a');
  // Every commit keeps both sums in step, and rewrites all of the table.
  let isOver = false;
  const writing = (async () => {
    for (let n = 1; !isOver; n++) {
      await writer.sql(`BEGIN; UPDATE t SET i = i + 1, j = j + 3; COMMIT`);
      if (n % 3 === 0) await writer.sql('CHECKPOINT');
    }
  })();
  const program = `
url, seen, refused = sys.argv[1], set(), 0
end = time.monotonic() + 12
while time.monotonic() < end or len(seen) < 2:
    try:
        db.execute(f"ATTACH '{url}/db/a.duckdb' AS d (READ_ONLY)")
        for _ in range(3):
            total, count, wrong = one("SELECT sum(i), count(*), sum((j <> 3 * i)::INT) FROM d.t")
            assert (count, wrong) == (100000, 0), (count, wrong)
        seen.add(int(total))
    except duckdb.Error as error:
        assert '409' in str(error) or 'ETag' in str(error), str(error)
        refused += 1
    try: db.execute("DETACH d")
    except duckdb.Error: pass
print(json.dumps([len(seen), refused]))`;
  const runs = [1, 2].map(() => python(program, http.endpoint));
  const results = (await within(90_000, 'readers', Promise.all(runs))) as [number, number][];
  isOver = true;
  await writing;
  scene.note(`states seen and refusals of each reader: ${JSON.stringify(results)}`);
  for (const [seen] of results) assert.ok(seen >= 2, 'it saw the head move');
});
