/**
 * The audit trail: one line of the log for everything that makes, removes or replaces a database or
 * a part of its history, and for every change of who may write. Such a line has `audit: true`, and
 * is written whatever the level of the log is.
 */
import type { LogFields, Logger } from './ports.js';

export type AuditAction =
  | 'create'
  | 'rename'
  | 'replace'
  | 'drop'
  | 'undrop'
  | 'clone'
  | 'import'
  | 'recover'
  | 'restore'
  | 'reset'
  | 'snapshot'
  | 'snapshot-name'
  | 'snapshot-rm'
  | 'retention'
  | 'gc'
  | 'lease-taken'
  | 'lease-given-back'
  | 'lease-lost';

/** Who did it. */
export type Actor =
  /** Through the mount. `process` is the name of its executable, as /proc has it. */
  | {
      readonly by: 'process';
      readonly pid: number;
      readonly uid: number;
      readonly process: string;
    }
  /** `pid` and `uid` are what the command said of itself; only the daemon's user can reach it. */
  | { readonly by: 'command'; readonly pid: number | undefined; readonly uid: number | undefined }
  /** Over HTTP. `grant` is the name of the token, which is not the token itself. */
  | { readonly by: 'http'; readonly grant: string; readonly address: string }
  | { readonly by: 'daemon' }
  | { readonly by: 'another host' };

export const DAEMON: Actor = { by: 'daemon' };

/** `by` goes to the field of that name; the pid of the daemon itself is in every line as `pid`. */
function actorFields(actor: Actor): LogFields {
  if (actor.by === 'daemon' || actor.by === 'another host') return { by: actor.by };
  if (actor.by === 'http') return { by: actor.by, grant: actor.grant, address: actor.address };
  const { by, pid, uid } = actor;
  const process = actor.by === 'process' ? actor.process : undefined;
  return { by, callerPid: pid, callerUid: uid, ...(process === undefined ? {} : { process }) };
}

/** `database`: its name, at the time. */
export function auditFields(
  action: AuditAction,
  actor: Actor,
  fields: LogFields & { readonly database?: string },
): LogFields {
  return { audit: true, action, ...actorFields(actor), ...fields };
}

/** Call it when it has happened, not before. */
export function audit(
  logger: Logger,
  action: AuditAction,
  actor: Actor,
  fields: LogFields,
  message: string,
): void {
  logger.info(auditFields(action, actor, fields), message);
}
