/** The package as it is published: what is in it, and that it works where only it is installed. */
import assert from 'node:assert/strict';
import { chmod, chown, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asUser } from '../harness/asUser.js';
import { needsRoot } from '../harness/mountFixture.js';
import { forceUnmountUnder, isFuseMounted } from '../harness/mountTable.js';
import { must, run, succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { NOBODY } from '../harness/testRun.js';

const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));
const SLOW = { timeoutMs: 400_000 };
const INSTALLED = 'installed globally, it works for root and for a user without privileges';
/** Where it is installed already. */
const PREFIX = 'TEST_OPENDUCK_PREFIX';
const UNREACHABLE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|ENOTCACHED/;
const MAX_PACKED_BYTES = 1_500_000;

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

async function pack(dir: string, ...flags: string[]): Promise<Packed> {
  const words = ['pack', '--json', '--ignore-scripts', '--pack-destination', dir, ...flags];
  const said = await must('npm', words, { ...SLOW, cwd: PROJECT });
  // npm 11 and older give a list, later ones an object by name.
  return Object.values(JSON.parse(said) as Record<string, Packed>)[0]!;
}

/** Modules that the compiled ones of `entries` load, by themselves or as programs of their own. */
async function reachable(entries: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  const specifier = /(?:from |import\(|import |new URL\()'(\.[^']+\.js)'/g;
  const visit = async (path: string): Promise<void> => {
    if (found.has(path)) return;
    found.add(path);
    const text = await readFile(join(PROJECT, path), 'utf8');
    for (const [, target] of text.matchAll(specifier)) await visit(join(dirname(path), target!));
  };
  for (const entry of entries) await visit(entry);
  return found;
}

acceptance(
  'the package has what its programs load, documentation, and nothing else',
  { seconds: 240 },
  async (scene) => {
    const { files, size } = await pack(await scene.tempDir(), '--dry-run');
    const paths = new Set(files.map(({ path }) => path));
    const manifest = JSON.parse(await readFile(join(PROJECT, 'package.json'), 'utf8')) as {
      readonly bin: Readonly<Record<string, string>>;
      readonly man: readonly string[];
    };
    const entries = [...Object.values(manifest.bin), 'dist/exec/client/index.js'];
    const needed = await reachable(entries);
    assert.deepEqual(
      [...needed].filter((path) => !paths.has(path)),
      [],
    );
    // Of the tests, only what the benchmark starts its mounts with.
    const strange = [...paths].filter(
      (path) =>
        (/^dist\/(test|scripts)\//.test(path) && !needed.has(path)) ||
        /\.map$|^test\/|^\.ci|(?<!\.d)\.ts$|\.test\./.test(path),
    );
    assert.deepEqual(strange, []);
    for (const path of [
      ...manifest.man,
      'dist/exec/client/index.d.ts',
      'dist/proto/openduck/v1/execution.proto',
      'proto/openduck/v1/execution.proto',
      'docs/deployment.md',
      'docs/upgrade.md',
      'docs/systemd/openduck-fuse@.service',
      'docs/deploy/kubernetes.yaml',
      'README.md',
      'CHANGELOG.md',
      'LICENSE',
    ]) {
      assert.ok(paths.has(path), path);
    }
    assert.ok(size < MAX_PACKED_BYTES, `${size} bytes`);
  },
);

/** The prefix of a global installation of what `npm pack` gives; undefined without a registry. */
async function install(scene: Scene): Promise<string | undefined> {
  const dir = await scene.tempDir();
  await chmod(dir, 0o755);
  const { filename } = await pack(dir);
  const prefix = join(dir, 'prefix');
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--no-update-notifier'];
  const words = ['install', '-g', '--prefix', prefix, ...flags, join(dir, filename)];
  const result = await run('npm', words, { ...SLOW, cwd: dir });
  if (result.code !== 0 && UNREACHABLE.test(result.stderr)) return undefined;
  succeeded(result);
  return prefix;
}

/** Mount, write, read, snapshot, hand over and unmount with what is installed in `prefix`. */
async function useIt(scene: Scene, prefix: string, uid: number | undefined): Promise<void> {
  const home = await scene.tempDir();
  const mountpoint = join(home, 'mnt');
  await mkdir(mountpoint);
  if (uid !== undefined) for (const path of [home, mountpoint]) await chown(path, uid, uid);
  const as = uid === undefined ? {} : { uid };
  const program = join(prefix, 'bin/openduck-fuse');
  const options = {
    ...as,
    env: { HOME: home, XDG_DATA_HOME: home, XDG_RUNTIME_DIR: home },
    cwd: home,
  };
  const at = ['--data-dir', join(home, 'data')];
  const cli = async (...words: string[]): Promise<string> =>
    succeeded(await run(program, [...words, ...at], { ...options, timeoutMs: 90_000 }));
  try {
    assert.match(await cli('mount', mountpoint), /^Mounted /);
    const duckdb = scene.duckdb(as);
    const path = join(mountpoint, 'mydb.duckdb');
    await duckdb.open(path);
    await duckdb.sql('CREATE TABLE t AS SELECT 42 AS i');
    await duckdb.close();
    await cli('snapshot', 'mydb', '--name', 'before');
    await duckdb.open(path);
    await duckdb.sql('INSERT INTO t VALUES (43)');
    await duckdb.close();
    assert.match(await cli('mount', mountpoint, '--replace'), /Took .* over/);
    for (const [file, count] of [
      [path, 2],
      [join(mountpoint, 'mydb@before.duckdb'), 1],
    ] as const) {
      await duckdb.open(file, { readOnly: true });
      assert.equal(await duckdb.number('SELECT count(*) FROM t'), count);
      await duckdb.close();
    }
    await duckdb.end();
    assert.match(await cli('ls'), /mydb/);
    assert.match(await cli('unmount', mountpoint), /^Unmounted /);
    assert.ok(!isFuseMounted(mountpoint));
  } finally {
    forceUnmountUnder(home);
  }
}

acceptance(INSTALLED, { seconds: 900, skip: needsRoot }, async (scene) => {
  const installed = process.env[PREFIX];
  const prefix = installed ?? (await install(scene));
  if (prefix === undefined) return scene.skip('no npm registry can be reached');
  if (installed === undefined) {
    await useIt(scene, prefix, undefined);
    const helper = join(prefix, 'bin/mount.fuse.openduck');
    const checked = await run(helper, ['openduck-fuse', '/nowhere', '-f', '-o', 'ro']);
    assert.deepEqual([checked.code, checked.stderr], [0, '']);
    const page = join(prefix, 'share/man/man1/openduck-fuse.1');
    assert.match(await readFile(page, 'utf8'), /^\.TH OPENDUCK/m);
  }
  process.env[PREFIX] = prefix; // for this file, run again where a user may mount
  await asUser(scene, import.meta.url, () => useIt(scene, prefix, NOBODY), INSTALLED);
});
