/**
 * Stock DuckDB in a process of its own. One database open at a time; any number one after another.
 * Every request has a time limit; a process that does not answer in time is killed and the error
 * says where in the kernel it hung.
 */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ChildReply, ChildRequest, Row } from './duckdbChild.js';
import { killGroup, startProcess, whereItHangs } from './proc.js';
import { cleanEnvironment, within } from './testRun.js';

export type { Row } from './duckdbChild.js';

const CHILD = fileURLToPath(new URL('./duckdbChild.js', import.meta.url));
const REQUEST_LIMIT_MS = 60_000;

/** An error that DuckDB itself reported; the message is DuckDB's. */
export class DuckdbError extends Error {
  /** What was asked, for the report. */
  readonly request: string;

  constructor(message: string, request: string) {
    super(message);
    this.request = request;
  }
}
/** The process ended before it answered. */
export class ProcessGone extends Error {}
/** The process did not answer in time: a hang. */
export class NoAnswer extends Error {}

export interface OpenOptions {
  readonly readOnly?: boolean;
  readonly config?: Readonly<Record<string, string>>;
  readonly limitMs?: number;
}

interface Pending {
  readonly resolve: (rows: Row[]) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
  readonly request: string;
}

/** A request without its number; written out because Omit does not spread over a union. */
type Body =
  | { readonly op: 'open'; readonly path: string; readonly config: Record<string, string> }
  | { readonly op: 'sql'; readonly sql: string }
  | { readonly op: 'close' };

export interface DuckdbOptions {
  readonly uid?: number;
}

export class DuckdbProcess {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #gone: Promise<void>;
  #isGone = false;
  #nextId = 1;
  #stderr = '';

  constructor(options: DuckdbOptions = {}) {
    this.#child = startProcess(process.execPath, [CHILD], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: cleanEnvironment({ UV_THREADPOOL_SIZE: '8' }),
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    });
    this.#child.stdin!.on('error', () => {});
    this.#child.stderr!.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-4000);
    });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.#receive(line));
    this.#gone = new Promise((resolve) => {
      // 'close', not 'exit': by then every answer that was written has been read.
      this.#child.once('close', (code, signal) => {
        this.#end(new ProcessGone(`DuckDB process ended: ${signal ?? code}. ${this.#stderr}`));
        resolve();
      });
      this.#child.once('error', (error) => {
        this.#end(error);
        resolve();
      });
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new ProcessGone('the DuckDB process did not start');
    return this.#child.pid;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  async open(path: string, options: OpenOptions = {}): Promise<void> {
    const mode: Record<string, string> = options.readOnly ? { access_mode: 'READ_ONLY' } : {};
    const config = { ...mode, ...options.config };
    await this.#request({ op: 'open', path, config }, options.limitMs ?? REQUEST_LIMIT_MS);
  }

  /** Runs one or more statements; the rows of the last one. 64-bit integers arrive as strings. */
  sql(sql: string, limitMs = REQUEST_LIMIT_MS): Promise<Row[]> {
    return this.#request({ op: 'sql', sql }, limitMs);
  }

  /** The first column of the only row. */
  async value(sql: string, limitMs = REQUEST_LIMIT_MS): Promise<unknown> {
    const rows = await this.sql(sql, limitMs);
    const values = Object.values(rows[0] ?? {});
    if (rows.length !== 1 || values.length < 1) {
      throw new Error(`expected one row of: ${sql}; got ${rows.length}`);
    }
    return values[0];
  }

  async number(sql: string, limitMs = REQUEST_LIMIT_MS): Promise<number> {
    return Number(await this.value(sql, limitMs));
  }

  async close(): Promise<void> {
    await this.#request({ op: 'close' }, REQUEST_LIMIT_MS);
  }

  /** Ends the process and waits until it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL', limitMs = 10_000): Promise<void> {
    this.#child.kill(signal);
    await this.waitUntilGone(limitMs);
  }

  async waitUntilGone(limitMs = 10_000): Promise<void> {
    try {
      await within(limitMs, `end of DuckDB process ${this.pid}`, this.#gone);
    } catch (error) {
      throw new NoAnswer(`${(error as Error).message}; ${await whereItHangs(this.pid)}`);
    }
  }

  /** Closes the database if one is open, then ends the process in order. */
  async end(): Promise<void> {
    this.#child.stdin!.end();
    await this.waitUntilGone();
  }

  #request(body: Body, limitMs: number): Promise<Row[]> {
    if (this.#isGone) return Promise.reject(new ProcessGone('the DuckDB process is gone'));
    const id = this.#nextId++;
    const what = `${this.pid}: ${JSON.stringify(body).slice(0, 300)}`;
    const request: ChildRequest = { ...body, id };
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => void this.#giveUp(id, limitMs), limitMs);
      this.#pending.set(id, { resolve, reject, timer, request: what });
      this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    });
  }

  async #giveUp(id: number, limitMs: number): Promise<void> {
    const where = await whereItHangs(this.pid);
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    pending.reject(new NoAnswer(`no answer within ${limitMs} ms to ${pending.request}; ${where}`));
    killGroup(this.#child);
  }

  #receive(line: string): void {
    const reply = JSON.parse(line) as ChildReply;
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return;
    this.#pending.delete(reply.id);
    clearTimeout(pending.timer);
    if (reply.ok) pending.resolve([...reply.rows]);
    else pending.reject(new DuckdbError(reply.error, pending.request));
  }

  #end(error: Error): void {
    this.#isGone = true;
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(error);
    }
    this.#pending.clear();
  }
}
