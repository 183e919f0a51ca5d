/**
 * The Arrow field of a DuckDB type. Follows DuckDB's own Arrow export, except for: enums (utf8, if
 * no dictionaries were asked for), TIMETZ (utf8: the export loses the offset), BIT and BIGNUM
 * (utf8: the export sends DuckDB's internal bytes), VARIANT (utf8: the export refuses it).
 *
 * With exact types, what Arrow has no equal type for is sent as DuckDB holds it in memory
 * (little endian): HUGEINT, UHUGEINT, UUID, INTERVAL in 16 bytes, TIMETZ in uint64, ENUM as its
 * index, BIT and BIGNUM as binary, UNION and VARIANT as structs. Every field, also one inside
 * another, has `duckdb.type`.
 */
import { BLOB, type DuckDBType, DuckDBTypeId, LIST, UTINYINT, VARCHAR } from '@duckdb/node-api';
import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  Decimal,
  Dictionary,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  IntervalMonthDayNano,
  List,
  Map_,
  Null,
  SparseUnion,
  Struct,
  TimeMicrosecond,
  TimeNanosecond,
  Timestamp,
  TimeUnit,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from 'apache-arrow';
import { enumWidth, unknownType, VARIANT_PARTS } from './columns/columnOf.js';
import type { ArrowOptions } from './options.js';
import { typeText } from './typeText.js';

/** Key of a field's metadata: the DuckDB type's text. */
export const TYPE_KEY = 'duckdb.type';

/** Types that need no more than themselves. */
const SIMPLE: Readonly<Partial<Record<DuckDBTypeId, () => DataType>>> = {
  [DuckDBTypeId.SQLNULL]: () => new Null(),
  [DuckDBTypeId.BOOLEAN]: () => new Bool(),
  [DuckDBTypeId.TINYINT]: () => new Int8(),
  [DuckDBTypeId.SMALLINT]: () => new Int16(),
  [DuckDBTypeId.INTEGER]: () => new Int32(),
  [DuckDBTypeId.BIGINT]: () => new Int64(),
  [DuckDBTypeId.UTINYINT]: () => new Uint8(),
  [DuckDBTypeId.USMALLINT]: () => new Uint16(),
  [DuckDBTypeId.UINTEGER]: () => new Uint32(),
  [DuckDBTypeId.UBIGINT]: () => new Uint64(),
  [DuckDBTypeId.FLOAT]: () => new Float32(),
  [DuckDBTypeId.DOUBLE]: () => new Float64(),
  [DuckDBTypeId.VARCHAR]: () => new Utf8(),
  [DuckDBTypeId.BLOB]: () => new Binary(),
  [DuckDBTypeId.GEOMETRY]: () => new Binary(),
  [DuckDBTypeId.DATE]: () => new DateDay(),
  [DuckDBTypeId.TIME]: () => new TimeMicrosecond(),
  [DuckDBTypeId.TIME_NS]: () => new TimeNanosecond(),
  [DuckDBTypeId.TIMESTAMP]: () => new Timestamp(TimeUnit.MICROSECOND),
  [DuckDBTypeId.TIMESTAMP_S]: () => new Timestamp(TimeUnit.SECOND),
  [DuckDBTypeId.TIMESTAMP_MS]: () => new Timestamp(TimeUnit.MILLISECOND),
  [DuckDBTypeId.TIMESTAMP_NS]: () => new Timestamp(TimeUnit.NANOSECOND),
};

const STANDARD: Readonly<Partial<Record<DuckDBTypeId, () => DataType>>> = {
  [DuckDBTypeId.HUGEINT]: () => new Decimal(0, 38),
  [DuckDBTypeId.UHUGEINT]: () => new Decimal(0, 38),
  [DuckDBTypeId.INTERVAL]: () => new IntervalMonthDayNano(),
  [DuckDBTypeId.UUID]: () => new Utf8(),
  [DuckDBTypeId.TIME_TZ]: () => new Utf8(),
  [DuckDBTypeId.BIT]: () => new Utf8(),
  [DuckDBTypeId.BIGNUM]: () => new Utf8(),
  [DuckDBTypeId.VARIANT]: () => new Utf8(),
};

