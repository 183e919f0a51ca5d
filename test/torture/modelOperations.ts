/**
 * What the model test does to a mounted file system: operations as plain data, each meaningful by
 * itself, so that any subsequence of a failing sequence can be tried again.
 */

/** File modes of open(2), as in O_… */
export const OpenFlag = {
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  TRUNC: 0o1000,
  APPEND: 0o2000,
} as const;

export const LockType = { READ: 0, WRITE: 1, UNLOCK: 2 } as const;

/** One name of the mounted directory. */
export interface Name {
  /** Index of the database's name. */
  readonly database: number;
  /** `.duckdb`, `.duckdb.wal`, … */
  readonly suffix: string;
  /** Number of a snapshot operation: the name is that of `NAME@REF`. */
  readonly ref?: number;
}

/** Bytes are a pattern made from `tag`. */
export interface Payload {
  readonly tag: number;
  readonly length: number;
}

/** Slots are the descriptors of a client; an operation on an empty one is skipped. */
export type Action =
  | {
      readonly op: 'open';
      readonly slot: number;
      readonly name: Name;
      readonly flags: number;
      readonly mode: number;
    }
  | { readonly op: 'read'; readonly slot: number; readonly length: number; readonly at?: number }
  | ({ readonly op: 'write'; readonly slot: number; readonly at?: number } & Payload)
  | { readonly op: 'ftruncate'; readonly slot: number; readonly size: number }
  | { readonly op: 'fsync' | 'close' | 'fstat'; readonly slot: number }
  | { readonly op: 'lock' | 'getlk'; readonly slot: number; readonly type: number }
  | { readonly op: 'truncate'; readonly name: Name; readonly size: number }
  | { readonly op: 'rename'; readonly name: Name; readonly to: Name }
  | { readonly op: 'unlink' | 'stat'; readonly name: Name }
  | { readonly op: 'chmod'; readonly name: Name; readonly mode: number }
  | { readonly op: 'utimes'; readonly name: Name; readonly seconds: number }
  | { readonly op: 'readdir' }
  /** SIGKILL; a new process takes the client's place. */
  | { readonly op: 'die' }
  /** By the control socket, not by a client. */
  | { readonly op: 'snapshot'; readonly database: number; readonly ref: number };

export interface Operation {
  readonly client: number;
  readonly action: Action;
}

/** How the names of a case are written. */
export class Names {
  readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  database(index: number): string {
    return `${this.prefix}${'abc'[index]}`;
  }

  label = (ref: number): string => `s${ref}`;

  file({ database, suffix, ref }: Name): string {
    return this.database(database) + (ref === undefined ? '' : `@${this.label(ref)}`) + suffix;
  }
}

const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [OpenFlag.CREAT, 'O_CREAT'],
  [OpenFlag.EXCL, 'O_EXCL'],
  [OpenFlag.TRUNC, 'O_TRUNC'],
  [OpenFlag.APPEND, 'O_APPEND'],
];

function flagsText(flags: number): string {
  const access = ['O_RDONLY', 'O_WRONLY', 'O_RDWR'][flags & 3]!;
  const others = FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
  return [access, ...others].join('|');
}

const LOCK_NAMES = ['F_RDLCK', 'F_WRLCK', 'F_UNLCK'];

function actionText(action: Action, names: Names): string {
  switch (action.op) {
    case 'open': {
      const { slot, name, flags, mode } = action;
      return `fd${slot} = open(${names.file(name)}, ${flagsText(flags)}, 0${mode.toString(8)})`;
    }
    case 'read':
      return `read(fd${action.slot}, ${action.length}, at ${action.at ?? 'position'})`;
    case 'write': {
      const { slot, length, tag, at } = action;
      return `write(fd${slot}, ${length} bytes #${tag}, at ${at ?? 'position'})`;
    }
    case 'ftruncate':
      return `ftruncate(fd${action.slot}, ${action.size})`;
    case 'lock':
    case 'getlk':
      return `${action.op}(fd${action.slot}, ${LOCK_NAMES[action.type]})`;
    case 'fsync':
    case 'close':
    case 'fstat':
      return `${action.op}(fd${action.slot})`;
    case 'truncate':
      return `truncate(${names.file(action.name)}, ${action.size})`;
    case 'rename':
      return `rename(${names.file(action.name)}, ${names.file(action.to)})`;
    case 'chmod':
      return `chmod(${names.file(action.name)}, 0${action.mode.toString(8)})`;
    case 'utimes':
      return `utimes(${names.file(action.name)}, ${action.seconds})`;
    case 'unlink':
    case 'stat':
      return `${action.op}(${names.file(action.name)})`;
    case 'snapshot':
      return `snapshot ${names.database(action.database)} --name ${names.label(action.ref)}`;
    default:
      return action.op;
  }
}

export function operationText({ client, action }: Operation, names: Names): string {
  const who = action.op === 'snapshot' ? 'command' : `client ${client}`;
  return `${who}: ${actionText(action, names)}`;
}

/** The bytes of a payload: 61 of them over and over, so that no page begins like another. */
export function payload({ tag, length }: Payload): Buffer {
  const pattern = Buffer.alloc(61);
  let state = (tag * 0x9e3779b9) >>> 0;
  for (let i = 0; i < pattern.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    pattern[i] = (state >>> 24) | 1; // never zero: holes are told apart
  }
  return Buffer.alloc(length, pattern);
}
