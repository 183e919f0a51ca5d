/** Parts of the hybrid planner, each for itself. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VARCHAR } from '@duckdb/node-api';
import fc from 'fast-check';
import { tokens } from '../../exec/duckdb/tokens.js';
import { normalizeJoins } from '../../exec/hybrid/ast/joins.js';
import { parseAst, printAst } from '../../exec/hybrid/ast/json.js';
import { type Ast, isSelect } from '../../exec/hybrid/ast/node.js';
import { NO_CTES, scopeOf, standalone } from '../../exec/hybrid/ast/scope.js';
import { RemoteCatalog } from '../../exec/hybrid/catalog.js';
import { collations } from '../../exec/hybrid/collations.js';
import { Local } from '../../exec/hybrid/local.js';
import { sameKeys } from '../../exec/hybrid/plan/semiJoins.js';
import { comparable } from '../../exec/hybrid/plan/throwing.js';
import { forwardedSettings } from '../../exec/hybrid/settings.js';
import { insertParameters, namedTables, parseStatement } from '../../exec/hybrid/statement.js';
import { testSeed } from '../harness/seeds.js';
import { memoryDuckdb } from './memoryDuckdb.js';

let local: Local;
memoryDuckdb((connection) => {
  local = new Local(connection, undefined);
});

async function treeOf(sql: string): Promise<Ast> {
  const parsed = await local.serialize(sql);
  assert.ok('queries' in parsed, `${sql} is serialized`);
  return parsed.queries[0]!;
}

describe('syntax trees', () => {
  test('numbers and texts of any kind come back as they were', async () => {
    const seed = testSeed();
    const number = fc.oneof(
      fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => JSON.stringify(x)),
      fc.constant('1e300'),
      fc.constant('18446744073709551615'),
    );
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom('{"#number":"5"}', '12345678901234567890', '\\'),
    );
    fc.assert(
      fc.property(fc.array(number), fc.array(text), (numbers, texts) => {
        const json = `{"a":[${numbers.join(',')}],"b":${JSON.stringify(texts)},"c":null}`;
        assert.equal(printAst(parseAst(json)), json);
      }),
      { seed },
    );
    assert.equal(
      printAst(parseAst('{"query_location":18446744073709551615}')),
      '{"query_location":0}',
    );
    assert.throws(() => parseAst('[1]'), { code: 'CORRUPT' });
  });

  test('joins are printed as they were meant, or not at all', async () => {
    const faithful = async (sql: string): Promise<boolean> => {
      const tree = await treeOf(sql);
      normalizeJoins(tree);
      return local.isFaithful(tree);
    };
    for (const sql of [
      'FROM (a CROSS JOIN b) LEFT JOIN c ON a.x = c.x',
      'FROM a LEFT JOIN (b CROSS JOIN c) ON a.x = b.x',
      'FROM a, b LEFT JOIN (c JOIN d USING (x)) ON a.x = c.x, e',
      'FROM a NATURAL JOIN b JOIN c ON true',
      "SELECT * FROM (VALUES (1, 'a')) v(x, y)",
    ]) {
      assert.ok(await faithful(sql), sql);
    }
    assert.equal(await faithful('FROM a NATURAL JOIN (b JOIN c ON true)'), false);
    assert.equal(await faithful('FROM a POSITIONAL JOIN (b POSITIONAL JOIN c)'), false);
    assert.equal(await faithful('SELECT 1e0'), false);
  });

  test('a query takes along the expressions of WITH that it uses, and no other', async () => {
    const tree = await treeOf(`WITH a AS (SELECT 1), b AS (FROM a), c AS (SELECT 2)
      SELECT * FROM (FROM b) q`);
    assert.ok(isSelect(tree));
    const inner = (tree.from_table['subquery'] as Ast)['node'] as Ast;
    const alone = standalone(inner, scopeOf(tree, NO_CTES))!;
    assert.equal(
      await local.text(alone),
      'WITH a AS (SELECT 1), b AS (SELECT * FROM a)SELECT * FROM b',
    );
  });
});

describe('texts of statements', () => {
  test('words are found outside of names, texts and comments', () => {
    const sql = `SELECT "FROM a", 'FROM '' b', $$ FROM c $$, $x$ FROM d $x$ -- FROM e
      /* FROM f */ FROM g`;
    const words = tokens(sql).filter(({ kind }) => kind === 'word');
    assert.deepEqual(
      words.map(({ value }) => value),
      ['SELECT', 'FROM', 'g'],
    );
    assert.deepEqual(namedTables(sql), [{ catalog: '', schema: '', name: 'g' }]);
    const nested = `/* /* */ FROM a */ SELECT e'\\' FROM b' AS ";" FROM c`;
    assert.deepEqual(namedTables(nested), [{ catalog: '', schema: '', name: 'c' }]);
    assert.equal(parseStatement(nested).kind, 'query', 'a name may be a semicolon');
    assert.equal(tokens("'never ended").length > 0, true);
    assert.equal(tokens('$$never ended').length, 1);
  });

  test('the query in a statement', () => {
    const parts = (sql: string): string[] => {
      const { kind, prefix, query, suffix } = parseStatement(sql);
      assert.equal(prefix + query + suffix, sql.replace(/;\s*$/, ''));
      return [kind, query];
    };
    assert.deepEqual(parts('SELECT 1;'), ['query', 'SELECT 1']);
    assert.deepEqual(parts('CREATE TABLE a.b AS FROM c'), ['write', 'FROM c']);
    assert.deepEqual(parts('CREATE OR REPLACE TEMP TABLE t(x, y) AS (SELECT 1)'), [
      'write',
      '(SELECT 1)',
    ]);
    assert.deepEqual(parts('INSERT INTO t (a, "select") SELECT 1 ON CONFLICT DO NOTHING'), [
      'write',
      'SELECT 1 ',
    ]);
    assert.deepEqual(parts('INSERT INTO t DEFAULT VALUES'), ['write', '']);
    assert.deepEqual(parts('COPY (SELECT (1)) TO (x)'), ['other', 'SELECT (1)']);
    assert.deepEqual(parts('EXPLAIN ANALYZE SELECT 1'), ['explain', 'SELECT 1']);
    assert.deepEqual(parts('EXPLAIN (ANALYZE, FORMAT JSON) (SELECT (2))'), [
      'explain',
      '(SELECT (2))',
    ]);
    assert.deepEqual(parts('EXPLAIN (SELECT 3)'), ['explain', '(SELECT 3)']);
    assert.deepEqual(parts('UPDATE t SET a = 1'), ['write', '']);
    assert.deepEqual(parseStatement('INSERT INTO "a b".c.d VALUES (1)').target, {
      catalog: 'a b',
      schema: 'c',
      name: 'd',
    });
    assert.deepEqual(parseStatement('DROP TABLE IF EXISTS x').target?.name, 'x');
    for (const sql of ['', '  ;', 'SELECT 1; SELECT 2', '-- nothing']) {
      assert.throws(() => parseStatement(sql), { code: 'INVALID_ARGUMENT' }, sql);
    }
  });

  test('parameters are put in outside of texts', () => {
    const texts = new Map([
      ['1', 'ONE'],
      ['2', 'TWO'],
      ['name', 'NAMED'],
    ]);
    assert.equal(
      insertParameters("a = ? AND b = '?$1' AND c = ?", texts),
      "a = ONE AND b = '?$1' AND c = TWO",
    );
    assert.equal(insertParameters('$2, $1, $NAME, $$ $1 $$', texts), 'TWO, ONE, NAMED, $$ $1 $$');
    assert.throws(() => insertParameters('$3', texts), { code: 'INVALID_ARGUMENT' });
  });

  test('collations in the text of a table', () => {
    const sql = `CREATE TABLE t("a COLLATE b" VARCHAR, b VARCHAR COLLATE nocase, "c""d" VARCHAR COLLATE
      nocase.noaccent DEFAULT('COLLATE'), e DECIMAL(3, 2), CHECK (b > 'x'));`;
    assert.deepEqual(
      [...collations(sql)],
      [
        ['b', 'nocase'],
        ['c"d', 'nocase.noaccent'],
      ],
    );
  });
});

