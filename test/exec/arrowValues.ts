/**
 * Values of DuckDB and of Arrow in one common form: numbers and bigints as they are stored, text,
 * bytes as hex, lists as arrays, structs as arrays of their entries, null.
 */
import {
  type DuckDBArrayValue,
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBGeometryValue,
  DuckDBIntervalValue,
  type DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimeNSValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  type DuckDBType,
  DuckDBTypeId,
  DuckDBUnionValue,
  type DuckDBValue,
} from '@duckdb/node-api';
import { type Data, type Field, Type, tableFromIPC } from 'apache-arrow';

export type Common = number | bigint | string | boolean | null | Common[];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Little endian, two's complement. */
function wide(words: Uint32Array, signed: boolean): bigint {
  let value = 0n;
  for (const [i, word] of words.entries()) value |= BigInt(word) << BigInt(32 * i);
  return signed ? BigInt.asIntN(32 * words.length, value) : value;
}

function ofDuckdb(value: DuckDBValue, type: DuckDBType): Common {
  if (value === null) return null;
  if (value instanceof DuckDBDecimalValue) return value.value;
  if (value instanceof DuckDBDateValue) return value.days;
  if (value instanceof DuckDBTimeValue) return value.micros;
  if (value instanceof DuckDBTimeNSValue) return value.nanos;
  if (value instanceof DuckDBTimestampValue) return value.micros;
  if (value instanceof DuckDBTimestampTZValue) return value.micros;
  if (value instanceof DuckDBTimestampSecondsValue) return value.seconds;
  if (value instanceof DuckDBTimestampMillisecondsValue) return value.millis;
  if (value instanceof DuckDBTimestampNanosecondsValue) return value.nanos;
  if (value instanceof DuckDBIntervalValue) {
    return [value.months, value.days, value.micros * 1000n];
  }
  if (value instanceof DuckDBBlobValue || value instanceof DuckDBGeometryValue) {
    return hex(value.bytes);
  }
  if (type.typeId === DuckDBTypeId.LIST || type.typeId === DuckDBTypeId.ARRAY) {
    const { items } = value as DuckDBListValue | DuckDBArrayValue;
    return items.map((item) => ofDuckdb(item, type.valueType));
  }
  if (value instanceof DuckDBStructValue && type.typeId === DuckDBTypeId.STRUCT) {
    return type.entryNames.map((name, i) => ofDuckdb(value.entries[name]!, type.entryTypes[i]!));
  }
  if (value instanceof DuckDBMapValue && type.typeId === DuckDBTypeId.MAP) {
    return value.entries.map(({ key, value: one }) => [
      ofDuckdb(key, type.keyType),
      ofDuckdb(one, type.valueType),
    ]);
  }
  if (value instanceof DuckDBUnionValue && type.typeId === DuckDBTypeId.UNION) {
    const member = type.memberTypes[type.memberTags.indexOf(value.tag)]!;
    return ofDuckdb(value.value, member);
  }
  if (typeof value === 'object') return String(value);
  if (type.typeId === DuckDBTypeId.BIGNUM) return String(value);
  return value as Common;
}

export function duckdbRow(row: readonly DuckDBValue[], types: readonly DuckDBType[]): Common[] {
  return row.map((value, i) => ofDuckdb(value, types[i]!));
}

function isValid(data: Data, i: number): boolean {
  if (data.typeId === Type.Null) return false;
  if (data.typeId === Type.Union) return true;
  return data.nullCount === 0 || data.getValid(i);
}

/** `i`: as stored, without the offset of the array. */
function ofArrow(data: Data, i: number, type: DuckDBType): Common {
  if (!isValid(data, i)) return null;
  const { values, valueOffsets: offsets, children } = data;
  const range = (from: number, to: number, child: Data, of: DuckDBType): Common[] =>
    Array.from({ length: to - from }, (_, k) => ofArrow(child, from + k, of));
  switch (data.typeId) {
    case Type.Bool:
      return (values[i >> 3]! & (1 << (i & 7))) !== 0;
    case Type.Utf8:
      return Buffer.from(values.subarray(offsets[i], offsets[i + 1])).toString('utf8');
    case Type.Binary:
      return hex(values.subarray(offsets[i], offsets[i + 1]));
    case Type.Decimal: {
      const words = new Uint32Array(values.buffer, values.byteOffset + i * 16, 4);
      return wide(words, type.typeId !== DuckDBTypeId.UHUGEINT);
    }
    case Type.Interval: {
      const [months, days, low, high] = values.subarray(i * 4, i * 4 + 4) as Int32Array;
      return [months!, days!, (BigInt(high!) << 32n) + BigInt(low! >>> 0)];
    }
    case Type.List:
      if (type.typeId !== DuckDBTypeId.LIST) break;
      return range(offsets[i], offsets[i + 1], children[0]!, type.valueType);
    case Type.FixedSizeList:
      if (type.typeId !== DuckDBTypeId.ARRAY) break;
      return range(i * type.length, (i + 1) * type.length, children[0]!, type.valueType);
    case Type.Struct:
      if (type.typeId !== DuckDBTypeId.STRUCT) break;
      return type.entryTypes.map((entry, k) => ofArrow(children[k]!, i, entry));
    case Type.Map: {
      if (type.typeId !== DuckDBTypeId.MAP) break;
      const [keys, items] = children[0]!.children as [Data, Data];
      return Array.from({ length: offsets[i + 1] - offsets[i] }, (_, k) => [
        ofArrow(keys, offsets[i] + k, type.keyType),
        ofArrow(items, offsets[i] + k, type.valueType),
      ]);
    }
    case Type.Union: {
      if (type.typeId !== DuckDBTypeId.UNION) break;
      const tag = data.typeIds[i]!;
      return ofArrow(children[tag]!, i, type.memberTypes[tag]!);
    }
    default:
      return values[i] as Common;
  }
  throw new Error(`Arrow's type ${data.type} for ${type}`);
}

/** Rows of a stream whose columns have these DuckDB types. */
export function arrowRows(payload: Uint8Array, types: readonly DuckDBType[]): Common[][] {
  const table = tableFromIPC(payload);
  const fields: readonly Field[] = table.schema.fields;
  return table.batches.flatMap((batch) =>
    Array.from({ length: batch.numRows }, (_, row) =>
      fields.map((_field, k) => ofArrow(batch.data.children[k]!, row, types[k]!)),
    ),
  );
}
