/** Small tables like those of TPC-H, with NULLs, nested types and keys of unequal types. */
import type { DuckDBConnection } from '@duckdb/node-api';

/** What CREATE TABLE … AS selects, over i of range(rows); `h(k)` is a number of row and column. */
const TABLES: Readonly<Record<string, readonly [rows: number, items: string]>> = {
  region: [5, `i::INTEGER AS r_regionkey, 'region ' || i AS r_name`],
  nation: [
    25,
    `i::INTEGER AS n_nationkey, 'nation ' || i AS n_name,
     if(i = 24, NULL, i % 5)::INTEGER AS n_regionkey`,
  ],
  customer: [
    300,
    `i::INTEGER AS c_custkey, printf('Customer#%05d', i) AS c_name,
     (h(1) % 25)::INTEGER AS c_nationkey,
     if(h(2) % 11 = 0, NULL, ((h(3) % 200000) - 50000) / 100)::DECIMAL(12,2) AS c_acctbal,
     ['BUILDING', 'MACHINERY', 'auto', NULL][1 + h(4) % 4] AS c_segment,
     [chr((97 + h(5) % 5)::INTEGER), 'x' || (h(6) % 3)] AS c_tags`,
  ],
  orders: [
    1000,
    `i::INTEGER AS o_orderkey, if(h(1) % 20 = 0, NULL, h(2) % 330)::INTEGER AS o_custkey,
     ['O', 'F', 'P'][1 + h(3) % 3] AS o_status, ((h(4) % 500000) / 100)::DECIMAL(12,2) AS o_total,
     DATE '1994-01-01' + (h(5) % 800)::INTEGER AS o_date,
     {'prio': (h(6) % 5)::INTEGER, 'clerk': 'clerk ' || (h(7) % 9)} AS o_info`,
  ],
  lineitem: [
    3000,
    `(h(1) % 1050)::INTEGER AS l_orderkey, (h(2) % 200)::INTEGER AS l_partkey,
     if(h(3) % 30 = 0, NULL, h(4) % 22)::INTEGER AS l_suppkey, (i % 7)::INTEGER AS l_num,
     (h(5) % 50)::INTEGER AS l_qty, ((h(6) % 100000) / 100)::DECIMAL(12,2) AS l_price,
     TIMESTAMP '1994-01-01' + to_hours((h(7) % 20000)::BIGINT) AS l_ship`,
  ],
  part: [
    200,
    `i::INTEGER AS p_partkey, ['green', 'red', 'Blue'][1 + h(1) % 3] || ' part ' || i AS p_name,
     (h(2) % 50)::INTEGER AS p_size,
     ['A', 'B', 'C'][1 + h(3) % 3]::ENUM('A', 'B', 'C') AS p_brand, h(4) % 1000 / 8.0 AS p_weight`,
  ],
  supplier: [
    20,
    `i::BIGINT AS s_suppkey, 'supplier ' || i AS s_name, (h(1) % 25)::INTEGER AS s_nationkey,
     if(h(2) % 4 = 0, NULL, h(3) % 100)::SMALLINT AS s_rating`,
  ],
  quote: [
    400,
    `(h(1) % 200)::INTEGER AS q_partkey, if(h(2) % 15 = 0, NULL,
     TIMESTAMP '1994-01-01' + to_hours((h(3) % 20000)::BIGINT)) AS q_at,
     ((h(4) % 10000) / 100)::DECIMAL(10,2) AS q_price`,
  ],
};

export const TABLE_NAMES: readonly string[] = Object.keys(TABLES);

/** The same rows for the same seed, wherever they are made. */
export async function makeTables(
  connection: DuckDBConnection,
  names: readonly string[],
  seed: number,
): Promise<void> {
  for (const name of names) {
    const [rows, items] = TABLES[name]!;
    const sql = items.replace(
      /\bh\((\d+)\)/g,
      (_, column) => `(hash(i * 8 + ${column} + ${seed} * 1000003) % 1000003)::BIGINT`,
    );
    await connection.run(`CREATE TABLE ${name} AS SELECT ${sql} FROM range(${rows}) t(i)`);
  }
}
