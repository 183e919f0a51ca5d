/** docs/recipes.md and the commands of README.md do what they say, in real mounts. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cluster, clusterMissing } from '../harness/cluster.js';
import { type Command, commandsOf, ONLY_HOST, type Section } from '../harness/markdownCommands.js';
import { MAIN, type MountFixture } from '../harness/mountFixture.js';
import { describe, run } from '../harness/proc.js';
import { ensureDbt, ensureDuckdb, type Python } from '../harness/pythonModules.js';
import { READER, s3Environment, WRITER } from '../harness/s3Server.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { policies } from '../layers/s3Policies.js';

const readPage = (name: string): Promise<string> =>
  readFile(fileURLToPath(new URL(`../../../${name}`, import.meta.url)), 'utf8');

const recipes = commandsOf(await readPage('docs/recipes.md'));
const readme = commandsOf(await readPage('README.md'));

/** Between the outputs of two commands; no program of the recipes prints it. */
const SEPARATOR = '\u001e';
const WHO_NEEDS_DBT = /^\s*dbt |= dbt /m;

/** Where a host of a recipe has what the recipe calls /mnt/duck and so on. */
type Places = ReadonlyMap<string, string>;

/** The longest name first: one may begin with another. */
function placed(text: string, places: Places): string {
  const names = [...places.keys()].sort((a, b) => b.length - a.length);
  return names.reduce((done, name) => done.replaceAll(name, places.get(name)!), text);
}

interface Host {
  readonly places: Places;
  readonly env: Readonly<Record<string, string>>;
}

async function ensureTools(recipe: Section): Promise<Python[] | string> {
  const wanted = [ensureDuckdb];
  if (recipe.commands.some(({ script }) => WHO_NEEDS_DBT.test(script))) wanted.push(ensureDbt);
  const tools: Python[] = [];
  for (const ensure of wanted) {
    const found = await ensure();
    if (typeof found === 'string') {
      if (process.env['CI'] === 'true') throw new Error(found);
      return found;
    }
    tools.push(found);
  }
  return tools;
}

/** What the commands find on their PATH, and a home that has nothing of this machine's user. */
async function surroundings(
  home: string,
  tools: readonly Python[],
): Promise<Readonly<Record<string, string>>> {
  const bin = join(home, 'bin');
  await mkdir(bin);
  const program = join(bin, 'openduck-fuse');
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  await chmod(program, 0o755);
  const list = (paths: readonly (string | undefined)[]): string =>
    paths.filter((path) => path !== undefined && path !== '').join(delimiter);
  return {
    HOME: home,
    PATH: list([bin, ...tools.map((tool) => tool.bin), process.env['PATH']]),
    PYTHONPATH: list(tools.map(({ env }) => env['PYTHONPATH'])),
    PYTHONDONTWRITEBYTECODE: '1',
  };
}

