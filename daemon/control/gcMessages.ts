/** Retention and garbage collection ↔ messages of control.proto. Decoding throws CORRUPT. */
import type { CollectOptions, CollectReport, RetentionSummary } from '../../fs/gc/report.js';
import { POLICY_RULES, type RetentionPolicy } from '../../metadata/retention/policy.js';
import { databaseId, snapshotId } from '../../proto/ids.js';
import { numberOf } from './messages.js';
import type {
  CollectedObjectMessage,
  CollectMessage,
  ControlMethods,
  RetentionPolicyMessage,
} from './protocol.js';

type RetentionMessage = ControlMethods['Retention']['reply'];
type CollectRequest = ControlMethods['Collect']['request'];

/** The rules that are there. */
export function decodeChange(message: RetentionPolicyMessage): Partial<RetentionPolicy> {
  const change: { -readonly [Rule in keyof RetentionPolicy]?: number } = {};
  for (const rule of POLICY_RULES) {
    const value = message[rule];
    if (value !== undefined) change[rule] = numberOf(value, rule);
  }
  return change;
}

export function decodeRetention(message: RetentionMessage): RetentionSummary {
  const policy = decodeChange(message.policy);
  const rules = POLICY_RULES.map((rule) => [rule, policy[rule] ?? 0]);
  return {
    database: message.database,
    policy: Object.fromEntries(rules) as unknown as RetentionPolicy,
    isDefault: message.isDefault,
  };
}

export function decodeOptions(message: CollectRequest): CollectOptions {
  return {
    database: message.database,
    dryRun: message.dryRun,
    undropWithinMs: numberOf(message.undropWithinMs, 'undrop time'),
    minAgeMs: numberOf(message.minAgeMs, 'minimum age'),
  };
}

const decodeObjects = (objects: readonly CollectedObjectMessage[]) =>
  objects.map(({ key, bytes }) => ({ key, bytes: numberOf(bytes, `size of ${key}`) }));

export function decodeReport(message: CollectMessage): CollectReport {
  return {
    dryRun: message.dryRun,
    databases: message.databases.map(({ id, name, dropped, snapshots }) => ({
      id: databaseId(id),
      name,
      dropped,
      snapshots: snapshots.map(snapshotId),
    })),
    unused: decodeObjects(message.unused),
    orphans: decodeObjects(message.orphans),
    deleted: decodeObjects(message.deleted),
    held: numberOf(message.held, 'number of held objects'),
  };
}
