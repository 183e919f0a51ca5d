/**
 * The worker's side of openduck.v1: reads run here, on an instance of the version that was newest
 * when they began; what DuckDB refuses there because it writes goes to the writing half.
 */
import { type DuckDBConnection, StatementType } from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import { quoteName } from '../duckdb/sqlText.js';
import {
  interruptible,
  isFatal,
  needsWriter,
  readStatements,
  type Statements,
  streamStatements,
} from '../duckdb/statements.js';
import { VERSION_PREFIX } from '../protocol/metadata.js';
import type { Admission } from '../server/admission.js';
import { Executions } from '../server/executions.js';
import type { Access, ExecutionHandlers, Fragment, FragmentSink } from '../server/service.js';
import type { DatabaseSource } from './databaseSource.js';
import type { InstancePool, PooledInstance, Use } from './instancePool.js';
import { changesSettings, marksInstance, refuseShared, surelyReads } from './statementEffects.js';
import type { WriterLink } from './writerLink.js';

export interface WorkerOptions {
  readonly id: string;
  readonly source: DatabaseSource;
  readonly pool: InstancePool;
  readonly admission: Admission;
  /**
   * undefined: there is no mount, and an instance without a database of its own answers for names
   * that are not known.
   */
  readonly writer: WriterLink | undefined;
  /** Whether statements can change more than the database: files, attached catalogs. */
  readonly externalAccess: boolean;
  readonly clock: Clock;
}

/** What the name in a request is taken for. */
interface Target {
  /** Empty: the instance has no database but those that its init SQL attaches. */
  readonly database: string;
  readonly version: string;
  /** Of those, the one to use. */
  readonly catalog?: string;
}

/** `alone`: the statements change the instance; `writer`: they change the database. Nothing was done. */
type Outcome = 'done' | 'alone' | 'writer';

/** The extension's name for "none given". */
const DEFAULT_NAME = 'default';

/** They do nothing, silently, on a database that is open read-only. */
const MAINTENANCE: ReadonlySet<StatementType> = new Set([
  StatementType.VACUUM,
  StatementType.ANALYZE,
]);
const CHECKPOINT = /^\s*(force\s+)?checkpoint\b/i;

/** They change nothing but the connection. */
const HARMLESS: ReadonlySet<StatementType> = new Set([
  StatementType.SELECT,
  StatementType.EXPLAIN,
  StatementType.PREPARE,
  StatementType.TRANSACTION,
  StatementType.SET,
  StatementType.VARIABLE_SET,
]);

const isMaintenance = ({ kinds }: Statements, sql: string): boolean =>
  kinds.some((kind) => kind !== undefined && MAINTENANCE.has(kind)) ||
  (kinds.length === 1 && CHECKPOINT.test(sql));

const isHarmless = (kind: StatementType | undefined): boolean =>
  kind !== undefined && HARMLESS.has(kind);

