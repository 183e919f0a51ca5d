/** Queries with traps, over the tables of hybridData.ts. Those with ORDER BY order everything. */
export const QUERIES: readonly string[] = [
  // Names: aliases that are columns, common table expressions that are tables, stars.
  `SELECT -o.o_total AS o_total FROM orders o, customer c, nation n WHERE o.o_custkey = c.c_custkey
    AND n.n_nationkey = c.c_nationkey ORDER BY o_total, n_name LIMIT 20`,
  `SELECT c_nationkey AS k, count(*) AS c_nationkey FROM customer JOIN orders ON c_custkey = o_custkey
    JOIN nation ON n_nationkey = c_nationkey GROUP BY k ORDER BY k`,
  `SELECT o_orderkey x, x + 1 AS y FROM orders, nation WHERE o_custkey = n_nationkey`,
  `WITH orders AS (SELECT * FROM nation) SELECT * FROM orders`,
  `WITH nation AS (SELECT * FROM nation WHERE n_nationkey < 5), region AS (FROM nation)
    SELECT * FROM region JOIN customer ON c_nationkey = n_nationkey`,
  `WITH w AS (SELECT c_custkey AS k FROM customer), v AS (WITH w AS (SELECT n_nationkey AS k FROM nation)
    FROM w) SELECT count(*) FROM w, v WHERE w.k = v.k`,
  `WITH w AS (FROM orders) SELECT (SELECT count(*) FROM w), (SELECT max(o_total) FROM w WHERE
    o_custkey = n_nationkey) FROM nation`,
  `SELECT * FROM nation NATURAL JOIN (SELECT r_regionkey AS n_regionkey, r_name FROM region) r`,
  `SELECT * FROM (SELECT c_custkey AS k, c_name FROM customer) a JOIN (SELECT n_nationkey AS k, n_name
    FROM nation) b USING (k)`,
  `SELECT k, a.*, b.k AS bk FROM (SELECT c_custkey AS k FROM customer) a FULL JOIN
    (SELECT s_suppkey AS k, s_name FROM supplier) b USING (k)`,
  `SELECT * EXCLUDE (o_info, o_total) REPLACE (o_status || '!' AS o_status) FROM orders, region
    WHERE r_regionkey = o_custkey % 5`,
  `SELECT * FROM customer JOIN orders ON c_custkey = o_custkey JOIN nation ON n_nationkey = c_nationkey`,
  `SELECT o.*, n_name FROM customer, orders o, nation WHERE c_custkey = o_custkey AND n_nationkey = c_nationkey`,
  `SELECT n.*, c_name FROM nation n JOIN customer ON n_nationkey = c_nationkey`,
  `SELECT COLUMNS('n_.*') FROM nation, region WHERE n_regionkey = r_regionkey`,
  `SELECT min(COLUMNS(*)) FROM (SELECT c_custkey, s_suppkey FROM customer, supplier) q`,
  `SELECT * RENAME (n_name AS land) FROM nation JOIN customer ON c_nationkey = n_nationkey`,
  `SELECT t FROM region t, nation u WHERE t.r_regionkey = u.n_regionkey`,
  `SELECT c FROM customer c JOIN orders ON c_custkey = o_custkey JOIN nation ON n_nationkey = c_nationkey`,
  `SELECT 1, 1, n_name, n_name FROM nation, region`,
  `SELECT a.n_name, b.n_name FROM nation a, nation b WHERE a.n_nationkey = b.n_nationkey + 1`,
  `SELECT l_num, l_num FROM lineitem WHERE l_orderkey IN (SELECT r_regionkey FROM region)`,
  `SELECT "n_name" AS "Name of it", count(*) "N!" FROM nation JOIN customer ON n_nationkey = c_nationkey
    GROUP BY ALL ORDER BY ALL`,
  `SELECT x.k + 1, k FROM (SELECT r_regionkey k FROM region) x WHERE k IN (SELECT n_regionkey FROM nation)`,
  `FROM orders, region SELECT o_orderkey WHERE r_regionkey = o_custkey`,
  `SELECT d.a, d.b FROM (SELECT c_custkey, c_nationkey FROM customer) d(a, b), nation n
    WHERE n.n_nationkey = d.b`,
  `SELECT o.a FROM orders AS o(a, b), nation WHERE n_nationkey = b`,
  // Nested values, functions, types.
  `SELECT o_info.prio, o_info['clerk'], o_info.* FROM orders, nation WHERE o_info.prio = n_nationkey`,
  `SELECT c_tags[1], len(c_tags), list_transform(c_tags, lambda x: x || n_name) FROM customer
    JOIN nation ON c_nationkey = n_nationkey`,
  `SELECT [x || n_name FOR x IN c_tags IF x <> 'a'] FROM customer JOIN orders ON o_custkey = c_custkey
    JOIN nation ON c_nationkey = n_nationkey`,
  `SELECT c_custkey, u FROM customer, unnest(c_tags) t(u), region WHERE r_regionkey = c_custkey`,
  `SELECT c_custkey, unnest(c_tags) AS u, r_name FROM customer, region WHERE r_regionkey = c_custkey % 9`,
  `SELECT n_name, {'a': c_custkey, 'b': [c_acctbal]} AS s FROM nation JOIN customer ON n_nationkey = c_nationkey`,
  `SELECT list(c_name ORDER BY c_custkey DESC), string_agg(c_segment, ',' ORDER BY c_custkey)
    FROM customer JOIN nation ON n_nationkey = c_nationkey GROUP BY n_name`,
  `SELECT p_brand, p_brand::VARCHAR, p_brand = 'A', max(p_brand) OVER () FROM part JOIN lineitem ON
    l_partkey = p_partkey`,
  `SELECT p_partkey FROM part WHERE p_brand = 'B' AND EXISTS (FROM lineitem WHERE l_partkey = p_partkey)`,
  `SELECT sum(l_price * l_qty), avg(l_qty), sum(l_price) / count(*), max(p_weight) * 0.1e0
    FROM lineitem JOIN part ON l_partkey = p_partkey`,
  `SELECT n_name, 0.1e0 + n_nationkey, 1e300, 1.10, 12345678901234567890 FROM nation, region WHERE 3e0 > r_regionkey`,
  `SELECT o_date + INTERVAL 1 MONTH, date_diff('day', o_date, DATE '1996-01-01'), n_name FROM orders, nation
    WHERE o_custkey = n_nationkey AND o_date BETWEEN '1994-02-01' AND '1995-06-30'`,
  `SELECT extract('year' FROM o_date) y, strftime(o_date, '%m/%d') FROM orders WHERE o_custkey IN
    (SELECT s_suppkey FROM supplier)`,
  `SELECT NULL, NULL AS x, r_name FROM region WHERE r_regionkey IN (SELECT n_regionkey FROM nation)`,
  `SELECT coalesce(q.x, r_name) FROM (SELECT NULL AS x, n_regionkey FROM nation) q, region
    WHERE n_regionkey = r_regionkey`,
  `SELECT typeof(q.x), r_name FROM (SELECT NULL AS x, c_custkey FROM customer UNION ALL SELECT NULL, n_nationkey
    FROM nation) q, region WHERE c_custkey = r_regionkey`,
  `SELECT typeof(x) FROM (SELECT NULL AS x, o_custkey FROM orders) q, supplier WHERE s_suppkey = o_custkey`,
  `SELECT typeof(x) FROM (SELECT NULL AS x, r_regionkey FROM region) q, nation WHERE n_nationkey = r_regionkey`,
  `SELECT row(n_nationkey, n_name), (c_custkey, 1) FROM nation, customer WHERE c_nationkey = n_nationkey`,
  `SELECT q.s FROM (SELECT row(c_custkey, c_name) AS s FROM customer) q, region`,
  `SELECT try_cast(c_name AS INTEGER), c_custkey::TINYINT FROM customer, region WHERE c_custkey < 100`,
  `SELECT CASE WHEN c_acctbal > 0 THEN 'in' WHEN c_acctbal IS NULL THEN NULL ELSE 'out' END AS e, count(*)
    FROM customer, region GROUP BY 1`,
  `SELECT c_name FROM customer, nation WHERE c_nationkey = n_nationkey AND c_name COLLATE NOCASE = 'customer#00007'`,
  `SELECT * FROM orders WHERE (o_custkey, o_status) IN (SELECT s_suppkey, 'F' FROM supplier)`,
  `SELECT md5(n_name), c_name FROM nation JOIN customer ON md5(n_name) = md5('nation ' || c_nationkey)`,
  // Outer joins, and what may not go below them.
  `SELECT * FROM nation LEFT JOIN customer ON c_nationkey = n_nationkey AND c_acctbal > 900 WHERE c_custkey IS NULL`,
  `SELECT count(*) FROM nation LEFT JOIN customer ON c_nationkey = n_nationkey WHERE coalesce(c_acctbal, 0) = 0`,
  `SELECT count(*), count(c_custkey) FROM customer RIGHT JOIN nation ON c_nationkey = n_nationkey AND n_regionkey = 1`,
  `SELECT * FROM supplier FULL JOIN customer ON s_suppkey = c_custkey AND c_acctbal > 0 WHERE s_suppkey IS NULL OR c_custkey < 50`,
  `SELECT n_name, r_name, c_name FROM region LEFT JOIN (nation JOIN customer ON c_nationkey = n_nationkey
    AND c_custkey < 40) ON r_regionkey = n_regionkey`,
  `SELECT count(*) FROM lineitem l LEFT JOIN orders o ON l.l_orderkey = o.o_orderkey LEFT JOIN customer c
    ON o.o_custkey = c.c_custkey LEFT JOIN nation n ON n.n_nationkey = c.c_nationkey
    WHERE n.n_name IS NULL`,
  `SELECT s_name FROM supplier ANTI JOIN lineitem ON l_suppkey = s_suppkey AND l_qty > 48`,
  `SELECT s_name FROM supplier SEMI JOIN (lineitem JOIN part ON l_partkey = p_partkey) ON l_suppkey = s_suppkey`,
  `SELECT s_suppkey, l_suppkey FROM supplier JOIN lineitem ON s_suppkey IS NOT DISTINCT FROM l_suppkey WHERE l_num = 3`,
  `SELECT * FROM (nation CROSS JOIN region) LEFT JOIN supplier ON s_nationkey = n_nationkey AND s_suppkey = r_regionkey`,
  `SELECT * FROM region LEFT JOIN (nation CROSS JOIN supplier) ON r_regionkey = n_regionkey AND s_nationkey = n_nationkey`,
  `SELECT * FROM (SELECT c_custkey::TINYINT, lower(c_name)::CHAR FROM customer WHERE c_custkey < 9) q, region`,
  `SELECT r_name, n_name FROM region JOIN nation ON r_regionkey <> n_regionkey AND n_nationkey < 4`,
  // ASOF, LATERAL, positional.
  `SELECT p_partkey, l_ship, q_at, q_price FROM part JOIN lineitem ON p_partkey = l_partkey
    ASOF LEFT JOIN (SELECT DISTINCT ON (q_partkey, q_at) * FROM quote WHERE q_at IS NOT NULL
    ORDER BY q_partkey, q_at, q_price) q ON q.q_partkey = l_partkey AND q.q_at <= l_ship
    WHERE p_size < 9`,
  `SELECT count(*), max(q_at) FROM lineitem ASOF JOIN quote ON q_partkey = l_partkey AND q_at <= l_ship WHERE q_price > 20`,
  `SELECT n_name, x.c FROM nation, LATERAL (SELECT count(*) AS c FROM customer WHERE c_nationkey = n_nationkey) x`,
  `SELECT n_name, x.c_name FROM nation LEFT JOIN LATERAL (SELECT c_name FROM customer WHERE
    c_nationkey = n_nationkey ORDER BY c_custkey LIMIT 2) x ON true`,
  `SELECT c_name, x.t, r_name FROM customer JOIN orders ON c_custkey = o_custkey, LATERAL (SELECT o_total + c_custkey AS t) x,
    region WHERE r_regionkey = c_custkey`,
  `SELECT r_name, i FROM region, range(r_regionkey) t(i), nation WHERE n_nationkey = i`,
  // Subqueries everywhere.
  `SELECT n_name, (SELECT count(*) FROM customer WHERE c_nationkey = n_nationkey AND c_acctbal >
    (SELECT avg(s_rating) FROM supplier)) FROM nation`,
  `SELECT n_name FROM nation n WHERE EXISTS (SELECT 1 FROM customer c WHERE c.c_nationkey = n.n_nationkey AND
    NOT EXISTS (SELECT 1 FROM orders WHERE o_custkey = c.c_custkey))`,
  `SELECT c_name FROM customer WHERE c_custkey NOT IN (SELECT o_custkey FROM orders WHERE o_custkey IS NOT NULL)`,
  `SELECT c_name FROM customer WHERE c_custkey NOT IN (SELECT o_custkey FROM orders)`,
  `SELECT c_custkey FROM customer WHERE c_acctbal > ALL (SELECT s_rating FROM supplier WHERE s_rating IS NOT NULL)`,
  `SELECT c_custkey FROM customer WHERE c_acctbal = ANY (SELECT q_price FROM quote)`,
  `SELECT count(*) FROM orders o JOIN customer c ON o.o_custkey = c.c_custkey AND o.o_total >
    (SELECT avg(q_price) FROM quote) JOIN nation ON n_nationkey = c_nationkey`,
  `SELECT o.o_orderkey FROM orders o JOIN lineitem l ON o.o_orderkey = l.l_orderkey, nation n WHERE n.n_nationkey = o.o_custkey
    AND EXISTS (SELECT 1 FROM lineitem i WHERE i.l_orderkey = o.o_orderkey AND i.l_num <> l.l_num)`,
  `SELECT (SELECT r_name FROM region WHERE r_regionkey = n_regionkey) AS r, count(*) FROM nation JOIN customer
    ON c_nationkey = n_nationkey GROUP BY r HAVING count(*) > (SELECT count(*) FROM supplier)`,
  `SELECT (SELECT max(c_custkey) FROM customer), (SELECT count(*) FROM nation)`,
  `SELECT ARRAY(SELECT r_name FROM region ORDER BY r_regionkey), n_name FROM nation`,
  `SELECT c.c_custkey FROM customer c, orders o, nation WHERE c.c_custkey = o.o_custkey AND n_nationkey = c_nationkey
    AND o.o_total = (SELECT max(o_total) FROM orders WHERE o_custkey = c.c_custkey)`,
  // Aggregates, windows, limits.
  `SELECT n_regionkey, c_segment, count(*), grouping(n_regionkey) FROM nation JOIN customer ON
    c_nationkey = n_nationkey GROUP BY CUBE (n_regionkey, c_segment)`,
  `SELECT count(DISTINCT c_segment) FILTER (WHERE n_regionkey > 1), count(*) FROM nation, customer WHERE c_nationkey = n_nationkey`,
  `SELECT c_custkey, sum(o_total) OVER w, row_number() OVER w FROM customer JOIN orders ON o_custkey = c_custkey
    JOIN nation ON n_nationkey = c_nationkey WINDOW w AS
    (PARTITION BY c_custkey ORDER BY o_orderkey ROWS 2 PRECEDING)`,
  `SELECT n_name, c_name FROM nation JOIN customer ON c_nationkey = n_nationkey QUALIFY row_number() OVER
    (PARTITION BY n_name ORDER BY c_custkey) = 1`,
  `SELECT DISTINCT ON (n_nationkey) n_nationkey, c_custkey FROM nation JOIN customer ON c_nationkey = n_nationkey
    ORDER BY n_nationkey, c_custkey DESC`,
  `SELECT c_custkey, n_name FROM customer JOIN nation ON c_nationkey = n_nationkey ORDER BY c_acctbal DESC NULLS LAST, 1 LIMIT 7 OFFSET 3`,
  `SELECT * FROM (SELECT o_orderkey, o_total FROM orders ORDER BY o_total DESC, o_orderkey LIMIT 10) q JOIN nation ON o_orderkey % 25 = n_nationkey`,
  `SELECT c_custkey FROM customer, region ORDER BY 1, r_name LIMIT (SELECT count(*) FROM region)`,
  `SELECT n_name, sum(c_acctbal) FROM nation, customer WHERE c_nationkey = n_nationkey GROUP BY n_name HAVING sum(c_acctbal) > 5000
    ORDER BY sum(c_acctbal) DESC, n_name`,
  `SELECT quantile_disc(l_qty, 0.5), mode(l_num), histogram(l_num) FROM lineitem, region WHERE r_regionkey = l_num`,
  `SELECT arg_max(c_name, c_custkey), bool_and(c_acctbal > -1000) FROM customer JOIN nation ON n_nationkey = c_nationkey`,
  // Set operations, VALUES, recursion.
  `(SELECT c_custkey AS k FROM customer ORDER BY 1 LIMIT 3) UNION ALL (SELECT n_nationkey FROM nation ORDER BY 1 DESC LIMIT 2)`,
  `SELECT c_nationkey FROM customer INTERSECT (SELECT n_nationkey FROM nation EXCEPT SELECT s_nationkey FROM supplier)`,
  `SELECT c_nationkey, c_name FROM customer UNION BY NAME SELECT n_nationkey, n_name AS c_name FROM nation`,
  `SELECT c_nationkey FROM customer INTERSECT ALL SELECT s_nationkey FROM supplier`,
  `SELECT v.b, n_name FROM (VALUES (1, 'a'), (2, 'b'), (NULL, 'c')) v(a, b) LEFT JOIN nation ON n_nationkey = v.a`,
  `VALUES (1, (SELECT count(*) FROM customer)), (2, (SELECT count(*) FROM nation))`,
  `WITH RECURSIVE r(n) AS (SELECT min(n_nationkey) FROM nation UNION ALL SELECT n + 1 FROM r WHERE n < 6)
    SELECT r.n, c_name FROM r JOIN customer ON c_custkey = r.n`,
  `WITH RECURSIVE r AS (SELECT n_nationkey AS k, 0 AS d FROM nation WHERE n_nationkey = 1 UNION
    SELECT n.n_nationkey, r.d + 1 FROM r JOIN nation n ON n.n_regionkey = r.k % 5 WHERE r.d < 3)
    SELECT k, d, (SELECT count(*) FROM customer WHERE c_nationkey = k) FROM r`,
  `WITH RECURSIVE r AS (SELECT s_suppkey AS k FROM supplier WHERE s_suppkey < 3 UNION ALL SELECT k + 5 FROM r
    WHERE k < (SELECT max(n_nationkey) FROM nation)) SELECT k, count(*) FROM r GROUP BY k`,
  `WITH w AS NOT MATERIALIZED (SELECT * FROM orders WHERE o_status = 'F'), x AS (SELECT o_custkey, count(*) AS c FROM w GROUP BY 1)
    SELECT n_name, x.c FROM x JOIN nation ON n_nationkey = x.o_custkey 
    WHERE x.c > (SELECT avg(c) FROM x)`,
  `WITH a AS (SELECT c_custkey FROM customer WHERE c_custkey < 9), b AS (SELECT * FROM a, nation) SELECT count(*) FROM b, a`,
  `WITH unused AS (SELECT * FROM lineitem) SELECT r_name, c_name FROM region, customer WHERE c_custkey = r_regionkey`,
  // Shapes that DuckDB serializes in ways of their own.
  `FROM (SELECT n_regionkey, c_segment FROM nation JOIN customer ON n_nationkey = c_nationkey)
    PIVOT (count(*) FOR c_segment IN ('auto', 'BUILDING'))`,
  `FROM (SELECT r_regionkey, r_name FROM region) UNPIVOT (v FOR k IN (r_name)) JOIN nation ON n_regionkey = r_regionkey`,
  `PIVOT nation ON n_regionkey USING count(*) GROUP BY n_name`,
  `SELECT * FROM nation POSITIONAL JOIN (SELECT r_name FROM region ORDER BY 1) r`,
  `SELECT * FROM nation NATURAL JOIN (region r(n_regionkey, b) JOIN supplier ON s_suppkey = n_regionkey)`,
  `DESCRIBE SELECT n_name, c_custkey, c_tags FROM nation, customer`,
  `SELECT count(*) FROM nation, customer TABLESAMPLE 100%`,
  // What belongs to the session or changes by itself stays here.
  `SELECT count(*) FROM customer, nation WHERE random() >= 0 AND c_nationkey = n_nationkey`,
  `SELECT n_name, current_database() IS NOT NULL FROM nation, customer WHERE c_custkey = n_nationkey`,
  `SELECT DISTINCT now() > TIMESTAMPTZ '2020-01-01 00:00:00+00' FROM customer, nation`,
  `SELECT typeof(current_date), c_custkey FROM customer WHERE c_custkey IN (SELECT r_regionkey FROM region)`,
  // Nothing of the one or of the other side, or of the tables.
  `SELECT 1 AS one`,
  `SELECT count(*) FROM customer WHERE false`,
  `SELECT n_name FROM nation JOIN customer ON c_nationkey = n_nationkey WHERE 1 = 0`,
  `SELECT n_name FROM nation, customer LIMIT 0`,
  `SELECT count(*) FROM nation, customer, supplier`,
  `SELECT n_name FROM nation WHERE NOT EXISTS (SELECT 1 FROM customer WHERE c_custkey < 0)`,
];
