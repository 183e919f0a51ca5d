/** The DuckDB of this process, in which statements are parsed, bound, planned and finished. */
import type { DuckDBConnection, DuckDBResult, DuckDBValue } from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import { queryError } from '../duckdb/queryError.js';
import { quoteText } from '../duckdb/sqlText.js';
import { sameMeaning } from './ast/joins.js';
import { parseAst, printAst } from './ast/json.js';
import type { Ast } from './ast/node.js';
import { type Column, columnOf } from './column.js';
import type { Parameters } from './parameters.js';

/** A query as a tree; why there is none, when DuckDB serializes no statement of its kind. */
export type Serialized = { readonly queries: Ast[] } | { readonly refused: string };

export class Local {
  readonly connection: DuckDBConnection;
  readonly signal: AbortSignal | undefined;

  constructor(connection: DuckDBConnection, signal: AbortSignal | undefined) {
    this.connection = connection;
    this.signal = signal;
  }

  /** QUERY with DuckDB's text, CANCELLED once the signal has been given. */
  failure(error: unknown): OpenduckError {
    if (!(error instanceof OpenduckError) && this.signal?.aborted) {
      return new OpenduckError('CANCELLED', 'the query was cancelled', { cause: error });
    }
    return queryError(error);
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    if (this.signal?.aborted) throw this.failure(undefined);
    try {
      return await work();
    } catch (error) {
      throw this.failure(error);
    }
  }

  /** Runs to the end before it returns. Throws QUERY, CANCELLED. */
  run(sql: string): Promise<DuckDBResult> {
    return this.#guarded(() => this.connection.run(sql));
  }

  /** All rows of a small answer. Throws QUERY, CANCELLED. */
  rows(sql: string, values?: DuckDBValue[]): Promise<DuckDBValue[][]> {
    return this.#guarded(async () => {
      return (await this.connection.runAndReadAll(sql, values)).getRows();
    });
  }

  /** Rows come as they are fetched. Throws QUERY, CANCELLED. */
  stream(sql: string, values?: Parameters): Promise<DuckDBResult> {
    return this.#guarded(() =>
      this.connection.stream(sql, values as DuckDBValue[] | Record<string, DuckDBValue>),
    );
  }

  async serialize(sql: string): Promise<Serialized> {
    const [[text] = []] = await this.rows(`SELECT json_serialize_sql(${quoteText(sql)})::VARCHAR`);
    const parsed = parseAst(String(text));
    if (parsed['error'] === true) return { refused: String(parsed['error_message']) };
    const statements = parsed['statements'] as Ast[];
    return { queries: statements.map((statement) => statement['node'] as Ast) };
  }

  /** Whether DuckDB can write the query down: its text, read again, means the same. */
  async isFaithful(node: Ast): Promise<boolean> {
    const again = await this.serialize(await this.text(node));
    return 'queries' in again && again.queries.length === 1 && sameMeaning(node, again.queries[0]!);
  }

  /** The SQL of a query. Throws QUERY when the tree is none. */
  async text(node: Ast): Promise<string> {
    return (await this.texts([node]))[0]!;
  }

  async texts(queries: readonly Ast[]): Promise<string[]> {
    if (queries.length === 0) return [];
    // Literals: DuckDB does the same with parameters several times.
    const texts = queries.map((node) => {
      const tree = printAst({ error: false, statements: [{ node, named_param_map: [] }] });
      return `json_deserialize_sql(${quoteText(tree)}::JSON)`;
    });
    const [row = []] = await this.rows(`SELECT ${texts.join(', ')}`);
    return row.map(String);
  }

  /** The columns of the answer, without running anything. Throws QUERY when it does not bind. */
  columns(sql: string): Promise<Column[]> {
    return this.#guarded(async () => {
      const prepared = await this.connection.prepare(sql);
      try {
        return Array.from({ length: prepared.columnCount }, (_, i) =>
          columnOf(prepared.columnName(i), prepared.columnType(i)),
        );
      } finally {
        prepared.destroySync();
      }
    });
  }

  /** undefined when it does not bind. Throws CANCELLED. */
  async columnsIfBound(sql: string): Promise<Column[] | undefined> {
    try {
      return await this.columns(sql);
    } catch (error) {
      if (error instanceof OpenduckError && error.code === 'QUERY') return undefined;
      throw error;
    }
  }

  /** As columnsIfBound(), of a query that may not even be a valid tree. */
  async columnsOf(node: Ast): Promise<Column[] | undefined> {
    try {
      return await this.columns(`SELECT * FROM (${await this.text(node)}) AS q`);
    } catch (error) {
      if (error instanceof OpenduckError && error.code === 'QUERY') return undefined;
      throw error;
    }
  }
}
