/** What a query is put to: a server, or a mounted database that this process opens itself. */
import { type DecodedPayload, decodePayload } from '../../exec/arrow/decode.js';
import type { BridgesReport } from '../../exec/client/options.js';
import type { Session } from '../../exec/client/session.js';

export interface QueryOptions {
  readonly signal: AbortSignal;
  readonly executionId: string;
  /** False: Arrow as others can read it. */
  readonly exact: boolean;
  /** Hears what a statement with local files moved. */
  readonly onBridges: (report: BridgesReport) => void;
}

export interface QuerySource {
  /** Complete Arrow IPC streams, at least one. Throws QUERY, CANCELLED, UNAVAILABLE, NOT_FOUND. */
  payloads(sql: string, options: QueryOptions): AsyncGenerator<Uint8Array>;
  batches(sql: string, options: QueryOptions): AsyncGenerator<DecodedPayload>;
  explain(sql: string, analyze: boolean, options: QueryOptions): Promise<string>;
  close(): Promise<void>;
}

export async function* decoded(
  payloads: AsyncIterable<Uint8Array>,
): AsyncGenerator<DecodedPayload> {
  for await (const payload of payloads) yield decodePayload(payload);
}

/** Closes the session in the end. */
export function sessionSource(session: Session): QuerySource {
  return {
    payloads: (sql, options) => session.payloads(sql, undefined, options),
    batches: (sql, options) => session.stream(sql, undefined, options),
    explain: (sql, analyze, options) => session.explain(sql, undefined, { ...options, analyze }),
    close: () => session.close(),
  };
}
