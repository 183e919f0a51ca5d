/** One bridge from the remote side: what is asked for, and what the local text reads instead. */
import type { Ast } from '../ast/node.js';
import type { Column } from '../column.js';
import type { RemoteTable } from '../remoteTable.js';

/** Keys of a local table that rows of the remote answer must have to be of use. */
export interface SemiJoin {
  /** Of the pull. */
  readonly column: string;
  /** Local; its one column has the keys, NULLs and duplicates among them. */
  readonly keys: Ast;
  /** The local table, for people. */
  readonly source: string;
  /** Of the reduced table, as far as the remote side knows. */
  readonly remoteRows: number | undefined;
}

export interface Pull {
  /** Of the view that the local text reads. */
  readonly name: string;
  /** Of the empty table that the view reads while the plan is made. */
  readonly shell: string;
  /** For people: `table lineitem`, `join of a, b`, `query`. */
  readonly label: string;
  readonly columns: readonly Column[];
  /** In terms of shells; answers with `columns` in this order. */
  readonly query: Ast;
  /** Whether the query's items are those columns one by one, so that some can be left out. */
  readonly listed: boolean;
  /** That the query reads. */
  readonly tables: readonly RemoteTable[];
  readonly semiJoins: readonly SemiJoin[];
}
