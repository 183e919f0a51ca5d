/**
 * DuckDB's types as text and back. The text is what `duckdb.type` in a field's metadata holds, and
 * is valid in DuckDB's SQL (except for structs without names).
 */
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
  DuckDBGeometryType,
  DuckDBStructType,
  type DuckDBType,
  DuckDBTypeId,
  DuckDBUnionType,
  DuckDBVarCharType,
  ENUM,
  FLOAT,
  GEOMETRY,
  HUGEINT,
  INTEGER,
  INTERVAL,
  LIST,
  MAP,
  SMALLINT,
  SQLNULL,
  TIME,
  TIME_NS,
  TIMESTAMP,
  TIMESTAMP_MS,
  TIMESTAMP_NS,
  TIMESTAMP_S,
  TIMESTAMPTZ,
  TIMETZ,
  TINYINT,
  UBIGINT,
  UHUGEINT,
  UINTEGER,
  USMALLINT,
  UTINYINT,
  UUID,
  VARCHAR,
  VARIANT,
} from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import { quoteName, quoteText } from '../duckdb/sqlText.js';

const JSON_TYPE = DuckDBVarCharType.create('JSON');

const SIMPLE: ReadonlyMap<string, DuckDBType> = new Map<string, DuckDBType>([
  ...[BOOLEAN, TINYINT, SMALLINT, INTEGER, BIGINT, UTINYINT, USMALLINT, UINTEGER, UBIGINT].map(
    (type) => [`${type}`, type] as const,
  ),
  ...[FLOAT, DOUBLE, TIMESTAMP, DATE, TIME, INTERVAL, HUGEINT, UHUGEINT, VARCHAR, BLOB].map(
    (type) => [`${type}`, type] as const,
  ),
  ...[TIMESTAMP_S, TIMESTAMP_MS, TIMESTAMP_NS, UUID, BIT, BIGNUM, TIME_NS, GEOMETRY].map(
    (type) => [`${type}`, type] as const,
  ),
  ['VARIANT', VARIANT],
  ['TIME WITH TIME ZONE', TIMETZ],
  ['TIMETZ', TIMETZ],
  ['TIMESTAMP WITH TIME ZONE', TIMESTAMPTZ],
  ['TIMESTAMPTZ', TIMESTAMPTZ],
  ['NULL', SQLNULL],
  ['JSON', JSON_TYPE],
]);

function members(names: readonly string[], types: readonly DuckDBType[]): string {
  return names.map((name, i) => `${quoteName(name)} ${typeText(types[i]!)}`).join(', ');
}

/** DuckDB's text of `type`. Names of user-defined types are resolved, JSON is not. */
export function typeText(type: DuckDBType): string {
  switch (type.typeId) {
    case DuckDBTypeId.VARCHAR:
      return type.alias === 'JSON' ? 'JSON' : 'VARCHAR';
    case DuckDBTypeId.SQLNULL:
      return '"NULL"';
    case DuckDBTypeId.DECIMAL:
      return `DECIMAL(${type.width},${type.scale})`;
    case DuckDBTypeId.ENUM:
      return `ENUM(${type.values.map(quoteText).join(', ')})`;
    case DuckDBTypeId.LIST:
      return `${typeText(type.valueType)}[]`;
    case DuckDBTypeId.ARRAY:
      return `${typeText(type.valueType)}[${type.length}]`;
    case DuckDBTypeId.STRUCT:
      return `STRUCT(${members(type.entryNames, type.entryTypes)})`;
    case DuckDBTypeId.MAP:
      return `MAP(${typeText(type.keyType)}, ${typeText(type.valueType)})`;
    case DuckDBTypeId.UNION:
      return `UNION(${members(type.memberTags, type.memberTypes)})`;
    default:
      return type.toString();
  }
}

const TOKEN = /\s*(?:("(?:[^"]|"")*")|('(?:[^']|'')*')|([A-Za-z_]\w*)|(\d+)|([()[\],]))/y;

interface Token {
  readonly kind: 'name' | 'text' | 'word' | 'number' | 'mark';
  readonly value: string;
}

