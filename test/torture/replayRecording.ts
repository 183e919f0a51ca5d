/**
 * A recording: what the file system did to one database on behalf of real DuckDB processes, in the
 * order of call and of completion, with every payload, and between the operations what DuckDB was
 * about to commit (`begin`) and had confirmed (`mark`).
 *
 * In the file: per entry the lengths of JSON and payload (u32 each, little-endian), then both.
 */
import { closeSync, openSync, readFileSync, writevSync } from 'node:fs';
import type { FileAttributes } from '../../layers/layer.js';

export type Operation =
  | { readonly op: 'create'; readonly suffix: string; readonly attributes: FileAttributes }
  | { readonly op: 'write'; readonly file: number; readonly offset: number; payload?: Buffer }
  | { readonly op: 'truncate'; readonly file: number; readonly size: number }
  /** `handles`: open ones of the file that is replaced. */
  | { readonly op: 'rename'; readonly file: number; readonly suffix: string; handles: number }
  | { readonly op: 'unlink'; readonly file: number; readonly handles: number }
  | { readonly op: 'attributes'; readonly file: number; readonly attributes: FileAttributes }
  | { readonly op: 'commit'; readonly file: number }
  | { readonly op: 'commitAll' }
  /** A handle of a file that has no name any more. */
  | { readonly op: 'close'; readonly file: number };

export interface Call {
  readonly kind: 'call';
  readonly n: number;
  readonly operation: Operation;
}

export type Entry =
  | Call
  /** `file`: what a create made. */
  | { readonly kind: 'done'; readonly n: number; file?: number; failed?: string }
  | { readonly kind: 'begin' | 'mark'; readonly seq: number };

export interface Recording {
  readonly path: string;
  readonly workload: string;
  readonly entries: readonly Entry[];
}

const NOTHING = Buffer.alloc(0);

export class RecordingWriter {
  readonly #fd: number;
  #n = 0;

  constructor(path: string) {
    this.#fd = openSync(path, 'wx');
  }

  /** Returns the number that `done` wants. The payload may change afterwards. */
  call(operation: Operation, payload: Buffer = NOTHING): number {
    this.#n++;
    this.#append({ kind: 'call', n: this.#n, operation }, payload);
    return this.#n;
  }

  done(n: number, result: { file?: number; failed?: string } = {}): void {
    this.#append({ kind: 'done', n, ...result });
  }

  note(kind: 'begin' | 'mark', seq: number): void {
    this.#append({ kind, seq });
  }

  #append(entry: Entry, payload: Buffer = NOTHING): void {
    const json = Buffer.from(JSON.stringify(entry));
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32LE(json.length, 0);
    lengths.writeUInt32LE(payload.length, 4);
    const wanted = 8 + json.length + payload.length;
    if (writevSync(this.#fd, [lengths, json, payload]) !== wanted) {
      throw new Error('the recording could not be written');
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Payloads are parts of one buffer, the file. */
export function readRecording(path: string, workload: string): Recording {
  const bytes = readFileSync(path);
  const entries: Entry[] = [];
  for (let at = 0; at < bytes.length; ) {
    const jsonEnd = at + 8 + bytes.readUInt32LE(at);
    const end = jsonEnd + bytes.readUInt32LE(at + 4);
    const entry = JSON.parse(bytes.toString('utf8', at + 8, jsonEnd)) as Entry;
    if (entry.kind === 'call' && entry.operation.op === 'write') {
      entry.operation.payload = bytes.subarray(jsonEnd, end);
    }
    entries.push(entry);
    at = end;
  }
  return { path, workload, entries };
}

export function describeOperation(operation: Operation): string {
  switch (operation.op) {
    case 'create':
      return `create of ${operation.suffix}`;
    case 'write':
      return `write of ${operation.payload?.length} bytes at ${operation.offset} of file ${operation.file}`;
    case 'truncate':
      return `truncate of file ${operation.file} to ${operation.size}`;
    case 'rename':
      return `rename of file ${operation.file} to ${operation.suffix}`;
    case 'commitAll':
      return 'commit of all files';
    default:
      return `${operation.op} of file ${operation.file}`;
  }
}