/** In what a page shows, `…` stands for the rest of an id. */
function assertPrinted(actual: string, shown: string, line: number): void {
  const ids = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
  const plain = shown.replaceAll(/[0-9a-f]{8}-…/g, 'ID');
  assert.equal(actual.replaceAll(ids, 'ID'), plain, `the output of line ${line}`);
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** One script, since later commands need the directory and the variables of earlier ones. */
function scriptOf(commands: readonly Command[], hosts: ReadonlyMap<string, Host>): string {
  const parts = commands.map(({ line, script, host }) => {
    const { places, env } = hosts.get(host)!;
    const settings = Object.entries(env).map(([name, value]) => `export ${name}=${quoted(value)}`);
    const where = `echo "# line ${line}" >&2`;
    return [...settings, where, placed(script, places), `printf '${SEPARATOR}'`].join('\n');
  });
  return `set -euo pipefail\n${parts.join('\n')}\n`;
}

async function follow(
  scene: Scene,
  recipe: Section,
  hosts: ReadonlyMap<string, Host>,
  tools: readonly Python[],
): Promise<void> {
  const home = await scene.tempDir();
  const env = await surroundings(home, tools);
  const cwd = join(home, 'work');
  await mkdir(cwd);
  for (const { line, notRun } of recipe.commands) {
    if (notRun !== undefined) scene.note(`line ${line} is not run: ${notRun}`);
  }
  const commands = recipe.commands.filter(({ notRun }) => notRun === undefined);
  const script = join(home, 'recipe.sh');
  await writeFile(script, scriptOf(commands, hosts));
  const done = await run('bash', [script], { cwd, env, timeoutMs: 600_000 });
  assert.equal(done.code, 0, describe(done));
  const outputs = done.stdout.split(SEPARATOR);
  for (const [i, { line, prints, host }] of commands.entries()) {
    if (prints === undefined) continue;
    assertPrinted(outputs[i]!, placed(prints, hosts.get(host)!.places), line);
  }
}

async function onOneHost(
  scene: Scene,
  recipe: Section,
  tools: readonly Python[],
): Promise<MountFixture> {
  const mount = await scene.mount();
  const host = {
    places: new Map([['/mnt/duck', mount.mountpoint]]),
    env: { OPENDUCK_DATA_DIR: mount.dataDir },
  };
  await follow(scene, recipe, new Map([[ONLY_HOST, host]]), tools);
  return mount;
}

/**
 * The hosts' mounts are made by the recipe itself; they share /etc, as if it had been copied. A
 * host called `replica` has the rights to the bucket that docs/objects-s3.md gives a replica.
 */
async function onManyHosts(scene: Scene, recipe: Section, tools: readonly Python[]): Promise<void> {
  const { url, s3 } = await Cluster.start(scene);
  const etc = await scene.tempDir();
  await s3.setPolicy(await policies(s3.bucket, 'duck', WRITER.accessKeyId, READER.accessKeyId));
  const hosts = new Map<string, Host>();
  for (const name of new Set(recipe.commands.map(({ host }) => host))) {
    const { mountpoint, dataDir } = await scene.prepareMount();
    const places = new Map([
      ['/mnt/duck', mountpoint],
      ['/etc/openduck', etc],
      ['postgres://openduck:PASSWORD@db.example/openduck', url.href],
      ['s3://bucket/', `s3://${s3.bucket}/`],
      ['https://s3.example', s3.endpoint],
    ]);
    const rights = s3Environment(name === 'replica' ? READER : WRITER);
    hosts.set(name, { places, env: { OPENDUCK_DATA_DIR: dataDir, ...rights } });
  }
  await follow(scene, recipe, hosts, tools);
}

for (const recipe of recipes) {
  if (recipe.title === '') continue;
  const shares = recipe.needs.length > 0;
  // Long enough to build the S3 server or to install dbt, the first time.
  acceptance(`recipe: ${recipe.title}`, { seconds: 1800 }, async (scene) => {
    const missing = shares && (await clusterMissing());
    if (missing !== false) return scene.skip(missing);
    const tools = await ensureTools(recipe);
    if (typeof tools === 'string') return scene.skip(tools);
    await (shares ? onManyHosts : onOneHost)(scene, recipe, tools);
  });
}

acceptance('README: what it says about use', { seconds: 1200 }, async (scene) => {
  const use = readme.find(({ title }) => title === 'Use it')!;
  assert.ok(use.commands.length > 2);
  const tools = await ensureTools(use);
  if (typeof tools === 'string') return scene.skip(tools);
  const mount = await onOneHost(scene, use, tools);
  assert.equal(await mount.ended(), 0, 'its last command unmounts');
});

test('the recipes are there, and each is run as a whole', () => {
  const titles = recipes.map(({ title }) => title).filter((title) => title !== '');
  assert.deepEqual(titles, [
    'Dashboards beside ETL',
    'dbt branches',
    'CI fixtures',
    'Replicas on S3',
    'Undo a bad migration',
    'Rolling deploys',
  ]);
  for (const { title, commands } of recipes.slice(1)) {
    assert.ok(
      commands.every(({ notRun }) => notRun === undefined),
      title,
    );
    assert.ok(
      commands.some(({ prints }) => prints !== undefined),
      `${title} shows nothing`,
    );
  }
});

test('what a page gets wrong about its commands is an error', () => {
  assert.throws(() => commandsOf('```text\nx\n```\n'), /line 1: output of what/);
  assert.throws(() => commandsOf('```sh\nx\n'), /line 1: a block without an end/);
  assert.throws(() => commandsOf('<!-- hots: a -->\n'), /what is this comment/);
  const page = '## A\n<!-- needs: s3 -->\n<!-- host: a -->\n```sh\nx\n```\n```text\ny\n```\n';
  assert.deepEqual(commandsOf(page), [
    {
      title: 'A',
      needs: ['s3'],
      commands: [{ line: 5, script: 'x\n', host: 'a', prints: 'y\n', notRun: undefined }],
    },
  ]);
});
