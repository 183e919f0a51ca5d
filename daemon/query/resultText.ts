/** A result as text, batch by batch: the formats table, json and csv. */
import { type DuckDBType, DuckDBTypeId } from '@duckdb/node-api';
import type { DecodedField, DecodedPayload } from '../../exec/arrow/decode.js';
import { type BoxColumn, type BoxRow, boxTable } from './boxTable.js';
import { cellText } from './cellText.js';
import { csvLine } from './csvText.js';
import { distinctNames, jsonText } from './jsonText.js';
import type { Sink } from './sink.js';

export interface ResultWriter {
  /** The first one tells the columns; there is at least one, with no rows when there are none. */
  batch(batch: DecodedPayload): Promise<void>;
  end(): Promise<void>;
}

/** In cells and rows; undefined: no terminal, everything is shown. */
export interface Terminal {
  readonly columns: number;
  readonly rows: number;
}

const RIGHT: ReadonlySet<DuckDBTypeId> = new Set([
  DuckDBTypeId.TINYINT,
  DuckDBTypeId.SMALLINT,
  DuckDBTypeId.INTEGER,
  DuckDBTypeId.BIGINT,
  DuckDBTypeId.HUGEINT,
  DuckDBTypeId.UTINYINT,
  DuckDBTypeId.USMALLINT,
  DuckDBTypeId.UINTEGER,
  DuckDBTypeId.UBIGINT,
  DuckDBTypeId.UHUGEINT,
  DuckDBTypeId.BIGNUM,
  DuckDBTypeId.FLOAT,
  DuckDBTypeId.DOUBLE,
  DuckDBTypeId.DECIMAL,
]);

function columnOf({ name, type }: DecodedField): BoxColumn {
  return {
    name,
    type: (type.alias ?? type.toString()).toLowerCase(),
    align: RIGHT.has(type.typeId) ? 'right' : 'left',
  };
}

/** Rows of one batch, made one at a time. */
function* rowsOf<T>(
  batch: DecodedPayload,
  cell: (value: Parameters<typeof jsonText>[0], type: DuckDBType) => T,
): Generator<T[]> {
  const columns = batch.fields.map((_, i) => batch.column(i));
  for (let row = 0; row < batch.rowCount; row++) {
    yield batch.fields.map(({ type }, i) => cell(columns[i]![row] ?? null, type));
  }
}

const textOrNull: Parameters<typeof rowsOf<string | null>>[1] = (value, type) =>
  value === null ? null : cellText(value, type);

/** As many rows as DuckDB's shell shows: 40, or what a smaller terminal has room for. */
const MOST_ROWS = 40;
/** Frame, header, prompt and the rows of dots. */
const OTHER_LINES = 10;

/** The answer to an EXPLAIN: a drawing of its own, which no box around it makes clearer. */
function isPlan(fields: readonly DecodedField[]): boolean {
  return fields.map(({ name }) => name).join() === 'explain_key,explain_value';
}

export function tableWriter(sink: Sink, terminal: Terminal | undefined): ResultWriter {
  const limit =
    terminal === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(4, Math.min(MOST_ROWS, terminal.rows - OTHER_LINES));
  const half = Math.ceil(limit / 2);
  let fields: readonly DecodedField[] = [];
  const head: BoxRow[] = [];
  const rest: BoxRow[] = [];
  let rowCount = 0;
  return {
    batch: async (batch) => {
      if (isPlan(batch.fields)) {
        for (const plan of batch.column(1)) await sink.write(`${String(plan)}\n`);
        return;
      }
      if (fields.length === 0) fields = batch.fields;
      rowCount += batch.rowCount;
      for (const row of rowsOf(batch, textOrNull)) {
        if (head.length < half) head.push(row);
        else rest.push(row);
        // Only the last ones are shown: forget the others, many at once.
        if (rest.length > 2 * limit + 1000) rest.splice(0, rest.length - limit);
      }
    },
    end: async () => {
      if (fields.length === 0) return;
      const all = rowCount <= limit;
      const content = {
        columns: fields.map(columnOf),
        head: all ? head.concat(rest) : head,
        tail: all ? [] : rest.slice(rest.length - (limit - half)),
        rowCount,
      };
      await sink.write(boxTable(content, terminal?.columns));
    },
  };
}

/** An array of objects, one a line. */
export function jsonWriter(sink: Sink): ResultWriter {
  let keys: string[] | undefined;
  let rows = 0;
  return {
    batch: async (batch) => {
      keys ??= distinctNames(batch.fields.map(({ name }) => name)).map((n) => JSON.stringify(n));
      let text = '';
      for (const row of rowsOf(batch, jsonText)) {
        const members = row.map((value, i) => `${keys![i]}:${value}`);
        text += `${rows++ === 0 ? '[' : ',\n'}{${members.join(',')}}`;
      }
      await sink.write(text);
    },
    end: () => sink.write(rows === 0 ? '[]\n' : ']\n'),
  };
}

export function csvWriter(sink: Sink): ResultWriter {
  let begun = false;
  return {
    batch: async (batch) => {
      let text = begun ? '' : csvLine(batch.fields.map(({ name }) => name));
      begun = true;
      for (const row of rowsOf(batch, textOrNull)) text += csvLine(row);
      await sink.write(text);
    },
    end: async () => {},
  };
}
