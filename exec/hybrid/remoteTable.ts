/** Tables and views of the remote database. */
import type { Column } from './column.js';

export interface RemoteTable {
  readonly database: string;
  readonly schema: string;
  readonly name: string;
  /** Whether `database` is the one that the remote session is in. */
  readonly current: boolean;
  readonly columns: readonly Column[];
  /** undefined for a view. */
  readonly estimatedRows: number | undefined;
}
