/** What can be said of a worker or gateway from outside: status --endpoint. */
import type { Session } from '../../exec/client/session.js';
import { connect } from '../../exec/client/session.js';
import { errorCode, OpenduckError } from '../../proto/errors.js';
import { type CommandContext, type Flags, printJson } from '../commandContext.js';
import { serverAddress } from './endpointFlags.js';

interface ServerStatus {
  readonly endpoint: string;
  /** Milliseconds from a question to its answer. */
  readonly roundTripMs: number;
  /** DuckDB's, of the worker that answered; undefined when it answers no questions of ours. */
  readonly duckdb: string | undefined;
  readonly databases: readonly string[];
  /** Why it tells nothing of itself. */
  readonly refusal: string | undefined;
}

const ASK_TIMEOUT_MS = 10_000;
/** `__ducklake…` and the like are not for users. */
const QUESTION = `SELECT version(), list(database_name ORDER BY database_name)
  FROM duckdb_databases() WHERE NOT internal`;

async function ask(
  session: Session,
  context: CommandContext,
): Promise<Omit<ServerStatus, 'endpoint'>> {
  const begun = context.clock.monotonic();
  await session.ready();
  const roundTripMs = context.clock.monotonic() - begun;
  try {
    const { rows } = await session.query(QUESTION, undefined, { timeoutMs: ASK_TIMEOUT_MS });
    const [version, names] = rows[0] ?? [];
    const databases = names === undefined || names === null ? [] : itemsOf(names);
    return { roundTripMs, duckdb: String(version), databases, refusal: undefined };
  } catch (error) {
    if (!(error instanceof OpenduckError) || errorCode(error) === 'INTERNAL') throw error;
    return { roundTripMs, duckdb: undefined, databases: [], refusal: refusalOf(error) };
  }
}

/** The hint of a missing database tells which there are. */
function refusalOf({ code, message, hint }: OpenduckError): string {
  return code === 'NOT_FOUND' && hint !== undefined ? `${message}. ${hint}` : message;
}

function itemsOf(list: unknown): string[] {
  const { items } = list as { items?: readonly unknown[] };
  return (items ?? []).map(String);
}

/** Throws UNAVAILABLE when nobody answers. */
export async function printServerStatus(context: CommandContext, flags: Flags): Promise<void> {
  const { target, options } = await serverAddress(context, flags);
  const session = await connect(target, options);
  try {
    const status = { endpoint: session.endpoint, ...(await ask(session, context)) };
    if (flags['json'] === true) return printJson(context, { reachable: true, ...status });
    context.print(`${status.endpoint} answers (${status.roundTripMs.toFixed(1)} ms)\n`);
    if (status.refusal !== undefined) context.print(`It says: ${status.refusal}\n`);
    if (status.duckdb !== undefined) {
      context.print(`DuckDB ${status.duckdb}, databases: ${status.databases.join(', ')}\n`);
    }
  } finally {
    await session.close();
  }
}
