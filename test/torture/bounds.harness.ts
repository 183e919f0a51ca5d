/**
 * Many of everything: databases, open readers, extents; and ports that take their time. Memory and
 * descriptors stay bounded, callers are slowed, and what was used comes back.
 */
import { open, readdir, rm, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { removeTempDir } from '../harness/leakCheck.js';
import { MountFixture } from '../harness/mountFixture.js';
import { killGroup, openFileCount, residentBytes, startProcess } from '../harness/proc.js';
import { seededRandom } from '../harness/seeds.js';
import { cleanEnvironment, makeTempDir, sleep, within } from '../harness/testRun.js';
import { manyExtents, slowPorts } from './boundsSlow.js';
import { count, type Findings } from './fuzzWorld.js';
import type { TortureHarness, TortureOptions, TortureResult } from './harness.js';

const LONG_MS = 60_000;
/** Ten thousand databases want so much, whatever the budget is. */
const MANY_MS = 150_000;
const MIB = 1 << 20;
const RESIDENT_BOUND = 400 * MIB;
const OWN_FILES = 64;
/** layers/os/filePool.ts */
const STORAGE_FILES = 4096;
const BACK_MS = 15_000;

/** A process that opens a path so many times, in steps, until its input ends. */
const HOLDER = `
const fs = require('node:fs');
const [path] = process.argv.slice(1);
const held = [];
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  try {
    for (let i = 0; i < Number(line); i++) held.push(fs.openSync(path, 'r'));
    console.log('open ' + held.length);
  } catch (error) {
    console.log('failed ' + error.message);
  }
}).on('close', () => process.exit(0));
`;

class Holder {
  readonly #child;
  readonly #lines: AsyncIterator<string>;

  constructor(path: string) {
    this.#child = startProcess(process.execPath, ['-e', HOLDER, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: cleanEnvironment(),
    });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async open(more: number): Promise<string> {
    this.#child.stdin!.write(`${more}\n`);
    const next = await within(20_000, `${more} opens`, this.#lines.next());
    return String(next.value);
  }

  /** The kernel closes what it has open. */
  end(): void {
    killGroup(this.#child);
  }
}

async function measure(mount: MountFixture): Promise<{ resident: number; files: number }> {
  const { pid } = mount;
  return { resident: await residentBytes(pid), files: await openFileCount(pid) };
}

interface Mounted extends Findings {
  readonly mount: MountFixture;
  readonly deadline: number;
  readonly log: (line: string) => void;
}

/** Creates, lists, and looks at what the daemon takes. */
async function manyDatabases(run: Mounted, databases: number): Promise<void> {
  const { mount, deadline, failures, log } = run;
  const start = performance.now();
  let made = 0;
  const lane = async (): Promise<void> => {
    while (made < databases && performance.now() < deadline) {
      const i = made++;
      await writeFile(mount.path(`many${i}.duckdb`), `database ${i}`);
    }
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
  const names = await readdir(mount.mountpoint);
  if (names.length !== made) failures.push(`${names.length} names after ${made} were made`);
  const listed = (await mount.status()).databases.length;
  if (listed !== made) failures.push(`status lists ${listed} of ${made} databases`);
  const { resident, files } = await measure(mount);
  count(run, 'databases', made);
  count(run, 'databases: ms', Math.round(performance.now() - start));
  count(run, 'databases: MiB resident', Math.round(resident / MIB));
  count(run, 'databases: descriptors', files);
  log(`${made} databases: ${resident >> 20} MiB resident, ${files} descriptors`);
  if (resident > RESIDENT_BOUND) failures.push(`${made} databases: ${resident >> 20} MiB`);
  if (files > OWN_FILES + STORAGE_FILES) {
    failures.push(`${made} databases: ${files} descriptors`);
  }
}

const used = async (mount: MountFixture): Promise<Record<string, number>> => {
  const { counters, databases } = await mount.status();
  const readers = databases.reduce((sum, database) => sum + database.readers, 0);
  return { nodes: counters['nodes']!, handles: counters['handles']!, readers };
};

/** Readers of many versions while commits go on; afterwards everything is given back. */
async function manyReaders(run: Mounted, readers: number): Promise<void> {
  const { mount, failures, log } = run;
  const path = mount.path('pinned.duckdb');
  const writer = await open(path, 'w+');
  const holders: Holder[] = [];
  try {
    await writer.write(Buffer.alloc(64 << 10, 1), 0, 64 << 10, 0);
    await writer.sync();
    await sleep(200);
    const before = await used(mount);
    for (let i = 0; i < 10; i++) {
      // One process would go on with the version that it opened first.
      const holder = new Holder(path);
      holders.push(holder);
      const said = await holder.open(readers / 10);
      if (said !== `open ${readers / 10}`) failures.push(`readers: ${said}`);
      await writer.write(Buffer.alloc(8192, i + 2), 0, 8192, i * 4096);
      await writer.sync();
    }
    const during = await used(mount);
    const { resident } = await measure(mount);
    if (during['readers']! < readers) failures.push(`status shows ${during['readers']} readers`);
    count(run, 'readers', readers);
    count(run, 'readers: nodes', during['nodes']);
    count(run, 'readers: MiB resident', Math.round(resident / MIB));
    for (const holder of holders) holder.end();
    const start = performance.now();
    let after = await used(mount);
    const back = (): boolean => Object.keys(before).every((key) => after[key]! <= before[key]! + 1);
    while (!back() && performance.now() - start < BACK_MS) {
      await sleep(200);
      after = await used(mount);
    }
    count(run, 'readers: ms until given back', Math.round(performance.now() - start));
    log(`${readers} readers: ${JSON.stringify({ before, during, after })}`);
    if (!back()) failures.push(`not given back: ${JSON.stringify({ before, during, after })}`);
  } finally {
    for (const holder of holders) holder.end();
    await writer.close();
  }
}

async function onMount(options: TortureOptions, findings: Findings, long: boolean): Promise<void> {
  const mount = await MountFixture.prepare();
  const deadline = performance.now() + (long ? Math.max(MANY_MS, options.budgetMs / 2) : LONG_MS);
  const run: Mounted = { ...findings, mount, deadline, log: options.log };
  try {
    await mount.start();
    await within(60_000, 'many readers', manyReaders(run, long ? 1000 : 200));
    await rm(mount.path('pinned.duckdb'), { force: true });
    await manyDatabases(run, long ? 10_000 : 300);
    await mount.stop(120_000);
  } catch (error) {
    findings.failures.push(`${(error as Error).stack}\n${await mount.logTail()}`);
  } finally {
    mount.abandon();
    removeTempDir(mount.dir);
  }
}

async function run(options: TortureOptions): Promise<TortureResult> {
  const { seed, budgetMs, log } = options;
  const long = budgetMs >= LONG_MS;
  const random = seededRandom(seed);
  const findings: Findings = { counts: {}, failures: [] };
  const directory = await makeTempDir();
  try {
    await slowPorts(random, directory, long ? 2000 : 300, findings);
    log(`slow ports: ${JSON.stringify(findings.counts)}`);
    await manyExtents(random, directory, long ? 1_000_000 : 100_000, findings);
    log(`extents: ${JSON.stringify(findings.counts)}`);
  } finally {
    removeTempDir(directory);
  }
  await onMount(options, findings, long);
  const again = `\nnpm run torture -- --only bounds --seed ${seed}`;
  return { counts: findings.counts, failures: findings.failures.map((f) => f + again) };
}

export const harness: TortureHarness = {
  name: 'bounds',
  claim:
    'Bounds: thousands of databases, a thousand open readers, a million extents, a slow disk and a ' +
    'slow object store; memory and descriptors stay bounded, nothing fails, all comes back',
  run,
};
