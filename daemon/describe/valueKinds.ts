/** What stands where a value is expected: what shells offer there. */
import { ACKS, LOG_LEVELS } from '../settings.js';
import type { CommandModel, OptionModel, PositionalModel } from './commandModel.js';

/**
 * `databases`: names; `databases@`: also `NAME@REF`; `references`: snapshots of the database that
 * the line names; `dropped`: removed databases; `mounts`: where openduck-fuse is mounted;
 * `words:a,b`: one of these; `nothing`: whatever the user thinks of.
 */
export type ValueKind =
  | 'databases'
  | 'databases@'
  | 'references'
  | 'dropped'
  | 'mounts'
  | 'file'
  | 'directory'
  | 'nothing'
  | `words:${string}`;

const words = (list: readonly string[]): ValueKind => `words:${list.join(',')}`;

/** By `COMMAND NAME`, else by the name alone. */
export const POSITIONAL_KINDS: Readonly<Record<string, ValueKind>> = {
  db: 'databases',
  'clone db': 'databases@',
  'export db': 'databases@',
  'undrop db': 'dropped',
  ref: 'references',
  a: 'references',
  b: 'references',
  file: 'file',
  mountpoint: 'directory',
  'unmount mountpoint': 'mounts',
};

export const OPTION_KINDS: Readonly<Record<string, ValueKind>> = {
  'data-dir': 'directory',
  'work-dir': 'directory',
  config: 'file',
  'metadata-file': 'file',
  's3-ca': 'file',
  tokens: 'file',
  'tls-ca': 'file',
  'tls-cert': 'file',
  'tls-key': 'file',
  'tls-client-ca': 'file',
  'init-sql': 'file',
  'gateway-ca': 'file',
  'worker-ca': 'file',
  'worker-cert': 'file',
  'worker-key': 'file',
  output: 'file',
  local: 'file',
  backup: 'directory',
  'bench json': 'file',
  'bench html': 'file',
  at: 'references',
  database: 'databases',
  ack: words(ACKS),
  'log-level': words(LOG_LEVELS),
};

function kindIn(
  table: Readonly<Record<string, ValueKind>>,
  command: CommandModel | undefined,
  { name, choices }: OptionModel | PositionalModel,
): ValueKind {
  if (choices.length > 0) return words(choices);
  const own = command === undefined ? undefined : table[`${command.words.join(' ')} ${name}`];
  return own ?? table[name] ?? 'nothing';
}

export const positionalKind = (command: CommandModel, positional: PositionalModel): ValueKind =>
  kindIn(POSITIONAL_KINDS, command, positional);

export const optionKind = (command: CommandModel | undefined, option: OptionModel): ValueKind =>
  kindIn(OPTION_KINDS, command, option);
