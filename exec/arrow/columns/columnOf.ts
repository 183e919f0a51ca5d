/** Which column carries which type; fields.ts says what Arrow type comes out. */
import {
  type DuckDBEnumType,
  type DuckDBType,
  DuckDBTypeId,
  STRUCT,
  UINTEGER,
  UTINYINT,
  VARCHAR,
} from '@duckdb/node-api';
import { OpenduckError } from '../../../proto/errors.js';
import type { ArrowOptions } from '../options.js';
import type { Column } from './column.js';
import {
  BooleanColumn,
  checkHuge,
  FixedColumn,
  NullColumn,
  nanosecondIntervals,
  TagColumn,
  widenDecimal,
} from './fixed.js';
import { ArrayColumn, ListColumn, StructColumn, UnionColumn } from './nested.js';
import { enumTexts, StringColumn, TextColumn, uuidTexts, valueTexts } from './strings.js';

/** Bytes of a value of types that Arrow holds as DuckDB does. */
export const SAME_WIDTHS: Readonly<Partial<Record<DuckDBTypeId, number>>> = {
  [DuckDBTypeId.TINYINT]: 1,
  [DuckDBTypeId.UTINYINT]: 1,
  [DuckDBTypeId.SMALLINT]: 2,
  [DuckDBTypeId.USMALLINT]: 2,
  [DuckDBTypeId.INTEGER]: 4,
  [DuckDBTypeId.UINTEGER]: 4,
  [DuckDBTypeId.BIGINT]: 8,
  [DuckDBTypeId.UBIGINT]: 8,
  [DuckDBTypeId.FLOAT]: 4,
  [DuckDBTypeId.DOUBLE]: 8,
  [DuckDBTypeId.DATE]: 4,
  [DuckDBTypeId.TIME]: 8,
  [DuckDBTypeId.TIME_NS]: 8,
  [DuckDBTypeId.TIMESTAMP]: 8,
  [DuckDBTypeId.TIMESTAMP_S]: 8,
  [DuckDBTypeId.TIMESTAMP_MS]: 8,
  [DuckDBTypeId.TIMESTAMP_NS]: 8,
  [DuckDBTypeId.TIMESTAMP_TZ]: 8,
};

/** How DuckDB keeps a VARIANT: a struct of these. */
export const VARIANT_PARTS = {
  names: ['keys', 'children', 'values', 'data'],
  children: STRUCT({ keys_index: UINTEGER, values_index: UINTEGER }),
  values: STRUCT({ type_id: UTINYINT, byte_offset: UINTEGER }),
} as const;

/** Bytes of an ENUM's value in DuckDB. */
export function enumWidth(type: DuckDBEnumType): 1 | 2 | 4 {
  switch (type.internalTypeId) {
    case DuckDBTypeId.UTINYINT:
      return 1;
    case DuckDBTypeId.USMALLINT:
      return 2;
    default:
      return 4;
  }
}

/** Bytes of a DECIMAL in DuckDB. */
export function decimalWidth(digits: number): 2 | 4 | 8 | 16 {
  if (digits <= 4) return 2;
  if (digits <= 9) return 4;
  return digits <= 18 ? 8 : 16;
}

/** Throws UNSUPPORTED for a type that is not known here. */
export function columnOf(type: DuckDBType, options: ArrowOptions): Column {
  const width = SAME_WIDTHS[type.typeId];
  if (width !== undefined) return new FixedColumn(width);
  switch (type.typeId) {
    case DuckDBTypeId.SQLNULL:
      return new NullColumn();
    case DuckDBTypeId.BOOLEAN:
      return new BooleanColumn();
    case DuckDBTypeId.VARCHAR:
    case DuckDBTypeId.BLOB:
    case DuckDBTypeId.GEOMETRY:
      return new StringColumn();
    case DuckDBTypeId.DECIMAL: {
      const bytes = decimalWidth(type.width);
      return bytes === 16 ? new FixedColumn(16) : new FixedColumn(bytes, 16, widenDecimal(bytes));
    }
    case DuckDBTypeId.ENUM: {
      const bytes = enumWidth(type);
      if (options.dictionaries || options.exact) return new FixedColumn(bytes);
      return new TextColumn(enumTexts(type.values, bytes));
    }
    case DuckDBTypeId.LIST:
      return new ListColumn(columnOf(type.valueType, options));
    case DuckDBTypeId.ARRAY:
      return new ArrayColumn(type.length, columnOf(type.valueType, options));
    case DuckDBTypeId.STRUCT:
      return new StructColumn(type.entryTypes.map((entry) => columnOf(entry, options)));
    case DuckDBTypeId.MAP: {
      const entry = [columnOf(type.keyType, options), columnOf(type.valueType, options)];
      return new ListColumn(new StructColumn(entry));
    }
    case DuckDBTypeId.UNION: {
      const members = type.memberTypes.map((member) => columnOf(member, options));
      if (options.exact) return new StructColumn([new FixedColumn(1), ...members]);
      return new UnionColumn(new TagColumn(), members);
    }
    default:
      return options.exact ? exactColumn(type, options) : standardColumn(type);
  }
}

/** Types that Arrow does not have, in the type that is nearest. */
function standardColumn(type: DuckDBType): Column {
  switch (type.typeId) {
    case DuckDBTypeId.HUGEINT:
    case DuckDBTypeId.UHUGEINT:
      return new FixedColumn(16, 16, checkHuge(type.typeId === DuckDBTypeId.HUGEINT));
    case DuckDBTypeId.INTERVAL:
      return new FixedColumn(16, 16, nanosecondIntervals);
    case DuckDBTypeId.UUID:
      return new TextColumn(uuidTexts());
    case DuckDBTypeId.TIME_TZ:
    case DuckDBTypeId.BIT:
    case DuckDBTypeId.BIGNUM:
    case DuckDBTypeId.VARIANT:
      return new TextColumn(valueTexts(type));
    default:
      throw unknownType(type);
  }
}

/** The same types as DuckDB holds them. */
function exactColumn(type: DuckDBType, options: ArrowOptions): Column {
  switch (type.typeId) {
    case DuckDBTypeId.HUGEINT:
    case DuckDBTypeId.UHUGEINT:
    case DuckDBTypeId.INTERVAL:
    case DuckDBTypeId.UUID:
      return new FixedColumn(16);
    case DuckDBTypeId.TIME_TZ:
      return new FixedColumn(8);
    case DuckDBTypeId.BIT:
    case DuckDBTypeId.BIGNUM:
      return new StringColumn();
    case DuckDBTypeId.VARIANT: {
      const { children, values } = VARIANT_PARTS;
      const lists = [VARCHAR, children, values].map((item) => columnOf(item, options));
      return new StructColumn([...lists.map((item) => new ListColumn(item)), new StringColumn()]);
    }
    default:
      throw unknownType(type);
  }
}

export function unknownType(type: DuckDBType): OpenduckError {
  return new OpenduckError('UNSUPPORTED', `no way to send a column of the type ${type}`, {
    hint: 'CAST it to VARCHAR in the statement',
  });
}
