/** The DuckDB types of parameters that come as plain values of JavaScript or of DuckDB. */
import {
  ARRAY,
  BIGINT,
  BIGNUM,
  BIT,
  BLOB,
  BOOLEAN,
  DATE,
  DECIMAL,
  DOUBLE,
  DuckDBArrayValue,
  DuckDBBitValue,
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBIntervalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructType,
  DuckDBStructValue,
  DuckDBTimeNSValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeTZValue,
  DuckDBTimeValue,
  type DuckDBType,
  DuckDBTypeId,
  DuckDBUUIDValue,
  type DuckDBValue,
  HUGEINT,
  INTEGER,
  INTERVAL,
  LIST,
  MAP,
  SQLNULL,
  TIME,
  TIME_NS,
  TIMESTAMP,
  TIMESTAMP_MS,
  TIMESTAMP_NS,
  TIMESTAMP_S,
  TIMESTAMPTZ,
  TIMETZ,
  UHUGEINT,
  UUID,
  VARCHAR,
} from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';

/**
 * A number is INTEGER, BIGINT or DOUBLE, a bigint BIGINT or what is large enough for it, a Date
 * TIMESTAMPTZ, bytes are BLOB, an array is a list.
 */
export type Parameter = DuckDBValue | Date | Uint8Array | readonly Parameter[];

/** Instances are told by the prototype: some constructors are private. */
const CLASSES: readonly (readonly [{ readonly prototype: object }, DuckDBType])[] = [
  [Date, TIMESTAMPTZ],
  [Uint8Array, BLOB],
  [DuckDBBlobValue, BLOB],
  [DuckDBBitValue, BIT],
  [DuckDBDateValue, DATE],
  [DuckDBTimeValue, TIME],
  [DuckDBTimeNSValue, TIME_NS],
  [DuckDBTimeTZValue, TIMETZ],
  [DuckDBTimestampValue, TIMESTAMP],
  [DuckDBTimestampTZValue, TIMESTAMPTZ],
  [DuckDBTimestampSecondsValue, TIMESTAMP_S],
  [DuckDBTimestampMillisecondsValue, TIMESTAMP_MS],
  [DuckDBTimestampNanosecondsValue, TIMESTAMP_NS],
  [DuckDBIntervalValue, INTERVAL],
  [DuckDBUUIDValue, UUID],
];

function unknownType(value: unknown): OpenduckError {
  const kind = typeof value === 'object' ? (value?.constructor.name ?? 'object') : typeof value;
  return new OpenduckError('INVALID_ARGUMENT', `a parameter cannot be a ${kind}`, {
    hint: 'Say its type in the options, or give a value of @duckdb/node-api.',
  });
}

function ofNumber(value: number): DuckDBType {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) return DOUBLE;
  return value >= -(2 ** 31) && value < 2 ** 31 ? INTEGER : BIGINT;
}

function ofBigint(value: bigint): DuckDBType {
  if (BigInt.asIntN(64, value) === value) return BIGINT;
  if (BigInt.asIntN(128, value) === value) return HUGEINT;
  return BigInt.asUintN(128, value) === value ? UHUGEINT : BIGNUM;
}

/** Each holds all values of those before it, about: DOUBLE is what DuckDB takes in the end, too. */
const WIDENING: readonly DuckDBType[] = [INTEGER, BIGINT, HUGEINT, DOUBLE];

function common(a: DuckDBType, b: DuckDBType): DuckDBType {
  if (a === SQLNULL || String(a) === String(b)) return b;
  if (b === SQLNULL) return a;
  if (a.typeId === DuckDBTypeId.LIST && b.typeId === DuckDBTypeId.LIST) {
    return LIST(common(a.valueType, b.valueType));
  }
  const widest = Math.max(WIDENING.indexOf(a), WIDENING.indexOf(b));
  if (WIDENING.includes(a) && WIDENING.includes(b)) return WIDENING[widest]!;
  throw new OpenduckError('INVALID_ARGUMENT', `a list has items of the types ${a} and ${b}`);
}

function ofItems(items: readonly Parameter[]): DuckDBType {
  return items.map(innerType).reduce(common, SQLNULL);
}

/** Nothing but NULLs inside of a value: in a table DuckDB makes that INTEGER, too. */
function written(type: DuckDBType): DuckDBType {
  if (type.typeId === DuckDBTypeId.LIST) return LIST(written(type.valueType));
  return type === SQLNULL ? INTEGER : type;
}

function ofObject(value: object): DuckDBType {
  if (Array.isArray(value)) return LIST(ofItems(value as readonly Parameter[]));
  if (value instanceof DuckDBListValue) return LIST(ofItems(value.items));
  if (value instanceof DuckDBArrayValue) {
    return ARRAY(written(ofItems(value.items)), value.items.length);
  }
  if (value instanceof DuckDBDecimalValue) return DECIMAL(value.width, value.scale);
  if (value instanceof DuckDBStructValue) {
    const entries = Object.entries(value.entries);
    const types = entries.map(([, entry]) => written(typeOfParameter(entry)));
    return new DuckDBStructType(
      entries.map(([name]) => name),
      types,
    );
  }
  if (value instanceof DuckDBMapValue) {
    const { entries } = value;
    const [keys, values] = [entries.map(({ key }) => key), entries.map((entry) => entry.value)];
    return MAP(written(ofItems(keys)), written(ofItems(values)));
  }
  const type = CLASSES.find(([made]) => Object.prototype.isPrototypeOf.call(made.prototype, value));
  if (type === undefined) throw unknownType(value);
  return type[1];
}

/** As typeOfParameter, but an empty list has items of any type still. */
function innerType(value: Parameter): DuckDBType {
  const isList = Array.isArray(value) || value instanceof DuckDBListValue;
  return isList ? ofObject(value) : typeOfParameter(value);
}

/** Throws INVALID_ARGUMENT: there is no one type for it. */
export function typeOfParameter(value: Parameter): DuckDBType {
  switch (typeof value) {
    case 'boolean':
      return BOOLEAN;
    case 'number':
      return ofNumber(value);
    case 'bigint':
      return ofBigint(value);
    case 'string':
      return VARCHAR;
    case 'object':
      return value === null ? SQLNULL : written(ofObject(value));
    default:
      throw unknownType(value);
  }
}
