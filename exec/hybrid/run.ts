/** The steps of one statement: planned, loaded, run, and everything dropped. */
import type { DuckDBConnection, DuckDBResult } from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import { type Bridge, loadBridges, planBridges } from './bridges.js';
import { Local } from './local.js';
import { LocalCatalogs } from './localCatalogs.js';
import { parameterTexts } from './parameters.js';
import { type Prepared, type PrepareRequest, prepare, type Request } from './prepare.js';
import { Scratch } from './scratch.js';
import { forwardedSettings, SETTINGS_QUESTION } from './settings.js';
import { insertParameters, namedTables, type Statement } from './statement.js';
import { pullWhole, resolveNames } from './wholeTables.js';

export interface RunRequest extends Request {
  readonly local: DuckDBConnection;
  readonly signal?: AbortSignal;
  /** Of the DuckDB instance, where several statements may run in one at a time. */
  readonly catalogs?: LocalCatalogs;
}

/** What is left to do once the bridges are planned. */
export interface Planned {
  readonly prepared: Pick<Prepared, 'planning' | 'settings'>;
  readonly bridges: Bridge[];
  /** The statement as it runs here. */
  readonly text: string;
}

const NO_PUSHING = { subtrees: false, joinGroups: false, conditions: false, semiJoins: false };

export class HybridRun {
  readonly local: Local;
  readonly scratch: Scratch;
  readonly request: RunRequest;
  readonly #interrupt: () => void;

  constructor(request: RunRequest) {
    this.request = request;
    this.local = new Local(request.local, request.signal);
    this.scratch = new Scratch(this.local, request.catalogs ?? new LocalCatalogs());
    this.#interrupt = () => request.local.interrupt();
    request.signal?.addEventListener('abort', this.#interrupt);
  }

  async dispose(): Promise<void> {
    this.request.signal?.removeEventListener('abort', this.#interrupt);
    await this.scratch.dispose();
  }

  /** undefined when everything the statement needs is here. */
  async plan(
    statement: Statement,
    changes: Pick<PrepareRequest, 'planner' | 'dry'> = {},
  ): Promise<Planned | undefined> {
    const { kind, prefix, query, suffix } = statement;
    const { local, scratch, request } = this;
    const parsed = query === '' ? undefined : await local.serialize(query);
    if (parsed !== undefined && 'queries' in parsed && parsed.queries.length === 1) {
      const own = { ...request, ...changes };
      const prepared = await prepare(query, parsed.queries[0]!, local, scratch, own);
      if (prepared === 'local') return undefined;
      if (prepared !== 'unfaithful') {
        const bridges = await planBridges(prepared.planning, prepared.text);
        return { prepared, bridges, text: prefix + prepared.text + suffix };
      }
    }
    const whole = await this.#planWhole(prefix + query + suffix);
    return kind === 'describe' && whole !== undefined ? { ...whole, bridges: [] } : whole;
  }

  async #planWhole(written: string): Promise<Planned | undefined> {
    const { local, scratch, request } = this;
    const { remote, remoteCatalog, parameters } = request;
    let text = written;
    if (parameters !== undefined) {
      text = insertParameters(text, await parameterTexts(parameters, local));
    }
    const named = await resolveNames(local, namedTables(text), remote, remoteCatalog);
    if (named.remote.size === 0) return undefined;
    const { planning, bridges } = await pullWhole(local, scratch, named.remote);
    planning.note('whole tables are fetched: DuckDB cannot rewrite a statement of this kind');
    return { prepared: { planning, settings: await this.settings() }, bridges, text };
  }

  async settings(): Promise<string> {
    const there = await this.request.remote.rows(SETTINGS_QUESTION, this.local.signal);
    return forwardedSettings(await this.local.rows(SETTINGS_QUESTION), there.rows);
  }

  /** The statement with its bridges loaded. */
  async load(statement: Statement): Promise<Planned | undefined> {
    const planned = await this.plan(statement);
    if (planned === undefined) return undefined;
    try {
      await this.#load(planned);
      return planned;
    } catch (error) {
      if (!isRefused(error) || planned.prepared.planning.ranText) throw error;
      // The other side does not know what this one knows: it gets nothing but plain reads.
      await this.scratch.dispose();
      const plain = await this.plan(statement, {
        planner: { ...this.request.planner, ...NO_PUSHING },
      });
      if (plain === undefined) throw error;
      plain.prepared.planning.note(`nothing is pushed: ${(error as Error).message}`);
      await this.#load(plain);
      return plain;
    }
  }

  async #load({ prepared, bridges }: Planned): Promise<void> {
    await loadBridges(prepared.planning, bridges, this.request.remote, prepared.settings);
  }

  /** Sends the text as it stands; its answer is read from here. */
  async send(text: string): Promise<DuckDBResult> {
    const { local, scratch, request } = this;
    const name = scratch.name('d');
    scratch.expect(name);
    await request.remote.load((await this.settings()) + text, local.connection, name, local.signal);
    return local.stream(`SELECT * FROM temp.${name}`);
  }
}

function isRefused(error: unknown): boolean {
  if (!(error instanceof OpenduckError) || error.code !== 'QUERY') return false;
  return /^(Catalog|Binder|Parser|Not implemented) Error/.test(error.message);
}