function tokens(text: string): Token[] {
  const found: Token[] = [];
  const pattern = new RegExp(TOKEN);
  const end = text.trimEnd().length;
  while (pattern.lastIndex < end) {
    const match = pattern.exec(text);
    if (match === null) throw unreadable(text);
    const [, name, string, word, number, mark] = match;
    if (name !== undefined) {
      found.push({ kind: 'name', value: name.slice(1, -1).replaceAll('""', '"') });
    } else if (string !== undefined) {
      found.push({ kind: 'text', value: string.slice(1, -1).replaceAll("''", "'") });
    } else if (word !== undefined) found.push({ kind: 'word', value: word });
    else if (number !== undefined) found.push({ kind: 'number', value: number });
    else found.push({ kind: 'mark', value: mark! });
  }
  return found;
}

function unreadable(text: string): OpenduckError {
  return new OpenduckError('CORRUPT', `cannot read the DuckDB type ${text.slice(0, 200)}`);
}

/** Deeper nesting is refused: type texts come from other machines. */
const MAX_DEPTH = 100;

class Parser {
  #at = 0;
  #depth = 0;
  readonly #text: string;
  readonly #tokens: readonly Token[];

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokens(text);
  }

  whole(): DuckDBType {
    const type = this.#type();
    if (this.#at < this.#tokens.length) throw unreadable(this.#text);
    return type;
  }

  #is(value: string): boolean {
    const token = this.#tokens[this.#at];
    return token?.kind === 'mark' && token.value === value;
  }

  #accept(value: string): boolean {
    const is = this.#is(value);
    if (is) this.#at++;
    return is;
  }

  #expect(value: string): void {
    if (!this.#accept(value)) throw unreadable(this.#text);
  }

  #take(...kinds: readonly Token['kind'][]): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined || !kinds.includes(token.kind)) throw unreadable(this.#text);
    return token.value;
  }

  /** `( item, item, … )` */
  #list<T>(item: () => T): T[] {
    this.#expect('(');
    const items = [item()];
    while (this.#accept(',')) items.push(item());
    this.#expect(')');
    return items;
  }

  #type(): DuckDBType {
    if (++this.#depth > MAX_DEPTH) throw unreadable(this.#text);
    let type = this.#base();
    while (this.#accept('[')) {
      type = this.#is(']') ? LIST(type) : ARRAY(type, Number(this.#take('number')));
      this.#expect(']');
    }
    this.#depth--;
    return type;
  }

  #base(): DuckDBType {
    const first = this.#take('word', 'name');
    switch (first.toUpperCase()) {
      case 'STRUCT':
        return this.#struct();
      case 'UNION': {
        const items = this.#list(() => [this.#take('name', 'word'), this.#type()] as const);
        return new DuckDBUnionType(
          items.map(([tag]) => tag),
          items.map(([, type]) => type),
        );
      }
      case 'MAP': {
        const [key, value] = this.#list(() => this.#type());
        if (key === undefined || value === undefined) throw unreadable(this.#text);
        return MAP(key, value);
      }
      case 'ENUM':
        return ENUM(this.#list(() => this.#take('text')));
      case 'DECIMAL': {
        const [width, scale] = this.#is('(')
          ? this.#list(() => Number(this.#take('number')))
          : [18, 3];
        return DECIMAL(width, scale);
      }
      case 'GEOMETRY':
        if (!this.#is('(')) return GEOMETRY;
        return DuckDBGeometryType.create(undefined, this.#list(() => this.#take('text'))[0]);
      default:
        return this.#simple(first);
    }
  }

  #simple(first: string): DuckDBType {
    let words = first.toUpperCase();
    while (this.#tokens[this.#at]?.kind === 'word') words += ` ${this.#take('word').toUpperCase()}`;
    const type = SIMPLE.get(words);
    if (type === undefined) throw unreadable(this.#text);
    return type;
  }

  #struct(): DuckDBType {
    const items = this.#list(() => this.#member());
    return new DuckDBStructType(
      items.map(([name]) => name),
      items.map(([, type]) => type),
    );
  }

  /** `name type`, or only a type: typeof(row(1, 2)) is STRUCT(INTEGER, INTEGER). */
  #member(): readonly [string, DuckDBType] {
    const [start, depth] = [this.#at, this.#depth];
    try {
      return [this.#take('name', 'word'), this.#type()];
    } catch {
      [this.#at, this.#depth] = [start, depth];
      return ['', this.#type()];
    }
  }
}

/** The type of which typeText() or DuckDB's typeof() gave the text. Throws CORRUPT. */
export function parseType(text: string): DuckDBType {
  return new Parser(text).whole();
}