describe('what the planner knows', () => {
  test('tables are found as DuckDB finds them', () => {
    const row = (database: string, schema: string, name: string, current: boolean) => [
      ...[database, schema, name, 'a', 'INTEGER', 5n, `CREATE TABLE ${name}(a INTEGER)`],
      ...[current, current && schema === 'main'],
    ];
    const rows = [
      row('db', 'main', 't', true),
      row('db', 'sales', 't', true),
      row('lake', 'main', 't', false),
      row('lake', 'main', 'U', false),
    ];
    const catalog = new RemoteCatalog({ names: [], types: [VARCHAR], rows }, 'Cloud');
    const find = (catalogName: string, schema: string, name: string): string | undefined => {
      const table = catalog.find({ catalog: catalogName, schema, name });
      return table && `${table.database}.${table.schema}.${table.name}`;
    };
    assert.equal(find('', '', 'T'), 'db.main.t');
    assert.equal(find('', 'sales', 't'), 'db.sales.t');
    assert.equal(find('', 'lake', 'u'), 'lake.main.U');
    assert.equal(find('', 'cloud', 't'), 'db.main.t');
    assert.equal(find('cloud', 'sales', 't'), 'db.sales.t');
    assert.equal(find('', '', 'u'), undefined);
    assert.equal(find('cloud', 'main', 'u'), undefined);
  });

  test('which types are compared without casts that fail', () => {
    for (const [a, b] of [
      ['INTEGER', 'BIGINT'],
      ['DOUBLE', 'DECIMAL(38,10)'],
      ['DECIMAL(12,2)', 'INTEGER'],
      ['VARCHAR', 'VARCHAR'],
    ]) {
      assert.ok(comparable(a!, b!), `${a} ${b}`);
    }
    for (const [a, b] of [
      ['VARCHAR', 'INTEGER'],
      ['DATE', 'TIMESTAMP'],
      ['DECIMAL(38,30)', 'BIGINT'],
      ['HUGEINT', 'UHUGEINT'],
    ]) {
      assert.ok(!comparable(a!, b!), `${a} ${b}`);
    }
  });

  test('which columns are compared by keys', () => {
    const column = (type: string, collation?: string) => ({
      name: 'k',
      type,
      ...(collation === undefined ? {} : { collation }),
    });
    assert.ok(sameKeys(column('INTEGER'), column('UBIGINT')));
    assert.ok(sameKeys(column('VARCHAR'), column('VARCHAR')));
    assert.ok(!sameKeys(column('VARCHAR', 'nocase'), column('VARCHAR')));
    assert.ok(!sameKeys(column('DOUBLE'), column('DOUBLE')));
    assert.ok(!sameKeys(column('DATE'), column('TIMESTAMP')));
  });

  test('settings are sent when they differ', () => {
    const here = [
      ['TimeZone', 'Europe/Berlin'],
      ['default_null_order', 'NULLS_LAST'],
    ];
    assert.equal(forwardedSettings(here, here), '');
    assert.equal(
      forwardedSettings(here, [['default_null_order', 'NULLS_FIRST']]),
      "SET SESSION TimeZone = 'Europe/Berlin';\nSET SESSION default_null_order = 'NULLS_LAST';\n",
    );
    assert.equal(forwardedSettings([['TimeZone', 'Etc/UTC']], []), '');
    assert.equal(
      forwardedSettings([], [['TimeZone', 'Asia/Tokyo']]),
      "SET SESSION TimeZone = 'UTC';\n",
    );
  });
});
