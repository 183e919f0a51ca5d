/** Single values out of Arrow arrays: what fields.ts lays down, the other way. */
import {
  DuckDBArrayValue,
  DuckDBBitValue,
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBGeometryValue,
  DuckDBIntervalValue,
  DuckDBListValue,
  DuckDBMapValue,
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
  type DuckDBUnionType,
  DuckDBUnionValue,
  DuckDBUUIDValue,
  type DuckDBValue,
} from '@duckdb/node-api';
import { type Data, Type } from 'apache-arrow';
import { unknownType } from './columns/columnOf.js';
import { variantAt } from './variants.js';

function isNull(data: Data, i: number): boolean {
  if (data.typeId === Type.Null) return true;
  return data.typeId !== Type.Union && data.nullCount > 0 && !data.getValid(i);
}

/** A copy: the stream's bytes need not be kept for a value. */
function bytesAt({ values, valueOffsets, stride, typeId }: Data, i: number): Uint8Array {
  if (typeId === Type.FixedSizeBinary) return values.slice(i * stride, (i + 1) * stride);
  return values.slice(valueOffsets[i], valueOffsets[i + 1]);
}

function textAt({ values, valueOffsets }: Data, i: number): string {
  return Buffer.from(values.subarray(valueOffsets[i], valueOffsets[i + 1])).toString('utf8');
}

/** 128 bits, little endian, of decimal128 or of fixed size binary. */
function hugeAt({ values }: Data, i: number, signed: boolean): bigint {
  const view = new DataView(values.buffer, values.byteOffset + i * 16, 16);
  const low = view.getBigUint64(0, true);
  const high = signed ? view.getBigInt64(8, true) : view.getBigUint64(8, true);
  return (high << 64n) | low;
}

function enumAt(data: Data, i: number, values: readonly string[]): string {
  if (data.typeId === Type.Utf8) return textAt(data, i);
  return values[Number(data.values[i])]!;
}

/**
 * DuckDB's BIGNUM: 3 bytes of sign and length, then the magnitude, big endian; all bits of a
 * negative one are inverted (duckdb/common/types/bignum.hpp).
 */
function bignumOf(bytes: Uint8Array): bigint {
  const negative = (bytes[0]! & 0x80) === 0;
  let value = 0n;
  for (const byte of bytes.subarray(3))
    value = (value << 8n) | BigInt(negative ? byte ^ 0xff : byte);
  return negative ? -value : value;
}

/** HH:MM:SS[.ffffff]±HH[:MM[:SS]], as DuckDB writes it. */
const TIMETZ = /^(\d+):(\d+):(\d+)(?:\.(\d+))?([+-])(\d+)(?::(\d+))?(?::(\d+))?$/;

function timeTz(text: string, type: DuckDBType): DuckDBTimeTZValue {
  const match = TIMETZ.exec(text);
  if (match === null) throw unknownType(type);
  const [, h, m, s, fraction = '', sign, oh, om = '0', os = '0'] = match;
  const seconds = (Number(h) * 60 + Number(m)) * 60 + Number(s);
  const micros = BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
  const offset = (Number(oh) * 60 + Number(om)) * 60 + Number(os);
  return DuckDBTimeTZValue.fromMicrosAndOffset(micros, sign === '-' ? -offset : offset);
}

function intervalAt(data: Data, i: number): DuckDBIntervalValue {
  const { buffer, byteOffset } = data.values;
  const view = new DataView(buffer, byteOffset + i * 16, 16);
  const last = view.getBigInt64(8, true);
  const micros = data.typeId === Type.Interval ? last / 1000n : last;
  return new DuckDBIntervalValue(view.getInt32(0, true), view.getInt32(4, true), micros);
}

function itemsAt(child: Data, from: number, to: number, type: DuckDBType): DuckDBValue[] {
  return Array.from({ length: to - from }, (_, k) => valueAt(child, from + k, type));
}

function unionAt(data: Data, i: number, type: DuckDBUnionType): DuckDBValue {
  // With exact types a struct: the tag, then all members.
  const isStruct = data.typeId === Type.Struct;
  const tag = isStruct ? Number(data.children[0]!.values[i]) : data.typeIds[i]!;
  const value = valueAt(data.children[isStruct ? tag + 1 : tag]!, i, type.memberTypes[tag]!);
  if (value === null && !isStruct) return null;
  return new DuckDBUnionValue(type.memberTags[tag]!, value);
}

