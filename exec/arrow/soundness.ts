/**
 * Checks of Arrow arrays that came from elsewhere: their layout is what the DuckDB type asks for,
 * and every length, offset and index stays inside of what was received. Reads of values, and copies
 * into DuckDB's memory, rely on it.
 */
import { type DuckDBType, DuckDBTypeId } from '@duckdb/node-api';
import { type Data, DataType, Type } from 'apache-arrow';
import { OpenduckError } from '../../proto/errors.js';
import { FieldMaker } from './fields.js';

function unsound(what: string): OpenduckError {
  return new OpenduckError('CORRUPT', `what was received is no sound Arrow data: ${what}`);
}

function require(condition: boolean, what: string): void {
  if (!condition) throw unsound(what);
}

/** What tells the layout of a type apart from others with its id; undefined where it has none. */
const TRAITS = [
  ...['bitWidth', 'isSigned', 'precision', 'scale', 'unit', 'mode'],
  ...['byteWidth', 'listSize'],
];

/** Whether arrays of both are laid out alike. Names, time zones and nullability do not matter. */
function sameLayout(a: DataType, b: DataType): boolean {
  if (a.typeId !== b.typeId) return false;
  if (DataType.isDictionary(a) && DataType.isDictionary(b)) {
    return sameLayout(a.indices, b.indices) && sameLayout(a.dictionary, b.dictionary);
  }
  const [left, right] = [a, b] as unknown as Record<string, unknown>[];
  if (TRAITS.some((trait) => left![trait] !== right![trait])) return false;
  const [ours, theirs] = [a.children ?? [], b.children ?? []];
  return ours.length === theirs.length && ours.every((f, i) => sameLayout(f.type, theirs[i]!.type));
}

const MODES = [
  { exact: true, dictionaries: false },
  { exact: false, dictionaries: false },
  { exact: true, dictionaries: true },
  { exact: false, dictionaries: true },
];

/** Whether `arrow` is one of the types in which fields.ts sends `type`. Throws UNSUPPORTED. */
export function carries(arrow: DataType, type: DuckDBType): boolean {
  return MODES.some((mode) =>
    sameLayout(arrow, new FieldMaker({ ...mode, batchRows: 1 }).field('', type).type),
  );
}

function checkOffsets({ valueOffsets, length }: Data, limit: number): void {
  if (length === 0) return;
  require(valueOffsets.length > length, 'offsets are missing');
  let last = valueOffsets[0] as number;
  require(last >= 0, 'an offset is negative');
  for (let i = 1; i <= length; i++) {
    const offset = valueOffsets[i] as number;
    if (offset < last) throw unsound('offsets do not ascend');
    last = offset;
  }
  require(last <= limit, 'an offset is behind the end');
}

function checkChildren({ children }: Data, length: number): void {
  for (const child of children) {
    require(child.length >= length, 'a child is too short');
    checkArray(child);
  }
}

/** The buffers of one array and of those in it. Throws CORRUPT. */
function checkArray(data: Data): void {
  const { length, children, values, nullBitmap } = data;
  if (length === 0) return; // apache-arrow has no buffers then
  const isUnion = data.typeId === Type.Union;
  if (!isUnion && data.typeId !== Type.Null && data.nullCount > 0) {
    require((nullBitmap?.length ?? 0) * 8 >= length, 'a bitmap is too short');
  }
  switch (data.typeId) {
    case Type.Null:
      break;
    case Type.Bool:
      require(values.length * 8 >= length, 'values are missing');
      break;
    case Type.Utf8:
    case Type.Binary:
      checkOffsets(data, values?.length ?? 0);
      break;
    case Type.List:
    case Type.Map:
      checkOffsets(data, children[0]!.length);
      checkArray(children[0]!);
      break;
    case Type.FixedSizeList:
      checkChildren(data, length * (data.type as unknown as { listSize: number }).listSize);
      break;
    case Type.Struct:
      checkChildren(data, length);
      break;
    case Type.Union:
      require(data.typeIds.length >= length, 'tags are missing');
      for (let i = 0; i < length; i++) require(data.typeIds[i]! < children.length, 'unknown tag');
      checkChildren(data, length);
      break;
    default:
      require(values.length >= length * data.stride, 'values are missing');
  }
}

function checkIndexes(indexes: ArrayLike<number | bigint>, data: Data, limit: number): void {
  const nulls = data.nullCount > 0;
  for (let i = 0; i < data.length; i++) {
    if (indexes[i]! < limit || (nulls && !data.getValid(i))) continue;
    throw unsound('an index is behind the end');
  }
}

/** Values that point to others: enums, and the tags of unions that are sent as structs. */
function checkIndexesOf(data: Data, type: DuckDBType): void {
  const { children, length } = data;
  if (length === 0) return;
  switch (type.typeId) {
    case DuckDBTypeId.ENUM:
      if (data.typeId !== Type.Utf8) checkIndexes(data.values, data, type.values.length);
      break;
    case DuckDBTypeId.LIST:
    case DuckDBTypeId.ARRAY:
      checkIndexesOf(children[0]!, type.valueType);
      break;
    case DuckDBTypeId.STRUCT:
      for (const [i, entry] of type.entryTypes.entries()) checkIndexesOf(children[i]!, entry);
      break;
    case DuckDBTypeId.MAP:
      checkIndexesOf(children[0]!.children[0]!, type.keyType);
      checkIndexesOf(children[0]!.children[1]!, type.valueType);
      break;
    case DuckDBTypeId.UNION: {
      const isStruct = data.typeId === Type.Struct;
      const members = isStruct ? children.slice(1) : children;
      const tags = children[0]!;
      if (isStruct) checkIndexes(tags.values, tags, members.length);
      for (const [i, member] of type.memberTypes.entries()) checkIndexesOf(members[i]!, member);
      break;
    }
    default:
  }
}

/** One array that is said to hold `rows` values of `type`. Throws CORRUPT, UNSUPPORTED. */
export function checkColumn(data: Data, type: DuckDBType, rows: number): void {
  require(data.length >= rows, 'a column is too short');
  require(carries(data.type, type), `${type} in ${data.type}`);
  checkArray(data);
  checkIndexesOf(data, type);
}
