/** Checks a data directory: the metadata, the objects, and, when asked for, what DuckDB reads. */
import type { LayerFinding, MetadataCheck } from '../../fs/checking.js';
import type { EngineCommands } from '../../fs/engineCommands.js';
import { OpenduckError } from '../../proto/errors.js';
import type { SnapshotId } from '../../proto/ids.js';
import { type Finding, type FsckReport, metadataFinding, restore } from './finding.js';
import { moveHeads } from './moveHead.js';
import { openSamples, type Samples } from './samples.js';

export interface FsckOptions {
  readonly commands: EngineCommands;
  /** Where the databases are mounted; undefined: nowhere. */
  readonly mountpoint: string | undefined;
  /** A directory for copies of snapshots; it need not be there. */
  readonly scratch: string;
  /** Name; undefined: all of them, dropped ones too. */
  readonly database: string | undefined;
  /** Reads and verifies every byte, and opens snapshots in DuckDB. */
  readonly deep: boolean;
  readonly repair: boolean;
  /** Absolute: a directory with a copy of the object store, to repair from. */
  readonly backup: string | undefined;
  /** Gives a database whose newest snapshot cannot be read the content of one that is whole. */
  readonly moveHead: boolean;
  /** Snapshots of each database that DuckDB opens, newest first. */
  readonly sample: number;
  progress(what: string, done: number, total: number): void;
}

type Databases = MetadataCheck['databases'];

/** Throws NOT_FOUND. */
function chosen(all: Databases, name: string | undefined): Databases {
  if (name === undefined) return all;
  const named = all.filter((database) => database.name === name && !database.dropped);
  if (named.length > 0) return named;
  throw new OpenduckError('NOT_FOUND', `there is no database ${name}`, {
    database: name,
    hint: 'openduck-fuse ls shows the databases there are.',
  });
}

const NO_SAMPLES: Samples = { findings: [], snapshots: 0, skipped: [] };

function copyAdvice({ kind }: LayerFinding): string {
  if (kind === 'missing') return 'Put the object back from a copy of the object store.';
  return 'Try --repair, which takes a whole copy from the local cache or from --backup DIR.';
}

function layerFinding(database: string, found: LayerFinding): Finding {
  const { kind, text, snapshots, repaired } = found;
  const advice = repaired === undefined ? copyAdvice(found) : undefined;
  return { kind, database, message: text, snapshots, repaired, advice };
}

/** What is known of those that are loaded. */
async function damagedDatabases(options: FsckOptions): Promise<Finding[]> {
  const { databases } = await options.commands.status();
  return databases
    .filter(({ name, damage }) => {
      return damage !== undefined && (options.database ?? name) === name;
    })
    .map(({ name, damage, head }) => ({
      kind: 'damaged',
      database: name,
      message: damage ?? '',
      snapshots: head === undefined ? [] : [head],
      repaired: undefined,
      advice: undefined,
    }));
}

/** Snapshots that something stands against. */
function unreadableOf(findings: readonly Finding[]): Set<SnapshotId> {
  return new Set(findings.filter((f) => f.repaired === undefined).flatMap((f) => f.snapshots));
}

/** Says of each database whose head is not whole where to go back to. */
async function adviseRestore(
  commands: EngineCommands,
  live: Databases,
  findings: readonly Finding[],
): Promise<Finding[]> {
  const unreadable = unreadableOf(findings);
  const advised = new Map<string, string>();
  for (const { name } of live) {
    if (!findings.some((f) => f.database === name && f.repaired === undefined)) continue;
    const snapshots = await commands.listSnapshots(name);
    const whole = snapshots.find(({ id }) => !unreadable.has(id));
    if (whole === undefined) advised.set(name, 'No snapshot of it is known to be whole.');
    else if (whole === snapshots[0]) advised.set(name, 'Its newest snapshot is not concerned.');
    else {
      const when = whole === snapshots[1] ? '~1' : whole.id;
      advised.set(name, `Go back to the newest snapshot that is whole: ${restore(name, when)}`);
    }
  }
  return findings.map((finding) => {
    const restoring = advised.get(finding.database ?? '');
    if (restoring === undefined || finding.repaired !== undefined) return finding;
    const { advice } = finding;
    return { ...finding, advice: advice === undefined ? restoring : `${advice} ${restoring}` };
  });
}

/** Throws NOT_FOUND, UNAVAILABLE, IO: what could not be checked at all. */
export async function fsck(options: FsckOptions): Promise<FsckReport> {
  const { commands, deep, repair, backup, progress } = options;
  progress('metadata', 0, 1);
  const metadata = await commands.checkMetadata();
  const databases = chosen(metadata.databases, options.database);
  const findings = metadata.findings.map(metadataFinding);
  let layers = 0;
  for (const { id, name } of databases) {
    for (let from = 0, total = 1; from < total; ) {
      const part = await commands.checkLayers({ database: id, from, deep, repair, backup });
      findings.push(...part.findings.map((found) => layerFinding(name, found)));
      layers += part.position - from;
      ({ position: from, total } = part);
      progress(`${name}: layers`, from, total);
    }
  }
  findings.push(...(await damagedDatabases(options)));
  const live = databases.filter(({ dropped }) => !dropped);
  const names = live.map(({ name }) => name);
  // What is known to be damaged need not be tried.
  const samples = deep ? await openSamples(options, names, unreadableOf(findings)) : NO_SAMPLES;
  const all = await adviseRestore(commands, live, [...findings, ...samples.findings]);
  const { moveHead, scratch } = options;
  return {
    findings: all,
    moved: moveHead ? await moveHeads(commands, scratch, names, unreadableOf(all)) : [],
    databases: databases.length,
    layers,
    snapshots: samples.snapshots,
    skipped: samples.skipped,
  };
}
