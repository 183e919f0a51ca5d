/** What the status page can change: commands of the engine, for tokens that may write. */
import { EVERY_DATABASE } from '../../../exec/security/access.js';
import type { Access } from '../../../exec/server/service.js';
import type { EngineCommands } from '../../../fs/engineCommands.js';
import { bytesOf, type CollectReport, MIN_AGE_MS, snapshotsGone } from '../../../fs/gc/report.js';
import { OpenduckError } from '../../../proto/errors.js';
import type { RequestBody } from './requestBody.js';

/** A writer that has just ended needs a moment. */
const RESTORE_WAIT_MS = 1000;

export interface ActionContext {
  /** With audit lines for the bearer of the token. */
  readonly commands: EngineCommands;
  readonly access: Access;
  readonly body: RequestBody;
  readonly undropWithinMs: number;
}

type Action = (context: ActionContext) => Promise<unknown>;

function requireRead({ access }: ActionContext, database: string): string {
  if (access.mayRead(database)) return database;
  throw new OpenduckError('NOT_PERMITTED', `this token may not read ${database}`, { database });
}

function requireWrite({ access }: ActionContext, database: string): string {
  if (access.mayWrite(database)) return database;
  const what =
    database === EVERY_DATABASE
      ? 'this token may not change all databases'
      : `this token may not change ${database}`;
  throw new OpenduckError('NOT_PERMITTED', what, {
    hint: 'A token with write = […] of that database may.',
  });
}

/** Sums of the report; the names of objects are nobody's business here. */
function collected(report: CollectReport) {
  const { dryRun, databases, unused, orphans, deleted, held } = report;
  const sum = (objects: CollectReport['unused']) => ({
    count: objects.length,
    bytes: bytesOf(objects),
  });
  return {
    dryRun,
    snapshots: snapshotsGone(report),
    databases: databases.map(({ name, dropped, snapshots }) => ({
      name,
      dropped,
      snapshots: snapshots.length,
    })),
    unused: sum(unused),
    orphans: sum(orphans),
    deleted: sum(deleted),
    held,
  };
}

/** By the last part of their path. Each throws NOT_PERMITTED, INVALID_ARGUMENT, and as commands. */
export const ACTIONS: ReadonlyMap<string, Action> = new Map<string, Action>([
  [
    'snapshot',
    async (context) => {
      const database = requireWrite(context, context.body.text('database'));
      const name = context.body.optionalText('name');
      return { snapshot: await context.commands.takeSnapshot(database, name) };
    },
  ],
  [
    'name',
    async (context) => {
      const { body, commands } = context;
      const database = requireWrite(context, body.text('database'));
      const [snapshot, name] = [body.text('snapshot'), body.optionalText('name')];
      return { snapshot: await commands.nameSnapshot(database, snapshot, name) };
    },
  ],
  [
    'clone',
    async (context) => {
      const { body, commands } = context;
      const database = requireRead(context, body.text('database'));
      const name = requireWrite(context, body.text('name'));
      const clone = await commands.clone(database, body.optionalText('snapshot'), name);
      return { database: { name: clone.name } };
    },
  ],
  [
    'restore',
    async (context) => {
      const { body, commands } = context;
      const database = requireWrite(context, body.text('database'));
      const snapshot = body.text('snapshot');
      return { snapshot: await commands.restore(database, snapshot, RESTORE_WAIT_MS) };
    },
  ],
  [
    'gc',
    async (context) => {
      const { body, commands, undropWithinMs } = context;
      const database = body.optionalText('database');
      requireWrite(context, database ?? EVERY_DATABASE);
      const dryRun = body.flag('dryRun');
      const options = { database, dryRun, undropWithinMs, minAgeMs: MIN_AGE_MS };
      return collected(await commands.collect(options));
    },
  ],
]);
