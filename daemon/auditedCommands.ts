/** The commands of the engine, with an audit line for each one that has changed something. */
import type { EngineCommands } from '../fs/engineCommands.js';
import { auditCollection } from '../fs/gc/auditCollection.js';
import { type Actor, type AuditAction, audit } from '../proto/audit.js';
import type { LogFields, Logger } from '../proto/ports.js';

type Method = keyof EngineCommands;
type Result<M extends Method> = Awaited<ReturnType<EngineCommands[M]>>;
type Told = readonly [action: AuditAction, fields: LogFields, message: string];
type Tell<M extends Method> = (
  result: Result<M>,
  ...parameters: Parameters<EngineCommands[M]>
) => Told;

/** What is told of a method's success. The others change nothing, or are a part of one of these. */
const TELL: { readonly [M in Method]?: Tell<M> } = {
  takeSnapshot: ({ id }, database, name) => [
    'snapshot',
    { database, snapshot: id, name },
    'a snapshot was taken',
  ],
  nameSnapshot: ({ id }, database, _, name) => [
    'snapshot-name',
    { database, snapshot: id, name },
    name === undefined ? 'a snapshot has no name any more' : 'a snapshot was named',
  ],
  removeSnapshot: ({ id, name }, database) => [
    'snapshot-rm',
    { database, snapshot: id, name },
    'a snapshot was removed',
  ],
  clone: ({ id }, of, when, database) => [
    'clone',
    { database, id, of, when },
    'a database was cloned',
  ],
  restore: ({ id }, database, when) => [
    'restore',
    { database, when, snapshot: id },
    'a database was restored',
  ],
  reset: ({ id }, database) => [
    'reset',
    { database, snapshot: id },
    'a database was reset to where it was cloned from',
  ],
  undrop: ({ id }, of, _, database) => ['undrop', { database, id, of }, 'a drop was taken back'],
  recover: ({ id }, aside, database) => [
    'recover',
    { database, id, aside },
    'a database was made of what was set aside',
  ],
  finishImport: ({ database, id }) => [
    'import',
    { database, snapshot: id },
    'a database was imported',
  ],
  setRetention: ({ database, policy }, _, change) => [
    'retention',
    { database, policy: JSON.stringify(policy) },
    change === undefined ? 'a database has the default retention again' : 'retention was changed',
  ],
};

/** `actor`: who gives these commands. */
export function auditedCommands(
  commands: EngineCommands,
  logger: Logger,
  actor: Actor,
): EngineCommands {
  const run = async (method: Method, parameters: unknown[]): Promise<unknown> => {
    const call = commands[method] as (...parameters: unknown[]) => Promise<unknown>;
    const result = await call.apply(commands, parameters);
    if (method === 'collect') auditCollection(logger, actor, result as Result<'collect'>);
    const tell = TELL[method] as ((...all: unknown[]) => Told) | undefined;
    if (tell !== undefined) {
      const [action, fields, message] = tell(result, ...parameters);
      audit(logger, action, actor, fields, message);
    }
    return result;
  };
  return new Proxy(commands, {
    get: (target, name) =>
      name === 'collect' || name in TELL
        ? (...parameters: unknown[]) => run(name as Method, parameters)
        : bound(target, name),
  });
}

/** Methods of a class need their own object. */
function bound(target: EngineCommands, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name);
  return typeof value === 'function' ? value.bind(target) : value;
}