function nestedAt(data: Data, i: number, type: DuckDBType): DuckDBValue {
  const { children, valueOffsets: offsets } = data;
  switch (type.typeId) {
    case DuckDBTypeId.LIST:
      return new DuckDBListValue(itemsAt(children[0]!, offsets[i], offsets[i + 1], type.valueType));
    case DuckDBTypeId.ARRAY: {
      const { length, valueType } = type;
      return new DuckDBArrayValue(itemsAt(children[0]!, i * length, (i + 1) * length, valueType));
    }
    case DuckDBTypeId.STRUCT: {
      const entries = type.entryTypes.map((entry, k) => [
        type.entryNames[k]!,
        valueAt(children[k]!, i, entry),
      ]);
      return new DuckDBStructValue(Object.fromEntries(entries));
    }
    case DuckDBTypeId.MAP: {
      const [keys, items] = children[0]!.children as [Data, Data];
      const entries = Array.from({ length: offsets[i + 1] - offsets[i] }, (_, k) => ({
        key: valueAt(keys, offsets[i] + k, type.keyType),
        value: valueAt(items, offsets[i] + k, type.valueType),
      }));
      return new DuckDBMapValue(entries);
    }
    case DuckDBTypeId.UNION:
      return unionAt(data, i, type);
    case DuckDBTypeId.VARIANT:
      return variantAt(data, i);
    default:
      throw unknownType(type);
  }
}

function temporalAt(data: Data, i: number, type: DuckDBType): DuckDBValue {
  const value = data.values?.[i]; // nested arrays have none
  switch (type.typeId) {
    case DuckDBTypeId.DATE:
      return new DuckDBDateValue(value);
    case DuckDBTypeId.TIME:
      return new DuckDBTimeValue(value);
    case DuckDBTypeId.TIME_NS:
      return new DuckDBTimeNSValue(value);
    case DuckDBTypeId.TIME_TZ:
      if (data.typeId === Type.Utf8) return timeTz(textAt(data, i), type);
      return DuckDBTimeTZValue.fromBits(value);
    case DuckDBTypeId.TIMESTAMP:
      return new DuckDBTimestampValue(value);
    case DuckDBTypeId.TIMESTAMP_TZ:
      return new DuckDBTimestampTZValue(value);
    case DuckDBTypeId.TIMESTAMP_S:
      return new DuckDBTimestampSecondsValue(value);
    case DuckDBTypeId.TIMESTAMP_MS:
      return new DuckDBTimestampMillisecondsValue(value);
    case DuckDBTypeId.TIMESTAMP_NS:
      return new DuckDBTimestampNanosecondsValue(value);
    case DuckDBTypeId.INTERVAL:
      return intervalAt(data, i);
    default:
      return nestedAt(data, i, type);
  }
}

function stringLikeAt(data: Data, i: number, type: DuckDBType): DuckDBValue {
  const isText = data.typeId === Type.Utf8;
  switch (type.typeId) {
    case DuckDBTypeId.VARCHAR:
      return textAt(data, i);
    case DuckDBTypeId.ENUM:
      return enumAt(data, i, type.values);
    case DuckDBTypeId.BLOB:
      return new DuckDBBlobValue(bytesAt(data, i));
    case DuckDBTypeId.GEOMETRY:
      return new DuckDBGeometryValue(bytesAt(data, i));
    case DuckDBTypeId.BIT:
      if (isText) return DuckDBBitValue.fromString(textAt(data, i));
      return new DuckDBBitValue(bytesAt(data, i));
    case DuckDBTypeId.BIGNUM:
      return isText ? BigInt(textAt(data, i)) : bignumOf(bytesAt(data, i));
    case DuckDBTypeId.UUID:
      if (!isText) return DuckDBUUIDValue.fromStoredHugeInt(hugeAt(data, i, true));
      return DuckDBUUIDValue.fromUint128(BigInt(`0x${textAt(data, i).replaceAll('-', '')}`));
    default:
      return temporalAt(data, i, type);
  }
}

/** Row `i` of an array as a value of the DuckDB type. Throws UNSUPPORTED. */
export function valueAt(data: Data, i: number, type: DuckDBType): DuckDBValue {
  if (isNull(data, i)) return null;
  switch (type.typeId) {
    case DuckDBTypeId.SQLNULL:
      return null;
    case DuckDBTypeId.BOOLEAN:
      return (data.values[i >> 3]! & (1 << (i & 7))) !== 0;
    case DuckDBTypeId.TINYINT:
    case DuckDBTypeId.SMALLINT:
    case DuckDBTypeId.INTEGER:
    case DuckDBTypeId.BIGINT:
    case DuckDBTypeId.UTINYINT:
    case DuckDBTypeId.USMALLINT:
    case DuckDBTypeId.UINTEGER:
    case DuckDBTypeId.UBIGINT:
    case DuckDBTypeId.FLOAT:
    case DuckDBTypeId.DOUBLE:
      return data.values[i];
    case DuckDBTypeId.HUGEINT:
      return hugeAt(data, i, true);
    case DuckDBTypeId.UHUGEINT:
      return hugeAt(data, i, false);
    case DuckDBTypeId.DECIMAL:
      return new DuckDBDecimalValue(hugeAt(data, i, true), type.width, type.scale);
    default:
      return stringLikeAt(data, i, type);
  }
}
