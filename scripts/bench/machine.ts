/** Where the figures come from. */
import { readdir, readFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { version as duckdbVersion } from '@duckdb/node-api';
import { VERSION } from '../../daemon/version.js';
import { must } from '../../test/harness/proc.js';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly duckdb: string;
  readonly openduck: string;
  readonly disk: string;
  readonly date: string;
  /** Runnable processes before the run, averaged over a minute: above 0.5, others were at work. */
  readonly load: number;
}

/** Of ext4: a commit of a file system with a journal takes longer. */
async function describeJournal(type: string, device: string): Promise<string> {
  if (type !== 'ext4') return type;
  const journals = await readdir('/proc/fs/jbd2').catch(() => []);
  return journals.some((name) => name.startsWith(`${device}-`)) ? type : `${type} (no journal)`;
}

/** File system, device and its read-ahead. */
async function describeDisk(dir: string): Promise<string> {
  const output = await must('df', ['--output=fstype,source', dir]);
  const [type = '?', source = '?'] = output.trim().split('\n').at(-1)!.split(/\s+/);
  const device = source.split('/').at(-1)!;
  const path = `/sys/class/block/${device}/queue/read_ahead_kb`;
  const ahead = await readFile(path, 'utf8').catch(() => undefined);
  const readAhead = ahead === undefined ? '' : `, read-ahead ${ahead.trim()} KiB`;
  return `${await describeJournal(type, device)} on ${source}${readAhead}`;
}

export async function describeMachine(dir: string): Promise<Machine> {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    duckdb: duckdbVersion(),
    openduck: VERSION,
    disk: await describeDisk(dir),
    date: new Date().toISOString().slice(0, 10),
    load: loadavg()[0]!,
  };
}

export function machineText(machine: Machine): string {
  const { cpu, cores, memoryGiB, kernel, node, duckdb, openduck, disk, date, load } = machine;
  return (
    `${date}: openduck-fuse ${openduck}, DuckDB ${duckdb}, Node ${node}, Linux ${kernel}, ` +
    `${cores} × ${cpu}, ${memoryGiB} GiB, ${disk}; load before the run ${load.toFixed(1)}`
  );
}

/** Others use the same cores: the figures say little. */
export function isNoisy({ load }: Machine): boolean {
  return load > 0.5;
}
