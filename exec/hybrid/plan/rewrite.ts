/**
 * Rewrites a query so that it reads bridges instead of remote tables: what the remote side can
 * answer alone is cut out, the largest pieces first. Changes the tree.
 */
import { allOf, columnRef, select, selectStar } from '../ast/build.js';
import {
  type Ast,
  type AstValue,
  type BaseTable,
  children,
  cloneAst,
  isBaseTable,
  isJoin,
  isNode,
  isSelect,
  isSubqueryExpression,
  isSubqueryTable,
  type SelectNode,
  type TableRef,
} from '../ast/node.js';
import { cteFor, ctesOf, type Scope, scopeOf } from '../ast/scope.js';
import type { RemoteTable } from '../remoteTable.js';
import { type Closed, close, isClosed } from './closed.js';
import { findConditions, type TableConditions } from './conditions.js';
import { FromClause } from './fromClause.js';
import { formJoinGroups } from './joinGroups.js';
import type { PlannerOptions, Planning } from './planning.js';
import { findSemiJoins, type SemiJoins } from './semiJoins.js';

/** What is known of the tables of one SELECT. */
interface TableFacts {
  readonly conditions: TableConditions;
  readonly semiJoins: SemiJoins;
}

const NO_FACTS: TableFacts = { conditions: new Map(), semiJoins: new Map() };

/** SELECT * FROM a bridge that answers all of the query. */
export async function bridge(planning: Planning, closed: Closed, label: string): Promise<Ast> {
  const { query, columns } = closed;
  const pull = await planning.addPull({ label, columns, query, listed: false, semiJoins: [] });
  return selectStar(pull.name);
}

export class Rewriter {
  readonly #planning: Planning;
  readonly #options: PlannerOptions;

  constructor(planning: Planning, options: PlannerOptions = planning.options) {
    this.#planning = planning;
    this.#options = options;
  }

