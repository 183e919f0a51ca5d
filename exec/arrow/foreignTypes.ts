/** What Arrow's types are in DuckDB, for streams that do not say it. */
import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DATE,
  DECIMAL,
  DOUBLE,
  type DuckDBType,
  FLOAT,
  INTEGER,
  INTERVAL,
  LIST,
  SMALLINT,
  SQLNULL,
  TIME,
  TIMESTAMP,
  TIMESTAMP_MS,
  TIMESTAMP_NS,
  TIMESTAMP_S,
  TIMESTAMPTZ,
  TINYINT,
  UBIGINT,
  UINTEGER,
  USMALLINT,
  UTINYINT,
  VARCHAR,
} from '@duckdb/node-api';
import { DataType, DateUnit, IntervalUnit, Precision, TimeUnit } from 'apache-arrow';
import { OpenduckError } from '../../proto/errors.js';

const SIGNED: Readonly<Record<number, DuckDBType>> = {
  8: TINYINT,
  16: SMALLINT,
  32: INTEGER,
  64: BIGINT,
};
const UNSIGNED: Readonly<Record<number, DuckDBType>> = {
  8: UTINYINT,
  16: USMALLINT,
  32: UINTEGER,
  64: UBIGINT,
};
const TIMESTAMPS: Readonly<Record<number, DuckDBType>> = {
  [TimeUnit.SECOND]: TIMESTAMP_S,
  [TimeUnit.MILLISECOND]: TIMESTAMP_MS,
  [TimeUnit.MICROSECOND]: TIMESTAMP,
  [TimeUnit.NANOSECOND]: TIMESTAMP_NS,
};

function numeric(type: DataType): DuckDBType | undefined {
  if (DataType.isInt(type)) return (type.isSigned ? SIGNED : UNSIGNED)[type.bitWidth];
  if (DataType.isFloat(type)) {
    if (type.precision === Precision.SINGLE) return FLOAT;
    return type.precision === Precision.DOUBLE ? DOUBLE : undefined;
  }
  if (DataType.isDecimal(type) && type.bitWidth === 128) return DECIMAL(type.precision, type.scale);
  return undefined;
}

function temporal(type: DataType): DuckDBType | undefined {
  if (DataType.isDate(type) && type.unit === DateUnit.DAY) return DATE;
  if (DataType.isTime(type) && type.unit === TimeUnit.MICROSECOND) return TIME;
  if (DataType.isInterval(type) && type.unit === IntervalUnit.MONTH_DAY_NANO) return INTERVAL;
  if (!DataType.isTimestamp(type)) return undefined;
  if (type.timezone === null || type.timezone === undefined) return TIMESTAMPS[type.unit];
  return type.unit === TimeUnit.MICROSECOND ? TIMESTAMPTZ : undefined;
}

function known(type: DataType): DuckDBType | undefined {
  if (DataType.isNull(type)) return SQLNULL;
  if (DataType.isBool(type)) return BOOLEAN;
  if (DataType.isUtf8(type)) return VARCHAR;
  if (DataType.isBinary(type)) return BLOB;
  if (DataType.isList(type)) return LIST(typeOfArrow(type.children[0]!.type));
  return numeric(type) ?? temporal(type);
}

/** Throws UNSUPPORTED. */
export function typeOfArrow(type: DataType): DuckDBType {
  const found = known(type);
  if (found !== undefined) return found;
  throw new OpenduckError('UNSUPPORTED', `the server sent a column of the Arrow type ${type}`, {
    hint: 'CAST it to VARCHAR in the statement',
  });
}
