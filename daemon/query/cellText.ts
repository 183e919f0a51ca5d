/**
 * A value as DuckDB itself would write it: what CAST(value AS VARCHAR) gives, for every type
 * (test/daemon/queryText.test.ts asks DuckDB). Times with a zone are shown in this process's.
 */
import {
  DuckDBArrayValue,
  DuckDBDateValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBType,
  DuckDBTypeId,
  DuckDBUnionValue,
  type DuckDBValue,
  DuckDBVariantValue,
} from '@duckdb/node-api';

/** Digits that tell any two doubles, or any two floats, apart. */
const DOUBLE_DIGITS = 17;
const FLOAT_DIGITS = 9;
/** From this exponent on DuckDB writes 1e+16, below this one 1e-05. */
const LARGE_EXPONENT = 16;
const SMALL_EXPONENT = -5;

/** The shortest digits that read back as the same number, and the decimal exponent. */
function shortest(value: number, isFloat: boolean): { digits: string; exponent: number } {
  const most = isFloat ? FLOAT_DIGITS : DOUBLE_DIGITS;
  const same = (text: string): boolean =>
    isFloat ? Math.fround(Number(text)) === value : Number(text) === value;
  let text = isFloat ? '' : value.toExponential();
  for (let n = 1; text === '' && n <= most; n++) {
    const candidate = value.toExponential(n - 1);
    if (same(candidate) || n === most) text = candidate;
  }
  const [mantissa = '', exponent = '0'] = text.split('e');
  return { digits: mantissa.replace('.', ''), exponent: Number(exponent) };
}

export function floatText(value: number, isFloat: boolean): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const { digits, exponent } = shortest(Math.abs(value), isFloat);
  if (exponent >= LARGE_EXPONENT || exponent < SMALL_EXPONENT + 1) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    const power = String(Math.abs(exponent)).padStart(2, '0');
    return `${sign}${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${power}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
}

const MICROS_IN_MINUTE = 60_000_000n;
/** The last time that JavaScript knows of, in ms; DuckDB's times go on. */
const LAST_DATE_MS = 8.64e15;

function zonedText(value: DuckDBTimestampTZValue): string {
  const ms = Number(value.micros / 1000n);
  const known = Math.min(Math.max(ms, -LAST_DATE_MS), LAST_DATE_MS);
  const ahead = -new Date(known).getTimezoneOffset();
  const local = new DuckDBTimestampValue(value.micros + BigInt(ahead) * MICROS_IN_MINUTE);
  const minutes = Math.abs(ahead);
  const two = (n: number): string => String(n).padStart(2, '0');
  const rest = minutes % 60 === 0 ? '' : `:${two(minutes % 60)}`;
  return `${local}${ahead < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}${rest}`;
}

/** The types that have infinities besides floats; what they are otherwise: undefined. */
function infinityText(value: object): string | undefined {
  if (value instanceof DuckDBDateValue) {
    if (value.days === DuckDBDateValue.PosInf.days) return 'infinity';
    return value.days === DuckDBDateValue.NegInf.days ? '-infinity' : undefined;
  }
  if (value instanceof DuckDBTimestampTZValue || value instanceof DuckDBTimestampValue) {
    if (value.micros === DuckDBTimestampValue.PosInf.micros) return 'infinity';
    return value.micros === DuckDBTimestampValue.NegInf.micros ? '-infinity' : undefined;
  }
  if (value instanceof DuckDBTimestampNanosecondsValue) {
    if (value.nanos === DuckDBTimestampNanosecondsValue.PosInf.nanos) return 'infinity';
    return value.nanos === DuckDBTimestampNanosecondsValue.NegInf.nanos ? '-infinity' : undefined;
  }
  return undefined;
}

/** In a nested value a text that could be misread stands in quotes. */
const MISREAD = /^$|^null$|^\s|\s$|[,'"[\]{}():=]/i;

function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}

function isNested(type: DuckDBType): boolean {
  return 'valueType' in type || 'entryTypes' in type || 'memberTypes' in type;
}

function innerText(value: DuckDBValue, type: DuckDBType): string {
  if (value === null) return 'NULL';
  const text = cellText(value, type);
  return !isNested(type) && MISREAD.test(text) ? quoted(text) : text;
}

function structText(value: DuckDBStructValue, type: DuckDBType): string {
  const names = 'entryNames' in type ? type.entryNames : Object.keys(value.entries);
  const types = 'entryTypes' in type ? type.entryTypes : [];
  const isRow = names.every((name) => name === '');
  const parts = names.map((name, i) => {
    const text = innerText(value.entries[name] ?? null, types[i]!);
    return isRow ? text : `${quoted(name)}: ${text}`;
  });
  return isRow ? `(${parts.join(', ')})` : `{${parts.join(', ')}}`;
}

function nestedText(value: object, type: DuckDBType): string | undefined {
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) {
    const itemType = (type as { valueType: DuckDBType }).valueType;
    return `[${value.items.map((v) => innerText(v, itemType)).join(', ')}]`;
  }
  if (value instanceof DuckDBMapValue) {
    const { keyType, valueType } = type as { keyType: DuckDBType; valueType: DuckDBType };
    const parts = value.entries.map(({ key, value: v }) => {
      return `${innerText(key, keyType)}=${innerText(v, valueType)}`;
    });
    return `{${parts.join(', ')}}`;
  }
  if (value instanceof DuckDBStructValue) return structText(value, type);
  if (value instanceof DuckDBUnionValue) {
    const union = type as { memberTags: readonly string[]; memberTypes: readonly DuckDBType[] };
    const memberType = union.memberTypes[union.memberTags.indexOf(value.tag)]!;
    return value.value === null ? 'NULL' : cellText(value.value, memberType);
  }
  return undefined;
}

function variantText({ value, type }: DuckDBVariantValue): string {
  if (value === null) return 'NULL';
  return type === undefined ? String(value) : cellText(value, type);
}

/** `value` is not null. */
export function cellText(value: DuckDBValue, type: DuckDBType): string {
  if (typeof value === 'number' && type.typeId === DuckDBTypeId.FLOAT)
    return floatText(value, true);
  if (typeof value === 'number' && type.typeId === DuckDBTypeId.DOUBLE) {
    return floatText(value, false);
  }
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof DuckDBVariantValue) return variantText(value);
  const special = infinityText(value) ?? nestedText(value, type);
  if (special !== undefined) return special;
  return value instanceof DuckDBTimestampTZValue ? zonedText(value) : String(value);
}
