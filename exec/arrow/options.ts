export interface ArrowOptions {
  /** Rows in a record batch at most. */
  readonly batchRows: number;
  /** Enums as Arrow dictionaries instead of text. */
  readonly dictionaries: boolean;
  /** Every value as DuckDB holds it, for our own decoder, instead of Arrow's nearest type. */
  readonly exact: boolean;
  /** A payload is cut near this size, in bytes; missing: MESSAGE_BYTES. */
  readonly messageBytes?: number;
  /** Written beside TIMESTAMPTZ; the values are instants in any case. Missing: UTC. */
  readonly timeZone?: string;
}