export class Worker implements ExecutionHandlers {
  readonly #options: WorkerOptions;
  readonly #executions = new Executions();

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  async execute(fragment: Fragment, sink: FragmentSink): Promise<void> {
    const { executionId, access, signal } = fragment;
    await this.#executions.run(executionId, access, signal, async (combined) => {
      const leave = await this.#options.admission.enter(combined);
      try {
        await this.#execute({ ...fragment, signal: combined }, sink);
      } finally {
        leave();
      }
    });
  }

  async #execute(fragment: Fragment, sink: FragmentSink): Promise<void> {
    const target = await this.#target(fragment);
    const named = { ...fragment, database: target.database };
    requireRead(fragment.access, target.catalog ?? target.database);
    refuseShared(fragment.sql);
    let outcome = await this.#read('shared', named, target, sink);
    if (outcome === 'alone') outcome = await this.#read('alone', named, target, sink);
    if (outcome === 'writer') await this.#write(named, sink);
  }

  /** Throws NOT_FOUND. */
  async #target({ database, snapshot }: Fragment): Promise<Target> {
    const { source, writer } = this.#options;
    const isPinned = snapshot?.startsWith(VERSION_PREFIX) === true;
    const reference = isPinned ? undefined : snapshot;
    if (database !== '') {
      const version = await source.version(database, reference);
      if (version !== undefined) return { database, version };
    }
    const names = await source.names();
    if (writer === undefined) {
      const isNamed = database !== '' && database !== DEFAULT_NAME;
      return { database: '', version: '', ...(isNamed ? { catalog: database } : {}) };
    }
    if (database !== '' && database !== DEFAULT_NAME) throw unknownDatabase(database, names);
    const [only] = names;
    if (only === undefined || names.length > 1) throw unknownDatabase('', names);
    const version = await source.version(only, reference);
    if (version === undefined) throw unknownDatabase(only, []);
    return { database: only, version };
  }

  async #instance(use: Use, fragment: Fragment, target: Target): Promise<PooledInstance> {
    const { pool, id } = this.#options;
    const { snapshot, signal } = fragment;
    if (snapshot?.startsWith(VERSION_PREFIX) !== true) {
      return pool.acquire({ ...target, snapshot }, use, signal);
    }
    const prefix = `${VERSION_PREFIX}${id}:`;
    const number = snapshot.startsWith(prefix) ? Number(snapshot.slice(prefix.length)) : Number.NaN;
    const instance = await pool.again(number, use, signal);
    if (instance !== undefined) return instance;
    throw new OpenduckError('STALE', `the version '${snapshot}' is not held any more`, {
      database: target.database,
      hint: 'Begin anew with the newest version, or name a snapshot.',
    });
  }

  async #read(use: Use, fragment: Fragment, target: Target, sink: FragmentSink): Promise<Outcome> {
    const { clock, id } = this.#options;
    const instance = await this.#instance(use, fragment, target);
    let isBroken = false;
    try {
      const connection = await instance.connect();
      try {
        return await interruptible(connection, fragment.signal, clock, async () => {
          await useCatalog(connection, target.catalog);
          const statements = await readStatements(connection, fragment.sql);
          if (this.#goesToWriter(statements, fragment)) return 'writer';
          const isMarked = marksInstance(statements, fragment.sql);
          if (use === 'shared' && (isMarked || changesSettings(statements))) return 'alone';
          isBroken = isMarked;
          const script = { ...fragment, ...this.#checkOf(fragment, target) };
          const begun = (): void => sink.version(`${VERSION_PREFIX}${id}:${instance.number}`);
          for await (const payload of streamStatements(connection, statements, script, begun)) {
            await sink.batch(payload);
          }
          return 'done';
        });
      } finally {
        connection.closeSync();
      }
    } catch (error) {
      if (needsWriter(error) && this.#mayGoToWriter(fragment)) return 'writer';
      isBroken ||= isFatal(error);
      throw error;
    } finally {
      await instance.release(isBroken);
    }
  }

  /**
   * DuckDB itself keeps the database as it is here, but neither files nor what is attached or in
   * memory.
   */
  #checkOf({ access, sql }: Fragment, { database, catalog = database }: Target) {
    const isGuarded = database !== '' && !this.#options.externalAccess;
    if (isGuarded || access.mayWrite(catalog)) return {};
    const check = (kind: StatementType): void => {
      if (!surelyReads(kind, sql)) throw mayOnlyRead(access, catalog);
    };
    return { check };
  }

  #mayGoToWriter({ database, snapshot }: Fragment): boolean {
    return this.#options.writer !== undefined && database !== '' && snapshot === undefined;
  }

  /**
   * Without trying it here: a second try would repeat what the first one did to files and attached
   * catalogs, and maintenance would be done to nothing.
   */
  #goesToWriter(statements: Statements, fragment: Fragment): boolean {
    if (!this.#mayGoToWriter(fragment)) return false;
    if (!fragment.access.mayWrite(fragment.database)) return false;
    if (isMaintenance(statements, fragment.sql)) return true;
    const { kinds } = statements;
    return this.#options.externalAccess && kinds.length > 1 && !kinds.every(isHarmless);
  }

  async #write(fragment: Fragment, sink: FragmentSink): Promise<void> {
    const { access, database } = fragment;
    if (!access.mayWrite(database)) throw mayOnlyRead(access, database);
    await this.#options.writer!.execute(fragment, sink);
  }

  async cancel(executionId: string, access: Access): Promise<boolean> {
    return this.#executions.cancel(executionId, access);
  }

  /** Workers register with gateways. */
  async register(): Promise<boolean> {
    return false;
  }

  async heartbeat(): Promise<boolean> {
    return false;
  }
}

async function useCatalog(connection: DuckDBConnection, name: string | undefined): Promise<void> {
  if (name === undefined) return;
  try {
    await connection.run(`USE ${quoteName(name)}`);
  } catch (cause) {
    throw new OpenduckError('NOT_FOUND', `there is no database '${name}'`, {
      cause,
      database: name,
      hint: 'Here is what the file of --init-sql attaches.',
    });
  }
}

function mayOnlyRead({ name }: Access, database: string): OpenduckError {
  return new OpenduckError('NOT_PERMITTED', `${name} may only read '${database}'`, { database });
}

function requireRead(access: Access, database: string): void {
  if (access.mayRead(database)) return;
  throw new OpenduckError('NOT_PERMITTED', `${access.name} may not read '${database}'`, {
    database,
  });
}

function unknownDatabase(name: string, names: readonly string[]): OpenduckError {
  const known = names.length === 0 ? 'There is none here.' : `Here are: ${names.join(', ')}.`;
  const message = name === '' ? 'no database was named' : `there is no database '${name}'`;
  return new OpenduckError('NOT_FOUND', message, { database: name, hint: known });
}