  /** The query in terms of bridges; it is cut out as a whole when the remote side can answer it. */
  async query(node: Ast, outer: Scope, label: string): Promise<Ast> {
    if (this.#options.subtrees) {
      const closing = await close(this.#planning, node, outer);
      if (isClosed(closing)) return bridge(this.#planning, closing, label);
      if (closing.reason !== undefined) {
        this.#planning.note(`${label} is not pushed whole: ${closing.reason}`);
      }
    }
    return this.parts(node, outer);
  }

  /** As query(), of a query that was found to need both sides. */
  async parts(node: Ast, outer: Scope): Promise<Ast> {
    const scope = scopeOf(node, outer);
    if (isSelect(node)) await this.#select(node, scope);
    else {
      for (const side of ['left', 'right']) {
        const branch = node[side];
        if (isNode(branch)) node[side] = await this.query(branch, scope, 'branch');
      }
      const branches = Array.isArray(node['children']) ? node['children'] : [];
      for (const [i, branch] of branches.entries()) {
        branches[i] = await this.query(branch as Ast, scope, 'branch');
      }
    }
    await this.#expressions(node['modifiers'], scope);
    await this.#ctes(node, scope);
    return node;
  }

  async #select(node: SelectNode, scope: Scope): Promise<void> {
    const { select_list, where_clause, group_expressions, having, qualify } = node;
    const expressions = [select_list, where_clause, group_expressions, having, qualify];
    // Closed subqueries go first: they can no longer hide names from the join groups.
    if (this.#options.subtrees) await this.#closedSubqueries(expressions, scope);
    const facts = await this.#facts(node, scope);
    node.from_table = await this.#from(node.from_table, scope, facts);
    for (const expression of [node.select_list, node.where_clause, ...expressions.slice(2)]) {
      await this.#expressions(expression, scope);
    }
  }

  async #facts(node: SelectNode, scope: Scope): Promise<TableFacts> {
    const { joinGroups, conditions, semiJoins } = this.#options;
    if (!joinGroups && !conditions && !semiJoins) return NO_FACTS;
    const from = await FromClause.of(this.#planning, node, scope);
    if (from === undefined || !from.leaves.some(({ remote }) => remote !== undefined)) {
      return NO_FACTS;
    }
    const facts = {
      conditions: conditions ? await findConditions(this.#planning, from) : new Map(),
      semiJoins: semiJoins ? await findSemiJoins(this.#planning, from) : new Map(),
    };
    if (joinGroups) await formJoinGroups(this.#planning, node, scope, from, facts.semiJoins);
    return facts;
  }

  async #closedSubqueries(value: AstValue, scope: Scope): Promise<void> {
    if (Array.isArray(value)) {
      for (const one of value) await this.#closedSubqueries(one, scope);
    } else if (isNode(value)) {
      if (isSubqueryExpression(value)) {
        await this.#closedSubqueries(value['child'] ?? null, scope);
        const closing = await close(this.#planning, value.subquery.node, scope);
        if (isClosed(closing)) {
          value.subquery.node = await bridge(this.#planning, closing, 'subquery');
        }
      } else for (const child of children(value)) await this.#closedSubqueries(child, scope);
    }
  }

  async #expressions(value: AstValue | undefined, scope: Scope): Promise<void> {
    if (Array.isArray(value)) {
      for (const one of value) await this.#expressions(one, scope);
    } else if (isNode(value)) {
      if (isSubqueryExpression(value)) {
        await this.#expressions(value['child'], scope);
        value.subquery.node = await this.query(value.subquery.node, scope, 'subquery');
      } else for (const child of children(value)) await this.#expressions(child, scope);
    }
  }

  /** Rewritten once, after its users: one that only remote text uses is not needed here. */
  async #ctes(node: Ast, scope: Scope): Promise<void> {
    const all = ctesOf(node);
    if (all.length === 0) return;
    const { used } = this.#planning;
    for (const cte of [...all].reverse()) {
      if (!used.has(cte)) continue;
      const entry = [...scope.values()].find((one) => one.cte === cte)!;
      cte.value.query.node = await this.query(cte.value.query.node, entry.scope, cte.key);
    }
    node['cte_map'] = { map: all.filter((cte) => used.has(cte)) };
  }

  async #from(ref: TableRef, scope: Scope, facts: TableFacts): Promise<TableRef> {
    if (isJoin(ref)) {
      ref.left = await this.#from(ref.left, scope, facts);
      ref.right = await this.#from(ref.right, scope, facts);
      await this.#expressions(ref.condition, scope);
    } else if (isSubqueryTable(ref)) {
      ref.subquery.node = await this.query(ref.subquery.node, scope, ref.alias || 'subquery');
    } else if (isBaseTable(ref)) {
      const entry = cteFor(ref, scope);
      const remote = entry === undefined ? this.#planning.remoteOf(ref) : undefined;
      if (entry?.cte !== undefined) this.#planning.used.add(entry.cte);
      if (remote !== undefined) await this.#pullTable(ref, remote, facts);
    } else if (ref.type === 'PIVOT' && isNode(ref['source'])) {
      ref['source'] = await this.#from(ref['source'] as TableRef, scope, facts);
    } else if (ref.type === 'SHOW_REF' && isNode(ref['query'])) {
      ref['query'] = await this.parts(ref['query'], scope);
    } else await this.#expressions(ref, scope);
    return ref;
  }

  async #pullTable(ref: BaseTable, remote: RemoteTable, facts: TableFacts): Promise<void> {
    const conditions = facts.conditions.get(ref) ?? [];
    const items = remote.columns.map(({ name }) => columnRef(ref.alias, name));
    const where = allOf(conditions.map(cloneAst));
    const table = { ...cloneAst(ref), sample: null, at_clause: null, column_name_alias: [] };
    const pull = await this.#planning.addPull({
      label: `table ${remote.name}`,
      columns: remote.columns,
      query: select(table, items, where),
      listed: true,
      semiJoins: facts.semiJoins.get(ref) ?? [],
    });
    ref.table_name = pull.name;
    ref.at_clause = null;
  }
}
