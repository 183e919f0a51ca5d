/** Queries over the tables of hybridData.ts, made by chance from a seed. */

/** A whole number below `n`. */
export type Pick = (n: number) => number;

interface Table {
  readonly columns: readonly string[];
  /** Conditions with `$` for the table's alias and `#` for a number by chance. */
  readonly conditions: readonly string[];
}

const TABLES: Readonly<Record<string, Table>> = {
  region: {
    columns: ['r_regionkey', 'r_name'],
    conditions: ['$.r_regionkey < 3', "$.r_name LIKE '%2'", "$.r_name <> 'region 1'"],
  },
  nation: {
    columns: ['n_nationkey', 'n_name', 'n_regionkey'],
    conditions: ['$.n_nationkey = #', '$.n_regionkey IS NOT NULL', '$.n_nationkey BETWEEN 3 AND #'],
  },
  customer: {
    columns: ['c_custkey', 'c_name', 'c_nationkey', 'c_acctbal', 'c_segment'],
    conditions: [
      ...['$.c_acctbal > #.5', '$.c_acctbal IS NULL', "$.c_segment = 'BUILDING'"],
      ...["lower($.c_segment) IN ('auto', 'machinery')", "list_contains($.c_tags, 'x1')"],
      ...['$.c_custkey % 7 = 1', 'coalesce($.c_segment, $.c_name) > $.c_name', '$.c_nationkey < #'],
    ],
  },
  orders: {
    columns: ['o_orderkey', 'o_custkey', 'o_status', 'o_total', 'o_date'],
    conditions: [
      ...["$.o_status = 'F'", "$.o_date >= DATE '1995-01-01'", '$.o_total > # * 40'],
      ...['$.o_info.prio = 2', 'year($.o_date) = 1994', "$.o_date < '1994-09-01'"],
      ...['($.o_custkey IS NULL OR $.o_custkey < #)', "NOT $.o_status IN ('O', 'P')"],
      ...["date_trunc('month', $.o_date) = DATE '1994-05-01'", "$.o_total::VARCHAR LIKE '1%'"],
    ],
  },
  lineitem: {
    columns: ['l_orderkey', 'l_partkey', 'l_suppkey', 'l_num', 'l_qty', 'l_price', 'l_ship'],
    conditions: [
      ...['$.l_qty < #', '$.l_price * $.l_qty > 9000', '$.l_suppkey IS NOT DISTINCT FROM #'],
      ...["$.l_ship >= TIMESTAMP '1995-01-01'", '$.l_num IN (1, 2, 3)', '$.l_partkey = #'],
      ...['CASE WHEN $.l_num > 3 THEN $.l_qty > 10 ELSE $.l_qty < 5 END', '$.l_qty > 4e1'],
    ],
  },
  part: {
    columns: ['p_partkey', 'p_name', 'p_size', 'p_brand'],
    conditions: [
      ...["$.p_brand = 'A'", "$.p_name ILIKE 'green%'", '$.p_size > #', '$.p_weight > 6e1'],
      ...["starts_with($.p_name, 'red')", '$.p_size + 0 < #', "$.p_brand::VARCHAR > 'A'"],
    ],
  },
  supplier: {
    columns: ['s_suppkey', 's_name', 's_nationkey', 's_rating'],
    conditions: [
      '$.s_suppkey < #',
      '$.s_rating IS NULL',
      '$.s_rating >= # / 2',
      '$.s_nationkey > 5',
    ],
  },
  quote: {
    columns: ['q_partkey', 'q_at', 'q_price'],
    conditions: ['$.q_price < #', '$.q_at IS NOT NULL', "$.q_at > '1995-01-01'"],
  },
};

/** Columns that are equal in joins. */
const EDGES: readonly (readonly [string, string, string, string])[] = [
  ['region', 'r_regionkey', 'nation', 'n_regionkey'],
  ['nation', 'n_nationkey', 'customer', 'c_nationkey'],
  ['nation', 'n_nationkey', 'supplier', 's_nationkey'],
  ['customer', 'c_custkey', 'orders', 'o_custkey'],
  ['orders', 'o_orderkey', 'lineitem', 'l_orderkey'],
  ['part', 'p_partkey', 'lineitem', 'l_partkey'],
  ['supplier', 's_suppkey', 'lineitem', 'l_suppkey'],
  ['part', 'p_partkey', 'quote', 'q_partkey'],
  ['supplier', 's_nationkey', 'customer', 'c_nationkey'],
];

/** At most once in a query: several of them would make answers of millions of rows. */
const LARGE = new Set(['customer', 'orders', 'lineitem', 'quote']);

