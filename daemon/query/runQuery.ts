/** One statement from the command line to its result. */

import { linkSignals } from '../../exec/aborting.js';
import { mergeStreams } from '../../exec/client/mergeStreams.js';
import type { BridgesReport } from '../../exec/client/options.js';
import { connect } from '../../exec/client/session.js';
import { errorCode, OpenduckError } from '../../proto/errors.js';
import { uuidV7 } from '../../proto/ports.js';
import type { CommandContext } from '../commandContext.js';
import type { Format } from '../commands/query.js';
import { formatSize } from '../quantities.js';
import type { LocalDaemon, ServerAddress } from './endpointFlags.js';
import { catchInterrupt } from './interrupt.js';
import { openMountedDatabase } from './mountedDatabase.js';
import { writeParquet } from './parquetFile.js';
import { type QueryOptions, type QuerySource, sessionSource } from './querySource.js';
import {
  csvWriter,
  jsonWriter,
  type ResultWriter,
  type Terminal,
  tableWriter,
} from './resultText.js';
import { fileSink, type Sink, streamSink } from './sink.js';

export interface QueryTask {
  readonly sql: string;
  readonly askWhom: ServerAddress | LocalDaemon;
  readonly format: Format;
  readonly output: string | undefined;
  readonly database: string | undefined;
  readonly at: string | undefined;
  readonly local: readonly string[];
  readonly explain: boolean;
  readonly analyze: boolean;
  readonly verbose: boolean;
  readonly timeoutMs: number | undefined;
}

const BINARY: readonly Format[] = ['arrow', 'parquet'];

/** Of standard output, if that is where the result goes and if it is one. */
function terminalOf(task: QueryTask): Terminal | undefined {
  const { isTTY, columns = 80, rows = 24 } = process.stdout;
  return isTTY && task.output === undefined ? { columns, rows } : undefined;
}

function requireNoTerminal(task: QueryTask): void {
  if (!BINARY.includes(task.format) || task.explain || terminalOf(task) === undefined) return;
  throw new OpenduckError('USAGE', `a terminal cannot show ${task.format}`, {
    hint: 'Name a file with --output, or use a pipe.',
  });
}

function textWriter(task: QueryTask, sink: Sink): ResultWriter {
  if (task.format === 'json') return jsonWriter(sink);
  if (task.format === 'csv') return csvWriter(sink);
  return tableWriter(sink, terminalOf(task));
}

async function writeText(
  source: QuerySource,
  task: QueryTask,
  options: QueryOptions,
  sink: Sink,
): Promise<void> {
  const writer = textWriter(task, sink);
  for await (const batch of source.batches(task.sql, options)) await writer.batch(batch);
  await writer.end();
}

async function writeResult(
  source: QuerySource,
  task: QueryTask,
  options: QueryOptions,
  sink: Sink,
): Promise<void> {
  const { sql, format, explain, analyze } = task;
  if (explain) {
    await sink.write(await source.explain(sql, analyze, options));
  } else if (format === 'arrow') {
    const payloads = source.payloads(sql, { ...options, exact: false });
    for await (const part of mergeStreams(payloads)) await sink.write(part);
  } else if (format === 'parquet') {
    await writeParquet(source.payloads(sql, options), sink, options.executionId);
  } else await writeText(source, task, options, sink);
}

async function openSource(context: CommandContext, task: QueryTask): Promise<QuerySource> {
  const { askWhom, database, at, local, timeoutMs } = task;
  if (!('target' in askWhom)) {
    const { mountpoint, databases: names } = askWhom;
    return openMountedDatabase({ mountpoint, names, database, at, local }, context.clock);
  }
  const session = await connect(askWhom.target, {
    ...askWhom.options,
    ...(database === undefined ? {} : { database }),
    ...(at === undefined ? {} : { at }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  try {
    await session.attachLocal(...local);
    return sessionSource(session);
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** Aborted when `--timeout` has passed. */
function timeLimit(context: CommandContext, task: QueryTask): AbortSignal {
  const limit = new AbortController();
  if (task.timeoutMs !== undefined) context.clock.after(task.timeoutMs, () => limit.abort());
  return limit.signal;
}

/** Whoever set a limit wants to hear of it, and not of how it was kept. */
function explained(error: unknown, limit: AbortSignal): unknown {
  if (!limit.aborted || errorCode(error) !== 'CANCELLED') return error;
  return new OpenduckError('CANCELLED', 'the query was not done in time', { cause: error });
}

/** For --verbose: what crossed between local files and the server, and why it was not less. */
function bridgesText({ bridges, notes }: BridgesReport): string {
  const lines = bridges.map(({ direction, table, rows, bytes }) => {
    return `bridge ${direction}, ${table}: ${rows} rows, ${formatSize(bytes)}\n`;
  });
  return [...lines, ...notes.map((note) => `note: ${note}\n`)].join('');
}

/** Throws USAGE, and what sessions and DuckDB throw. */
export async function runQuery(context: CommandContext, task: QueryTask): Promise<void> {
  requireNoTerminal(task);
  const interrupt = catchInterrupt();
  const executionId = uuidV7(context.clock, context.random);
  const source = await openSource(context, task);
  try {
    if (task.verbose) context.complain(`execution ${executionId}\n`);
    const sink =
      task.output === undefined ? streamSink(process.stdout) : await fileSink(task.output);
    const limit = timeLimit(context, task);
    const { signal, unlink } = linkSignals(interrupt.signal, limit);
    try {
      const onBridges = (report: BridgesReport): void => {
        if (task.verbose) context.complain(bridgesText(report));
      };
      await writeResult(source, task, { signal, executionId, exact: true, onBridges }, sink);
      await sink.finish();
    } catch (error) {
      await sink.abandon();
      throw explained(error, limit);
    } finally {
      unlink();
    }
  } finally {
    interrupt.release();
    await source.close();
  }
}
