/**
 * Tables like those of TPC-H, made from row numbers and hash() so that they are the same in every
 * run, without the tpch extension. The h columns do not compress: they give the database its size.
 */

/** Measured: an order with its line items. */
const BYTES_PER_ORDER = 332;
export const LINES_PER_ORDER = 4;

const DAYS = 2400;

function pick(values: readonly string[], seed: number): string {
  const list = values.map((value) => `'${value}'`).join(', ');
  return `[${list}][1 + (hash(k, ${seed}) % ${values.length})::INTEGER]`;
}

const key = (count: number, seed: number): string => `(hash(k, ${seed}) % ${count})::INTEGER`;

function money(max: number, seed: number): string {
  return `((hash(k, ${seed}) % ${max * 100}) / 100.0)::DECIMAL(15,2)`;
}

function date(of: string, seed: number): string {
  return `DATE '1992-01-01' + (hash(${of}, ${seed}) % ${DAYS})::INTEGER`;
}

function hashes(prefix: string, count: number): string {
  const columns = Array.from({ length: count }, (_, i) => `hash(k, ${100 + i}) AS ${prefix}_h${i}`);
  return columns.join(', ');
}

function smallTables(orders: number): string[] {
  return [
    `CREATE TABLE nation AS SELECT k::INTEGER n_nationkey, 'NATION ' || k AS n_name,
      (k % 5)::INTEGER n_regionkey FROM range(25) r(k)`,
    `CREATE TABLE customer AS SELECT k::INTEGER c_custkey, 'Customer ' || k AS c_name,
      ${key(25, 1)} c_nationkey, ${money(10_000, 2)} c_acctbal,
      ${pick(['AUTOMOBILE', 'BUILDING', 'FURNITURE', 'HOUSEHOLD', 'MACHINERY'], 3)} c_mktsegment
      FROM range(${Math.ceil(orders / 10)}) r(k)`,
    `CREATE TABLE supplier AS SELECT k::INTEGER s_suppkey, ${key(25, 1)} s_nationkey
      FROM range(${Math.ceil(orders / 100)}) r(k)`,
    `CREATE TABLE part AS SELECT k::INTEGER p_partkey, 'Brand#' || ${key(25, 1)} AS p_brand,
      ${pick(['PROMO BRUSHED', 'ECONOMY PLATED', 'SMALL TIN', 'LARGE STEEL'], 2)} p_type,
      ${pick(['SM CASE', 'MED BAG', 'LG BOX', 'JUMBO PKG'], 3)} p_container, ${key(50, 4)} p_size
      FROM range(${Math.ceil(orders / 5)}) r(k)`,
  ];
}

/** The statements for a database of about so many bytes; a CHECKPOINT at the end. */
export function createTables(bytes: number): string[] {
  const orders = Math.ceil(bytes / BYTES_PER_ORDER);
  return [
    ...smallTables(orders),
    `CREATE TABLE orders AS SELECT k AS o_orderkey, ${key(Math.ceil(orders / 10), 1)} o_custkey,
      ${pick(['O', 'F', 'P'], 2)} o_orderstatus, ${money(500_000, 3)} o_totalprice,
      ${date('k', 4)} o_orderdate,
      ${pick(['1-URGENT', '2-HIGH', '3-MEDIUM', '4-LOW'], 5)} o_orderpriority, ${hashes('o', 4)}
      FROM range(${orders}) r(k)`,
    `CREATE TABLE lineitem AS SELECT k // ${LINES_PER_ORDER} AS l_orderkey,
      ${key(Math.ceil(orders / 5), 1)} l_partkey, ${key(Math.ceil(orders / 100), 2)} l_suppkey,
      (k % ${LINES_PER_ORDER})::INTEGER l_linenumber,
      (1 + hash(k, 3) % 50)::DECIMAL(15,2) l_quantity, ${money(100_000, 4)} l_extendedprice,
      ((hash(k, 5) % 11) / 100.0)::DECIMAL(15,2) l_discount,
      ((hash(k, 6) % 9) / 100.0)::DECIMAL(15,2) l_tax,
      ${pick(['A', 'N', 'R'], 7)} l_returnflag, ${pick(['O', 'F'], 8)} l_linestatus,
      ${date(`k // ${LINES_PER_ORDER}`, 4)} + (hash(k, 9) % 120)::INTEGER l_shipdate,
      ${date(`k // ${LINES_PER_ORDER}`, 4)} + (hash(k, 10) % 90)::INTEGER l_commitdate,
      ${pick(['AIR', 'MAIL', 'SHIP', 'RAIL', 'TRUCK'], 11)} l_shipmode,
      ${pick(['DELIVER IN PERSON', 'COLLECT COD', 'NONE'], 12)} || ' ' || ${key(1000, 13)}
        AS l_comment,
      ${hashes('l', 6)}
      FROM range(${orders * LINES_PER_ORDER}) r(k)`,
    'CHECKPOINT',
  ];
}

export const TABLES = ['nation', 'customer', 'supplier', 'part', 'orders', 'lineitem'] as const;

const xors = (prefix: string, count: number): string =>
  Array.from({ length: count }, (_, i) => `bit_xor(${prefix}_h${i})`).join(', ');

/** Reads every column; sums, since DuckDB answers min and max from its statistics. */
export const SCAN_ORDERS = `SELECT sum(o_orderkey), sum(o_custkey), sum(strlen(o_orderstatus)),
  sum(o_totalprice), sum(o_orderdate - DATE '1990-01-01'), sum(strlen(o_orderpriority)),
  ${xors('o', 4)} FROM orders`;

export const SCAN_LINEITEM = `SELECT sum(l_orderkey), sum(l_partkey), sum(l_suppkey),
  sum(l_linenumber), sum(l_quantity), sum(l_extendedprice), sum(l_discount), sum(l_tax),
  sum(strlen(l_returnflag)), sum(strlen(l_linestatus)), sum(l_shipdate - DATE '1990-01-01'),
  sum(l_commitdate - DATE '1990-01-01'), sum(strlen(l_shipmode)), sum(strlen(l_comment)),
  ${xors('l', 6)} FROM lineitem`;

export const SCAN_COLUMNS = 'SELECT sum(l_quantity), bit_xor(l_h1), bit_xor(l_h5) FROM lineitem';
