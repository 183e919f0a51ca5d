/** How an answer is encoded, and a statement's parameters: our gRPC metadata of a request. */
import { Metadata } from '@grpc/grpc-js';
import { BATCH_ROWS, DICTIONARIES, EXACT_TYPES, PARAMETERS } from './metadata.js';

export interface FragmentOptions {
  /** Rows in a record batch at most. */
  readonly batchRows: number;
  /** Enums as Arrow dictionaries. */
  readonly dictionaries: boolean;
  /** Types that Arrow has no word for in our own form, without loss. */
  readonly exact: boolean;
  /** An Arrow IPC stream with one row. */
  readonly parameters?: Uint8Array | undefined;
}

export function fragmentMetadata(options: FragmentOptions): Metadata {
  const { batchRows, dictionaries, exact, parameters } = options;
  const metadata = new Metadata();
  metadata.set(BATCH_ROWS, String(batchRows));
  if (dictionaries) metadata.set(DICTIONARIES, '1');
  if (exact) metadata.set(EXACT_TYPES, '1');
  if (parameters !== undefined) metadata.set(PARAMETERS, Buffer.from(parameters));
  return metadata;
}
