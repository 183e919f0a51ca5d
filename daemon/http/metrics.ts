/**
 * What `/metrics` tells. Names follow the conventions of Prometheus: base units, `_total` for what
 * only grows. docs/metrics/ uses them; a test compares.
 */
import type { DatabaseSummary, EngineStatus } from '../../fs/engineCommands.js';
import { BUCKETS_MS, type OperationTimes } from '../../fs/session/operationStats.js';
import type { WorkerState } from '../execution/mountedWorker.js';
import type { WorkerFigures } from '../execution/workerConfig.js';
import type { DatabaseDetails } from './databaseDetails.js';
import { Exposition, type Labels } from './exposition.js';
import type { HttpState } from './httpStats.js';

/** Databases with series of their own; each has a dozen. */
export const MOST_LABELLED = 100;

export interface MetricsInput {
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
  readonly status: EngineStatus;
  readonly operations: readonly OperationTimes[];
  readonly detailsOf: (database: DatabaseSummary) => DatabaseDetails | undefined;
  readonly worker: WorkerState | undefined;
  readonly http: HttpState;
}

/** Those that changed last, when there are too many. */
export function labelled(databases: readonly DatabaseSummary[]): DatabaseSummary[] {
  if (databases.length <= MOST_LABELLED) return [...databases];
  const time = ({ committedAt }: DatabaseSummary): number => Date.parse(committedAt ?? '') || 0;
  return [...databases].sort((a, b) => time(b) - time(a)).slice(0, MOST_LABELLED);
}

export function metricsText(input: MetricsInput): string {
  const out = new Exposition();
  addProcess(out, input);
  addOperations(out, input);
  addCache(out, input.status.counters);
  addDatabases(out, input);
  addServers(out, input);
  return out.text;
}

function addProcess(out: Exposition, input: MetricsInput): void {
  const { version, uptimeSeconds, cpuSeconds, memoryBytes, status } = input;
  const info: Labels = { version };
  out.addAll('openduck_build_info', 'gauge', 'Version of the daemon.', [[info, 1]]);
  out.add('openduck_uptime_seconds', 'gauge', 'Since the daemon started.', uptimeSeconds);
  out.add('process_cpu_seconds_total', 'counter', 'User and system time.', cpuSeconds);
  out.add('process_resident_memory_bytes', 'gauge', 'Resident memory.', memoryBytes);
  const { handles, nodes } = status.counters;
  out.add('openduck_fuse_handles', 'gauge', 'Open files and directories.', handles);
  out.add('openduck_fuse_nodes', 'gauge', 'Files that the kernel knows.', nodes);
}

function addOperations(out: Exposition, { operations, status }: MetricsInput): void {
  out.addHistograms(
    'openduck_fuse_operation_seconds',
    'How long the kernel waited for an answer, by operation.',
    BUCKETS_MS.map((ms) => ms / 1000),
    operations.map(({ operation, buckets, sumMs }) => ({
      labels: { operation },
      buckets,
      sum: sumMs / 1000,
    })),
  );
  out.addAll(
    'openduck_fuse_operation_errors_total',
    'counter',
    'Operations that were answered with an error; a file that is not there is one.',
    operations.map(({ operation, failed }) => [{ operation }, failed]),
  );
  const { readBytes, writtenBytes, readsWaited, corruptReads = 0 } = status.counters;
  out.add('openduck_fuse_read_bytes_total', 'counter', 'Bytes that were read.', readBytes);
  out.add('openduck_fuse_written_bytes_total', 'counter', 'Bytes written.', writtenBytes);
  const waited = 'Reads that waited for a disk or the object store; the others came from memory.';
  out.add('openduck_fuse_reads_waited_total', 'counter', waited, readsWaited);
  out.add('openduck_corrupt_reads_total', 'counter', 'Reads of damaged bytes.', corruptReads);
}

function addCache(out: Exposition, counters: Readonly<Record<string, number>>): void {
  const { cacheHits, cacheMisses, cacheFetchedBytes, cacheEvictions } = counters;
  const { cacheBytes, cacheLimitBytes, cacheBroken } = counters;
  out.add('openduck_cache_hits_total', 'counter', 'Found in the cache of objects.', cacheHits);
  out.add('openduck_cache_misses_total', 'counter', 'Fetched from the store.', cacheMisses);
  const fetched = 'Bytes that came from the object store.';
  out.add('openduck_cache_fetched_bytes_total', 'counter', fetched, cacheFetchedBytes);
  const evicted = 'Objects that made room for others.';
  out.add('openduck_cache_evictions_total', 'counter', evicted, cacheEvictions);
  out.add('openduck_cache_bytes', 'gauge', 'Bytes in the cache of objects.', cacheBytes);
  out.add('openduck_cache_limit_bytes', 'gauge', 'Its limit.', cacheLimitBytes);
  out.add('openduck_cache_broken', 'gauge', '1: its disk fails, and it is not used.', cacheBroken);
}

