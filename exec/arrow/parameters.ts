/**
 * Parameters of statements on the wire: an Arrow IPC stream with one row, a column for each, in the
 * exact form of fields.ts. Columns are called "1", "2", … for $1, $2 (or ?), else as the names.
 */
import {
  DuckDBBlobValue,
  DuckDBDataChunk,
  DuckDBListValue,
  DuckDBTimestampTZValue,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBValue,
} from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import { decodePayload } from './decode.js';
import { Encoder } from './encode.js';
import { type Parameter, typeOfParameter } from './parameterTypes.js';

export type { Parameter } from './parameterTypes.js';

/** In turn, or by name. */
export type Parameters = readonly Parameter[] | Readonly<Record<string, Parameter>>;

/** Where a type is missing, it is the one of the value. */
export type ParameterTypes =
  | readonly (DuckDBType | undefined)[]
  | Readonly<Record<string, DuckDBType | undefined>>;

/** As `run`, `stream` and `bind` of @duckdb/node-api take them. */
export type BoundParameters =
  | { readonly values: DuckDBValue[]; readonly types: DuckDBType[] }
  | { readonly values: Record<string, DuckDBValue>; readonly types: Record<string, DuckDBType> };

/** More than a statement of DuckDB can have. */
const MAX_PARAMETERS = 65_535;

/** There is no way to bind these: see createValue of @duckdb/node-api. */
const UNBOUND: readonly DuckDBTypeId[] = [DuckDBTypeId.GEOMETRY, DuckDBTypeId.VARIANT];

function refused(message: string, cause?: unknown): OpenduckError {
  return new OpenduckError('INVALID_ARGUMENT', message, { cause });
}

function isText(type: DuckDBType): boolean {
  return type.typeId === DuckDBTypeId.VARCHAR || type.typeId === DuckDBTypeId.ENUM;
}

/** What a vector of `type` takes. */
function plainValue(value: Parameter, type: DuckDBType): DuckDBValue {
  if (value === null) return null;
  if (value instanceof Date) return new DuckDBTimestampTZValue(BigInt(value.getTime()) * 1000n);
  if (value instanceof Uint8Array) return new DuckDBBlobValue(value);
  const items = Array.isArray(value) ? value : undefined;
  if (type.typeId === DuckDBTypeId.LIST && (items || value instanceof DuckDBListValue)) {
    const all: readonly Parameter[] = items ?? (value as DuckDBListValue).items;
    return new DuckDBListValue(all.map((item) => plainValue(item, type.valueType)));
  }
  if (typeof value === 'number' || typeof value === 'bigint') return numberAs(value, type);
  if (typeof value === 'string' && !isText(type))
    throw refused(`'${value}' is not of type ${type}`);
  return value as DuckDBValue;
}

const WIDE: readonly DuckDBTypeId[] = [
  DuckDBTypeId.BIGINT,
  DuckDBTypeId.HUGEINT,
  DuckDBTypeId.UBIGINT,
  DuckDBTypeId.UHUGEINT,
  DuckDBTypeId.BIGNUM,
];

/** Vectors want bigints for wide types and numbers for all others; they check the ranges. */
function numberAs(value: number | bigint, type: DuckDBType): DuckDBValue {
  if (!WIDE.includes(type.typeId)) return Number(value);
  if (typeof value === 'bigint' || Number.isInteger(value)) return BigInt(value);
  throw refused(`${value} is not of type ${type}`);
}

/**
 * One row with these values. Throws INVALID_ARGUMENT: a value without a type, or not of the type
 * that was said.
 */
export function encodeParameters(values: Parameters, types: ParameterTypes = {}): Uint8Array {
  const entries: [string, Parameter][] = Array.isArray(values)
    ? values.map((value, i) => [String(i + 1), value])
    : Object.entries(values);
  const typeOf = (name: string, i: number): DuckDBType | undefined =>
    Array.isArray(types) ? types[i] : (types as Record<string, DuckDBType>)[name];
  const columns = entries.map(([name, value], i) => {
    const type = typeOf(name, i) ?? typeOfParameter(value);
    if (type.typeId === DuckDBTypeId.SQLNULL && value !== null) throw refused(`${name} is no NULL`);
    if (UNBOUND.includes(type.typeId)) throw refused(`a parameter cannot be a ${type}`);
    return { name, type, value: plainValue(value, type) };
  });
  const all = columns.map(({ type }) => type);
  const encoder = new Encoder(
    columns.map(({ name }) => name),
    all,
    { batchRows: 1, dictionaries: false, exact: true },
  );
  const chunk = DuckDBDataChunk.create(all, 1);
  for (const [i, { name, type, value }] of columns.entries()) {
    if (type.typeId === DuckDBTypeId.SQLNULL) continue; // has no memory to write to
    try {
      chunk.setColumnValues(i, [value]);
    } catch (cause) {
      throw refused(`the parameter ${name} is not of type ${type}`, cause);
    }
  }
  encoder.add(chunk);
  return encoder.take();
}

/** Throws INVALID_ARGUMENT: not one row of sound values whose names are apart. */
export function decodeParameters(bytes: Uint8Array): BoundParameters {
  let names: string[];
  let types: DuckDBType[];
  let values: DuckDBValue[];
  try {
    const payload = decodePayload(bytes);
    if (payload.rowCount !== 1) throw refused('the parameters are not one row');
    if (payload.fields.length > MAX_PARAMETERS) throw refused('there are too many parameters');
    names = payload.fields.map(({ name }) => name);
    types = payload.fields.map(({ type }) => type);
    values = types.map((_, i) => payload.column(i)[0]!);
  } catch (cause) {
    throw refused('the parameters cannot be read', cause);
  }
  if (new Set(names).size < names.length) {
    throw refused('each parameter needs a name of its own');
  }
  if (names.every((name, i) => name === String(i + 1))) return { values, types };
  const byName = <T>(all: readonly T[]): Record<string, T> =>
    Object.fromEntries(names.map((name, i) => [name, all[i]!]));
  return { values: byName(values), types: byName(types) };
}
