/** What the page shows at one moment, for one token. Pure. */
import { EVERY_DATABASE } from '../../../exec/security/access.js';
import type { Access } from '../../../exec/server/service.js';
import type { AsideSummary, DatabaseSummary } from '../../../fs/engineCommands.js';
import type { Problem } from '../../recentProblems.js';
import { type Rates, ratesOf, type Sample } from '../../stats/rates.js';
import type { DatabaseDetails } from '../databaseDetails.js';
import { labelled } from '../metrics.js';
import { type LeaseState, leaseOf } from './history.js';

export interface ShownDatabase {
  readonly name: string;
  readonly size: number;
  readonly version: number;
  readonly publishedVersion: number;
  readonly head: string | undefined;
  readonly committedAt: string | undefined;
  readonly depth: number;
  readonly writerPid: number | undefined;
  readonly readers: number;
  readonly segmentBytes: number;
  readonly damage: string | undefined;
  readonly publishLagMs: number;
  readonly epoch: number;
  readonly lease: LeaseState;
  /** Whether this token may change it. */
  readonly mayChange: boolean;
}

export interface PageState {
  /** Databases that the token may read and the search finds; `databases` are the newest of them. */
  readonly found: number;
  readonly databases: readonly ShownDatabase[];
  /** Of all databases together: only for who may read them all. */
  readonly rates: Rates | undefined;
  readonly aside: readonly AsideSummary[];
  readonly problems: readonly Problem[];
}

export interface StateInput {
  readonly before: Sample | undefined;
  readonly after: Sample;
  readonly detailsOf: (name: string) => DatabaseDetails | undefined;
  readonly problems: readonly Problem[];
}

/** Who looks, and at what. */
export interface Viewer {
  readonly access: Access;
  /** A part of the names, in any case; empty: all. */
  readonly search: string;
  /** Whether anybody may change anything: there are tokens. */
  readonly isGuarded: boolean;
}

export const seesAll = ({ mayRead }: Access): boolean => mayRead(EVERY_DATABASE);

export const mayChange = ({ access, isGuarded }: Viewer, database: string): boolean =>
  isGuarded && access.mayWrite(database);

export function stateFor(viewer: Viewer, input: StateInput): PageState {
  const { access, search } = viewer;
  const { before, after, detailsOf, problems } = input;
  const { databases, aside } = after.status;
  const wanted = search.toLowerCase();
  const found = databases.filter(
    ({ name }) => access.mayRead(name) && name.toLowerCase().includes(wanted),
  );
  const isForViewer = (database: string | undefined): boolean =>
    database === undefined ? seesAll(access) : access.mayRead(database);
  return {
    found: found.length,
    databases: labelled(found)
      .flatMap((database) => shown(viewer, database, detailsOf(database.name)))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    rates: before !== undefined && seesAll(access) ? ratesOf(before, after) : undefined,
    aside: aside.filter(({ database }) => isForViewer(database)),
    problems: problems.filter(({ database }) => isForViewer(database)),
  };
}

function shown(
  viewer: Viewer,
  database: DatabaseSummary,
  details: DatabaseDetails | undefined,
): ShownDatabase[] {
  if (details === undefined) return []; // dropped meanwhile
  const { id: _id, files: _files, writer, ...plain } = database;
  const { publishLagMs, epoch } = details;
  return [
    {
      ...plain,
      writerPid: writer?.pid,
      publishLagMs,
      epoch,
      lease: leaseOf(details),
      mayChange: mayChange(viewer, database.name),
    },
  ];
}