interface Member {
  readonly table: string;
  readonly alias: string;
}

interface From {
  readonly sql: string;
  /** Whose columns can be named outside. */
  readonly members: readonly Member[];
  readonly where: readonly string[];
}

export class Corpus {
  readonly #pick: Pick;

  constructor(pick: Pick) {
    this.#pick = pick;
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#pick(list.length)]!;
  }

  #chance(percent: number): boolean {
    return this.#pick(100) < percent;
  }

  #condition({ table, alias }: Member): string {
    const pattern = this.#one(TABLES[table]!.conditions);
    return pattern.replaceAll('$', alias).replaceAll('#', String(this.#pick(60)));
  }

  #column({ table, alias }: Member): string {
    return `${alias}.${this.#one(TABLES[table]!.columns)}`;
  }

  #neighbours(members: readonly Member[]): { member: Member; on: string }[] {
    const alias = 'next';
    return members.flatMap((known) =>
      EDGES.flatMap(([a, ac, b, bc]) => {
        if (known.table === a) {
          return [{ member: { table: b, alias }, on: `${known.alias}.${ac} = ${alias}.${bc}` }];
        }
        if (known.table === b) {
          return [{ member: { table: a, alias }, on: `${alias}.${ac} = ${known.alias}.${bc}` }];
        }
        return [];
      }),
    );
  }

  #from(most: number): From {
    let members: Member[] = [{ table: this.#one(Object.keys(TABLES)), alias: 't0' }];
    const all = [...members];
    let sql = `${members[0]!.table} t0`;
    const where: string[] = [];
    for (let n = this.#pick(most); n > 0; n--) {
      const next = this.#neighbours(members)
        .filter(
          (one) =>
            !LARGE.has(one.member.table) || !all.some(({ table }) => table === one.member.table),
        )
        .map(({ member, on }) => ({
          member: { ...member, alias: `t${all.length}` },
          on: on.replace('next.', `t${all.length}.`),
        }));
      if (next.length === 0) break;
      const { member, on } = this.#one(next);
      all.push(member);
      // A WHERE above RIGHT or FULL comes too late for a product of tables.
      const outer = where.length > 0 ? ['LEFT JOIN'] : ['RIGHT JOIN', 'FULL JOIN'];
      const kind = this.#one([
        ...['JOIN', 'JOIN', 'JOIN', ',', ',', 'LEFT JOIN', 'LEFT JOIN', ...outer],
        ...['SEMI JOIN', 'ANTI JOIN'],
      ]);
      const source = this.#chance(15) ? this.#derived(member) : `${member.table} ${member.alias}`;
      if (kind === ',') {
        sql = `(${sql} CROSS JOIN ${source})`;
        where.push(on);
      } else {
        const more = this.#chance(30) ? ` AND ${this.#condition(member)}` : '';
        sql = `${sql} ${kind} ${source} ON ${on}${more}`;
      }
      if (kind !== 'SEMI JOIN' && kind !== 'ANTI JOIN') members = [...members, member];
    }
    for (const member of members) if (this.#chance(40)) where.push(this.#condition(member));
    return { sql, members, where };
  }

  #derived({ table, alias }: Member): string {
    const inner = { table, alias: 'd' };
    return `(SELECT * FROM ${table} d WHERE ${this.#condition(inner)}) ${alias}`;
  }

  /** A condition with a query in it, about one of the tables. */
  #subquery(members: readonly Member[]): string {
    const candidates = members.flatMap((outer) =>
      EDGES.flatMap(([a, ac, b, bc]) => {
        if (outer.table === a) return [{ outer, own: ac, table: b, other: bc }];
        return outer.table === b ? [{ outer, own: bc, table: a, other: ac }] : [];
      }),
    );
    const { outer, own, table, other } = this.#one(candidates);
    const inner = { table, alias: 'u' };
    const [key, condition] = [`${outer.alias}.${own}`, this.#condition(inner)];
    const not = this.#chance(30) ? 'NOT ' : '';
    return this.#one([
      `${key} ${not}IN (SELECT u.${other} FROM ${table} u WHERE ${condition} AND u.${other} > 1)`,
      `${not}EXISTS (SELECT 1 FROM ${table} u WHERE u.${other} = ${key} AND ${condition})`,
      `${not}EXISTS (FROM ${table} u WHERE ${condition})`,
      `${key} > (SELECT min(u.${other}) FROM ${table} u WHERE ${condition})`,
      `(SELECT count(*) FROM ${table} u WHERE u.${other} = ${key} AND ${condition}) ${
        this.#chance(50) ? '> 1' : '= 0'
      }`,
      `${key} >= ALL (SELECT u.${other} FROM ${table} u WHERE u.${other} = ${key})`,
    ]);
  }

  #where({ members, where }: From): string {
    const all = [...where];
    if (this.#chance(25)) all.push(this.#subquery(members));
    return all.length === 0 ? '' : ` WHERE ${all.join(' AND ')}`;
  }

  #grouped(from: From): string {
    const keys = [this.#column(this.#one(from.members))];
    if (this.#chance(40)) keys.push(this.#column(this.#one(from.members)));
    const value = this.#column(this.#one(from.members));
    const aggregates = [
      ...['count(*)', `count(${value})`, `count(DISTINCT ${value})`, `min(${value})`],
      ...[`max(${value}) AS m`, `count(*) FILTER (WHERE ${value} IS NOT NULL) AS f`],
    ];
    const items = [...keys, this.#one(aggregates), this.#one(aggregates)].join(', ');
    const list = keys.join(', ');
    const by = this.#one([
      ...[list, list, list, 'ALL', `ROLLUP (${list})`, `GROUPING SETS ((${list}), ())`],
    ]);
    const having = this.#chance(25) ? ' HAVING count(*) > 2' : '';
    return `SELECT ${items} FROM ${from.sql}${this.#where(from)} GROUP BY ${by}${having}`;
  }

  #plain(from: From): string {
    const items = from.members.map((member) => this.#column(member));
    if (this.#chance(30)) {
      items.push(this.#one([`${items[0]} IS NULL`, `coalesce(${items[0]}::VARCHAR, '-')`]));
    }
    if (this.#chance(15)) items.push(`(SELECT max(r_name) FROM region) AS top`);
    const distinct = this.#chance(20) ? 'DISTINCT ' : '';
    const list = this.#chance(12) ? '*' : items.join(', ');
    return `SELECT ${distinct}${list} FROM ${from.sql}${this.#where(from)}`;
  }

  #windowed(from: From): string {
    const [by, order] = [this.#column(from.members[0]!), this.#column(this.#one(from.members))];
    const qualify = this.#chance(50) ? ' QUALIFY r <= 2' : '';
    return `SELECT ${by}, ${order}, rank() OVER (PARTITION BY ${by} ORDER BY ${order}) AS r,
      count(*) OVER (PARTITION BY ${by}) FROM ${from.sql}${this.#where(from)}${qualify}`;
  }

  #select(): string {
    const from = this.#from(4);
    return this.#one([
      ...[() => this.#grouped(from), () => this.#grouped(from), () => this.#plain(from)],
      ...[() => this.#plain(from), () => this.#windowed(from)],
    ])();
  }

  /** One column each, of comparable types. */
  #keys(): string {
    const [a, ac, b, bc] = this.#one(EDGES);
    const [table, column] = this.#chance(50) ? [a, ac] : [b, bc];
    return `SELECT s.${column} AS k FROM ${table} s WHERE ${this.#condition({ table, alias: 's' })}`;
  }

  query(): string {
    const form = this.#pick(20);
    if (form < 9) return this.#select();
    if (form < 12) return `${this.#select()} ORDER BY ALL LIMIT ${this.#pick(30)}`;
    if (form < 14) return `SELECT count(*) FROM (${this.#select()}) q`;
    if (form < 16) {
      const kind = this.#one(['UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT', 'EXCEPT ALL']);
      return `${this.#keys()} ${kind} ${this.#keys()}`;
    }
    if (form === 16) {
      return `WITH w AS (${this.#keys()}) SELECT a.k, count(*) FROM w a JOIN w b ON a.k = b.k GROUP BY a.k`;
    }
    if (form === 17) {
      return `WITH w AS MATERIALIZED (${this.#keys()}), v AS (SELECT k + 1 AS k FROM w)
        SELECT * FROM v WHERE k IN (FROM w) UNION ALL (${this.#keys()})`;
    }
    if (form === 18) {
      const outer = this.#from(2);
      return `SELECT ${this.#column(outer.members[0]!)}, x.n FROM ${outer.sql},
        LATERAL (SELECT count(*) AS n FROM nation v WHERE v.n_nationkey = ${this.#numberOf(outer)})
        x${this.#where(outer)}`;
    }
    return `SELECT * FROM (${this.#keys()}) x FULL JOIN (${this.#keys()}) y USING (k)`;
  }

  #numberOf({ members }: From): string {
    const { table, alias } = members[0]!;
    return `${alias}.${TABLES[table]!.columns[0]}`;
  }
}
