/** How columns of which type get into DuckDB's vectors; fields.ts says what arrives. */
import { type DuckDBType, DuckDBTypeId, UTINYINT } from '@duckdb/node-api';
import { type DataType, Type } from 'apache-arrow';
import { decimalWidth, enumWidth, SAME_WIDTHS } from '../columns/columnOf.js';
import { decimalFiller } from './decimals.js';
import { type Filler, fillBooleans, fillNulls, fixedFiller } from './filler.js';
import { arrayFiller, listFiller, structFiller } from './nested.js';
import { stringFiller } from './strings.js';

function structOf(types: readonly DuckDBType[], arrow: DataType): Filler | undefined {
  const entries = types.map((type, i) => fillerOf(type, arrow.children[i]!.type));
  const known = entries.filter((entry) => entry !== undefined);
  return known.length === entries.length ? structFiller(known) : undefined;
}

function nested(type: DuckDBType, arrow: DataType): Filler | undefined {
  switch (type.typeId) {
    case DuckDBTypeId.LIST: {
      const items = fillerOf(type.valueType, arrow.children[0]!.type);
      return items && listFiller(items);
    }
    case DuckDBTypeId.ARRAY: {
      const items = fillerOf(type.valueType, arrow.children[0]!.type);
      return items && arrayFiller(type.length, items);
    }
    case DuckDBTypeId.STRUCT:
      return structOf(type.entryTypes, arrow);
    case DuckDBTypeId.MAP: {
      const entries = structOf([type.keyType, type.valueType], arrow.children[0]!.type);
      return entries && listFiller(entries);
    }
    case DuckDBTypeId.UNION:
      if (arrow.typeId !== Type.Struct) return undefined;
      return structOf([UTINYINT, ...type.memberTypes], arrow);
    default:
      return undefined;
  }
}

/** undefined: not as it is, only value by value. `arrow` carries `type` (soundness.ts). */
export function fillerOf(type: DuckDBType, arrow: DataType): Filler | undefined {
  const width = SAME_WIDTHS[type.typeId];
  if (arrow.typeId === Type.Null) return fillNulls;
  if (width !== undefined) return fixedFiller(width);
  switch (type.typeId) {
    case DuckDBTypeId.BOOLEAN:
      return fillBooleans;
    case DuckDBTypeId.VARCHAR:
      return stringFiller(true);
    case DuckDBTypeId.BLOB:
    case DuckDBTypeId.GEOMETRY:
      return stringFiller(false);
    case DuckDBTypeId.BIT:
    case DuckDBTypeId.BIGNUM:
      return arrow.typeId === Type.Binary ? stringFiller(false) : undefined;
    case DuckDBTypeId.HUGEINT:
    case DuckDBTypeId.UHUGEINT:
      return fixedFiller(16);
    case DuckDBTypeId.INTERVAL:
    case DuckDBTypeId.UUID:
      return arrow.typeId === Type.FixedSizeBinary ? fixedFiller(16) : undefined;
    case DuckDBTypeId.TIME_TZ:
      return arrow.typeId === Type.Int ? fixedFiller(8) : undefined;
    case DuckDBTypeId.ENUM:
      return arrow.typeId === Type.Utf8 ? undefined : fixedFiller(enumWidth(type));
    case DuckDBTypeId.DECIMAL: {
      const bytes = decimalWidth(type.width);
      return bytes === 16 ? fixedFiller(16) : decimalFiller(bytes);
    }
    default:
      return nested(type, arrow);
  }
}
