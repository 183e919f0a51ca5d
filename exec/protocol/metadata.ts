/**
 * What we add to openduck.v1, as gRPC metadata: other clients do not send it, other servers do not
 * read it, and the messages stay as they are everywhere.
 */

/** Request. `Bearer TOKEN`, instead of `access_token` in the message. */
export const AUTHORIZATION = 'authorization';

/** Request. Rows in a record batch at most, decimal; missing: DEFAULT_BATCH_ROWS. */
export const BATCH_ROWS = 'openduck-batch-rows';

/** Request. `1`: enums as Arrow dictionaries; missing: as text. */
export const DICTIONARIES = 'openduck-dictionaries';

/** Request. `1`: every value exactly, types Arrow has no word for in a form that only we read. */
export const EXACT_TYPES = 'openduck-exact-types';

/** Request. An Arrow IPC stream with one row: the statement's parameters ("1", "2", … or names). */
export const PARAMETERS = 'openduck-parameters-bin';

/**
 * Request. `read`: this fragment must not change anything, whatever its token may do: a gateway
 * says so for tokens that may only read.
 */
export const ACCESS = 'openduck-access';

/**
 * Answer (trailer, beside an error). `1`: the fragment was refused before anything of it ran, so it
 * can be sent again, here or elsewhere, even when it writes.
 */
export const NOT_STARTED = 'openduck-not-started';

/**
 * Answer (initial). The version that a read sees, as a reference: sent as `snapshot_id` it brings
 * later reads to the same version, for as long as its worker holds it (VERSION_HOLD_MS, less when
 * others need the memory); then the answer is ABORTED.
 */
export const VERSION = 'openduck-version';

/** `v:WORKER:NUMBER`; gateways send what begins like this to that worker. */
export const VERSION_PREFIX = 'v:';

/** A worker holds a version that it has named at least this long after its last use. */
export const VERSION_HOLD_MS = 60_000;

/**
 * DuckDB's own chunk size. The existing DuckDB extension copies a record batch into one chunk and
 * overruns its memory when there are more rows.
 */
export const DEFAULT_BATCH_ROWS = 2048;

/** A message's payload is cut near this size, in bytes. */
export const MESSAGE_BYTES = 1 << 20;

/** What a client of ours, and a gateway, will take, in bytes. */
export const MAX_MESSAGE_BYTES = 64 << 20;

/** How far a server may send ahead of a reader; HTTP/2's own 64 KiB are slow over a distance. */
export const FLOW_WINDOW_BYTES = 4 << 20;

/** Statements longer than this are refused with RESOURCE_EXHAUSTED, in bytes. */
export const MAX_REQUEST_BYTES = 16 << 20;