type Value = (database: DatabaseSummary, details: DatabaseDetails) => number;

/** Name, type, help, value: of each database. */
const PER_DATABASE: readonly (readonly [string, 'counter' | 'gauge', string, Value])[] = [
  ['size_bytes', 'gauge', 'Of all files of the newest commit.', ({ size }) => size],
  ['commits_total', 'counter', 'Version of the newest commit.', ({ version }) => version],
  [
    'published_version',
    'gauge',
    'Version of the newest snapshot.',
    ({ publishedVersion }) => publishedVersion,
  ],
  [
    'publish_lag_seconds',
    'gauge',
    'How long the oldest commit has waited that is not published; 0: all are.',
    (_, { publishLagMs }) => publishLagMs / 1000,
  ],
  [
    'segment_bytes',
    'gauge',
    'In segments on this host: what is not published yet, and what is about to be removed.',
    ({ segmentBytes }) => segmentBytes,
  ],
  ['layers', 'gauge', 'Layers under the newest snapshot.', ({ depth }) => depth],
  ['readers', 'gauge', 'Open read-only handles.', ({ readers }) => readers],
  ['writer', 'gauge', '1: a process holds the write lock.', ({ writer }) => (writer ? 1 : 0)],
  ['lease_held', 'gauge', '1: this host may write.', (_, { isLeaseHeld }) => +isLeaseHeld],
  ['lease_epoch', 'gauge', 'Under which the newest snapshot was made.', (_, { epoch }) => epoch],
  ['damaged', 'gauge', '1: it cannot be served as a whole.', ({ damage }) => (damage ? 1 : 0)],
];

function addDatabases(out: Exposition, { status, detailsOf }: MetricsInput): void {
  const shown = labelled(status.databases);
  const { length } = status.databases;
  out.add('openduck_databases', 'gauge', 'Databases.', length);
  const omitted = `Databases without series of their own: the ${MOST_LABELLED} newest have them.`;
  out.add('openduck_databases_omitted', 'gauge', omitted, length - shown.length);
  const damaged = status.databases.filter(({ damage }) => damage !== undefined).length;
  out.add('openduck_databases_damaged', 'gauge', 'Databases that are damaged.', damaged);
  const lag = (status.counters['publishLagMs'] ?? 0) / 1000;
  const lagHelp = 'The longest of all databases.';
  out.add('openduck_publish_lag_seconds', 'gauge', lagHelp, lag);
  const aside = status.aside.length;
  out.add('openduck_logs_set_aside', 'gauge', 'Logs with commits of this host alone.', aside);
  for (const [name, type, help, measure] of PER_DATABASE) {
    const values = shown.flatMap((database): [Labels, number][] => {
      const details = detailsOf(database);
      if (details === undefined) return []; // dropped meanwhile
      return [[{ database: database.name }, measure(database, details)]];
    });
    out.addAll(`openduck_database_${name}`, type, help, values);
  }
}

function addExecutions(out: Exposition, figures: WorkerFigures | undefined): void {
  if (figures === undefined) return;
  const { running, waiting, ...outcomes } = figures;
  out.addAll(
    'openduck_worker_executions_total',
    'counter',
    'Executions that ended, by how; refused: the queue was full. Since the worker has started.',
    Object.entries(outcomes).map(([outcome, count]) => [{ outcome }, count]),
  );
  out.add('openduck_worker_running', 'gauge', 'Executions that run.', running);
  out.add('openduck_worker_waiting', 'gauge', 'Executions that wait for their turn.', waiting);
}

function addServers(out: Exposition, { worker, http }: MetricsInput): void {
  if (worker !== undefined) {
    const up = worker.pid === 0 ? 0 : 1;
    out.add('openduck_worker_up', 'gauge', '0: it ended, and is about to start again.', up);
    const restarts = 'How often it was started again.';
    out.add('openduck_worker_restarts_total', 'counter', restarts, worker.restarts);
    addExecutions(out, worker.figures);
  }
  const { stats, connections, sending, waiting, openSnapshots } = http;
  out.addAll(
    'openduck_http_responses_total',
    'counter',
    'Answers over HTTP, by kind of status.',
    [...stats.answers].sort().map(([status, count]) => [{ status }, count]),
  );
  const sent = 'Bytes of databases that were sent.';
  out.add('openduck_http_sent_bytes_total', 'counter', sent, stats.sentBytes);
  out.add('openduck_http_connections', 'gauge', 'Open connections.', connections);
  out.add('openduck_http_sending', 'gauge', 'Answers with content under way.', sending);
  out.add('openduck_http_waiting', 'gauge', 'Answers that wait for their turn.', waiting);
  const open = 'Snapshots that are kept open for clients.';
  out.add('openduck_http_open_snapshots', 'gauge', open, openSnapshots);
}