const EXACT: Readonly<Partial<Record<DuckDBTypeId, () => DataType>>> = {
  [DuckDBTypeId.HUGEINT]: () => new FixedSizeBinary(16),
  [DuckDBTypeId.UHUGEINT]: () => new FixedSizeBinary(16),
  [DuckDBTypeId.INTERVAL]: () => new FixedSizeBinary(16),
  [DuckDBTypeId.UUID]: () => new FixedSizeBinary(16),
  [DuckDBTypeId.TIME_TZ]: () => new Uint64(),
  [DuckDBTypeId.BIT]: () => new Binary(),
  [DuckDBTypeId.BIGNUM]: () => new Binary(),
};

/** The enums of a schema by the id of their dictionary: their values. */
export type Dictionaries = Map<number, readonly string[]>;

/** Makes fields, and collects the dictionaries that they refer to. */
export class FieldMaker {
  readonly dictionaries: Dictionaries = new Map();
  readonly #options: ArrowOptions;

  constructor(options: ArrowOptions) {
    this.#options = options;
  }

  /** Throws UNSUPPORTED for a type that is not known here. */
  field(name: string, type: DuckDBType, nullable = true): Field {
    const metadata = new Map([[TYPE_KEY, typeText(type)]]);
    if (type.typeId === DuckDBTypeId.GEOMETRY) {
      // https://geoarrow.org/extension-types.html: the bytes are WKB
      metadata.set('ARROW:extension:name', 'geoarrow.wkb');
      metadata.set('ARROW:extension:metadata', '{}');
    }
    return new Field(name, this.#type(type), nullable, metadata);
  }

  #fields(names: readonly string[], types: readonly DuckDBType[]): Field[] {
    return types.map((type, i) => this.field(names[i]!, type));
  }

  #type(type: DuckDBType): DataType {
    const simple = SIMPLE[type.typeId];
    if (simple !== undefined) return simple();
    switch (type.typeId) {
      case DuckDBTypeId.TIMESTAMP_TZ:
        return new Timestamp(TimeUnit.MICROSECOND, this.#options.timeZone ?? 'UTC');
      case DuckDBTypeId.DECIMAL:
        return new Decimal(type.scale, type.width);
      case DuckDBTypeId.ENUM:
        return this.#enum(type.values, enumWidth(type));
      case DuckDBTypeId.LIST:
        return new List(this.field('l', type.valueType));
      case DuckDBTypeId.ARRAY:
        return new FixedSizeList(type.length, this.field('', type.valueType));
      case DuckDBTypeId.STRUCT:
        return new Struct(this.#fields(type.entryNames, type.entryTypes));
      case DuckDBTypeId.MAP: {
        const key = this.field('key', type.keyType, false);
        const entry = new Struct<{ key: DataType; value: DataType }>([
          key,
          this.field('value', type.valueType),
        ]);
        return new Map_(new Field('entries', entry, false));
      }
      case DuckDBTypeId.UNION: {
        const members = this.#fields(type.memberTags, type.memberTypes);
        if (this.#options.exact) return new Struct([this.field('', UTINYINT), ...members]);
        return new SparseUnion([...members.keys()], members);
      }
      default:
        return this.#special(type);
    }
  }

  #special(type: DuckDBType): DataType {
    if (this.#options.exact && type.typeId === DuckDBTypeId.VARIANT) {
      const { names, children, values } = VARIANT_PARTS;
      return new Struct(this.#fields(names, [LIST(VARCHAR), LIST(children), LIST(values), BLOB]));
    }
    const make = (this.#options.exact ? EXACT : STANDARD)[type.typeId];
    if (make === undefined) throw unknownType(type);
    return make();
  }

  #enum(values: readonly string[], width: 1 | 2 | 4): DataType {
    const { dictionaries, exact } = this.#options;
    if (!dictionaries && !exact) return new Utf8();
    const index = width === 1 ? new Uint8() : width === 2 ? new Uint16() : new Uint32();
    if (!dictionaries) return index;
    const id = this.dictionaries.size;
    this.dictionaries.set(id, values);
    return new Dictionary(new Utf8(), index, id);
  }
}
