/**
 * A value as JSON. Numbers are written with all their digits, as DuckDB's own shell does, also
 * those that JavaScript would round: integers of any size and decimals are what they are, and
 * whoever reads them decides. What JSON has no number for (nan, inf) is a text, like all other
 * types; lists, structs and maps are arrays and objects.
 */
import {
  DuckDBArrayValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  type DuckDBType,
  DuckDBTypeId,
  DuckDBUnionValue,
  type DuckDBValue,
  DuckDBVariantValue,
} from '@duckdb/node-api';
import { cellText } from './cellText.js';

function objectText(entries: readonly (readonly [string, DuckDBValue, DuckDBType])[]): string {
  const parts = entries.map(
    ([name, value, type]) => `${JSON.stringify(name)}:${jsonText(value, type)}`,
  );
  return `{${parts.join(',')}}`;
}

function nestedJson(value: object, type: DuckDBType): string | undefined {
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) {
    const itemType = (type as { valueType: DuckDBType }).valueType;
    return `[${value.items.map((item) => jsonText(item, itemType)).join(',')}]`;
  }
  if (value instanceof DuckDBStructValue) {
    const { entryNames, entryTypes } = type as {
      entryNames: readonly string[];
      entryTypes: readonly DuckDBType[];
    };
    return objectText(
      entryNames.map((name, i) => [name, value.entries[name] ?? null, entryTypes[i]!]),
    );
  }
  if (value instanceof DuckDBMapValue) {
    const { keyType, valueType } = type as { keyType: DuckDBType; valueType: DuckDBType };
    return objectText(
      value.entries.map(({ key, value: v }) => [cellText(key, keyType), v, valueType]),
    );
  }
  if (value instanceof DuckDBUnionValue) {
    const union = type as { memberTags: readonly string[]; memberTypes: readonly DuckDBType[] };
    return jsonText(value.value, union.memberTypes[union.memberTags.indexOf(value.tag)]!);
  }
  return undefined;
}

function isNumber(value: DuckDBValue): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value === 'bigint' || value instanceof DuckDBDecimalValue;
}

export function jsonText(value: DuckDBValue, type: DuckDBType): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return String(value);
  // The types BIGNUM and ENUM arrive as texts: quotes are safe for both.
  if (isNumber(value)) return cellText(value, type);
  if (value instanceof DuckDBVariantValue) {
    return value.type === undefined ? 'null' : jsonText(value.value, value.type);
  }
  if (typeof value === 'object') {
    const nested = nestedJson(value, type);
    if (nested !== undefined) return nested;
  }
  const text = cellText(value, type);
  const isJson = type.typeId === DuckDBTypeId.VARCHAR && type.alias === 'JSON';
  return isJson ? text : JSON.stringify(text);
}

/** Names that are all different, as keys of an object: the second `a` is `a_1`. */
export function distinctNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    let distinct = name;
    for (let i = 1; taken.has(distinct); i++) distinct = `${name}_${i}`;
    taken.add(distinct);
    return distinct;
  });
}
