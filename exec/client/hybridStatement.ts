/** One statement over local and remote tables, as payloads like those of a server. */
import type { DuckDBConnection } from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import { cancelled } from '../aborting.js';
import { encodeResult } from '../arrow/encode.js';
import { decodeParameters, encodeParameters } from '../arrow/parameters.js';
import { isSound } from '../duckdb/checkedStream.js';
import { explainHybrid, type HybridRequest, runHybrid } from '../hybrid/hybrid.js';
import type { LocalCatalogs } from '../hybrid/localCatalogs.js';
import type { RemoteSource } from '../hybrid/remote.js';
import type { ExecuteOptions } from './options.js';

export interface HybridCall {
  /** Of the local DuckDB; nobody else uses it meanwhile. */
  readonly connection: DuckDBConnection;
  readonly remote: RemoteSource;
  /** Of the local DuckDB's instance. */
  readonly catalogs: LocalCatalogs;
  /** The name of the remote database in statements; empty: it has none. */
  readonly remoteCatalog: string;
  readonly signal: AbortSignal;
  readonly options: ExecuteOptions;
}

function requestOf({
  connection,
  catalogs,
  remote,
  remoteCatalog,
  signal,
  options,
}: HybridCall): HybridRequest {
  const { parameters, parameterTypes } = options;
  // The same values, and the same refusals, as if they went to a server.
  const bound =
    parameters === undefined
      ? undefined
      : decodeParameters(encodeParameters(parameters, parameterTypes)).values;
  return {
    local: connection,
    catalogs,
    remote,
    signal,
    ...(remoteCatalog === '' ? {} : { remoteCatalog }),
    ...(bound === undefined ? {} : { parameters: bound }),
  };
}

/** Throws what runHybrid throws, and QUERY when DuckDB fails on the way through the result. */
export async function* hybridPayloads(
  sql: string,
  call: HybridCall,
  batchRows: number,
): AsyncGenerator<Uint8Array> {
  const { connection, signal, options } = call;
  const request = requestOf(call);
  const { result, bridges, notes, dispose } = await runHybrid(sql, request);
  let isWhole: boolean;
  try {
    options.onBridges?.({ bridges, notes });
    yield* encodeResult(result, { batchRows, dictionaries: false, exact: options.exact ?? true });
    isWhole = await isSound(connection);
  } finally {
    await dispose();
  }
  if (signal.aborted) throw cancelled();
  if (isWhole) return;
  await explainHybrid(sql, { ...request, analyze: true }); // throws DuckDB's own words
  throw new OpenduckError('QUERY', 'DuckDB failed on the way through the result, but only once');
}

export function explainHybridStatement(
  sql: string,
  call: HybridCall,
  analyze: boolean,
): Promise<string> {
  return explainHybrid(sql, { ...requestOf(call), analyze });
}
