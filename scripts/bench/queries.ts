/** Ten queries in the manner of TPC-H (the number is that of its model) over tables.ts. */

const REVENUE = 'sum(l_extendedprice * (1 - l_discount))';

export const QUERIES: Readonly<Record<string, string>> = {
  q1: `SELECT l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice), ${REVENUE},
      avg(l_quantity), avg(l_discount), count(*) FROM lineitem
    WHERE l_shipdate <= DATE '1998-06-01' GROUP BY ALL ORDER BY ALL`,
  q3: `SELECT l_orderkey, ${REVENUE} AS revenue, o_orderdate
    FROM customer JOIN orders ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey
    WHERE c_mktsegment = 'BUILDING' AND o_orderdate < DATE '1995-03-15'
      AND l_shipdate > DATE '1995-03-15'
    GROUP BY ALL ORDER BY revenue DESC, o_orderdate LIMIT 10`,
  q4: `SELECT o_orderpriority, count(*) FROM orders
    WHERE o_orderdate >= DATE '1993-07-01' AND o_orderdate < DATE '1993-10-01'
      AND EXISTS (SELECT 1 FROM lineitem
        WHERE l_orderkey = o_orderkey AND l_commitdate < l_shipdate)
    GROUP BY ALL ORDER BY ALL`,
  q5: `SELECT n_name, ${REVENUE} AS revenue
    FROM customer JOIN orders ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey
      JOIN supplier ON l_suppkey = s_suppkey JOIN nation ON s_nationkey = n_nationkey
    WHERE n_regionkey = 2 AND o_orderdate >= DATE '1994-01-01'
      AND o_orderdate < DATE '1995-01-01'
    GROUP BY ALL ORDER BY revenue DESC`,
  q6: `SELECT sum(l_extendedprice * l_discount) FROM lineitem
    WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01'
      AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24`,
  q10: `SELECT c_custkey, c_name, ${REVENUE} AS revenue, c_acctbal, n_name
    FROM customer JOIN orders ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey
      JOIN nation ON c_nationkey = n_nationkey
    WHERE o_orderdate >= DATE '1993-10-01' AND o_orderdate < DATE '1994-01-01'
      AND l_returnflag = 'R'
    GROUP BY ALL ORDER BY revenue DESC LIMIT 20`,
  q12: `SELECT l_shipmode, count(*) FILTER (o_orderpriority IN ('1-URGENT', '2-HIGH')), count(*)
    FROM orders JOIN lineitem ON o_orderkey = l_orderkey
    WHERE l_shipmode IN ('MAIL', 'SHIP') AND l_commitdate < l_shipdate
      AND l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01'
    GROUP BY ALL ORDER BY ALL`,
  q14: `SELECT 100 * sum(l_extendedprice) FILTER (p_type LIKE 'PROMO%') / sum(l_extendedprice)
    FROM lineitem JOIN part ON l_partkey = p_partkey
    WHERE l_shipdate >= DATE '1995-09-01' AND l_shipdate < DATE '1995-10-01'`,
  q18: `SELECT c_name, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) AS quantity
    FROM customer JOIN orders ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey
    WHERE o_orderkey IN
      (SELECT l_orderkey FROM lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > 180)
    GROUP BY ALL ORDER BY o_totalprice DESC, o_orderdate LIMIT 100`,
  q19: `SELECT ${REVENUE} FROM lineitem JOIN part ON p_partkey = l_partkey
    WHERE l_shipmode IN ('AIR', 'RAIL') AND (
      (p_brand = 'Brand#12' AND p_container = 'SM CASE' AND l_quantity BETWEEN 1 AND 11)
      OR (p_brand = 'Brand#23' AND p_container = 'MED BAG' AND l_quantity BETWEEN 10 AND 20)
      OR (p_brand = 'Brand#4' AND p_container = 'LG BOX' AND l_quantity BETWEEN 20 AND 30))`,
};
