/** A mount with an HTTP side, and requests to it over kept connections. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import type { MountFixture, MountOptions } from './mountFixture.js';
import { succeeded } from './proc.js';
import type { Scene } from './scene.js';
import { sleep } from './testRun.js';

const ANSWER_LIMIT_MS = 30_000;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface HttpRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly agent?: Agent;
  readonly body?: string;
}

/** Throws when the connection ends before the answer does. */
export function send(url: string, options: HttpRequest = {}): Promise<HttpAnswer> {
  const { method = 'GET', headers = {}, agent, body } = options;
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent, timeout: ANSWER_LIMIT_MS }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        const { statusCode = 0 } = answer;
        resolve({ status: statusCode, headers: answer.headers, body: Buffer.concat(chunks) });
      });
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer to ${url}`)));
    sent.on('error', reject);
    sent.end(body);
  });
}

/** What DuckDB 1.4.4 with httpfs was seen to send for an ATTACH; each handle has connections. */
export class HttpfsReader {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #agents: Agent[] = [];

  constructor(base: string, headers: Readonly<Record<string, string>> = {}) {
    this.#base = base;
    this.#headers = { 'user-agent': 'duckdb/v1.4.4(linux_amd64) test', ...headers };
  }

  #handle(): Agent {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    this.#agents.push(agent);
    return agent;
  }

  #ask(agent: Agent, path: string, method: string, range?: string): Promise<HttpAnswer> {
    const headers = { ...this.#headers, ...(range !== undefined && { range }) };
    return send(`${this.#base}${path}`, { method, headers, agent });
  }

  /** The first look at a database; its connection is closed. */
  async look(path: string): Promise<HttpAnswer> {
    const agent = this.#handle();
    const head = await this.#ask(agent, path, 'HEAD');
    if (head.status === 200) await this.#ask(agent, path, 'GET', 'bytes=0-15');
    agent.destroy();
    await sleep(20); // until the server has seen it
    return head;
  }

  /** Opens a file: its size and ETag, and what reads ranges of it. */
  async open(path: string) {
    const agent = this.#handle();
    const head = await this.#ask(agent, path, 'HEAD');
    const size = Number(head.headers['content-length']);
    const etag = head.headers.etag;
    const read = async (start: number, length: number): Promise<Buffer> => {
      const range = `bytes=${start}-${start + length - 1}`;
      const answer = await this.#ask(agent, path, 'GET', range);
      if (answer.status !== 206) throw new Error(`${path}: HTTP ${answer.status} ${answer.body}`);
      if (answer.headers.etag !== etag) throw new Error(`${path}: ETag changed`);
      if (answer.body.length !== length) throw new Error(`${path}: ${answer.body.length} bytes`);
      return answer.body;
    };
    return { head, size, etag, read };
  }

  close(): void {
    for (const agent of this.#agents) agent.destroy();
  }
}

export class HttpMount {
  readonly mount: MountFixture;
  readonly endpoint: string;

  private constructor(mount: MountFixture, endpoint: string) {
    this.mount = mount;
    this.endpoint = endpoint;
  }

  static async start(
    scene: Scene,
    flags: readonly string[] = [],
    options: MountOptions = {},
  ): Promise<HttpMount> {
    const mount = await scene.mount({ ...options, flags: ['--http=127.0.0.1:0', ...flags] });
    return new HttpMount(mount, await HttpMount.endpointOf(mount));
  }

  static async endpointOf(mount: MountFixture): Promise<string> {
    for (let tries = 0; ; tries++) {
      const status = await mount.cli(['status', '--json']);
      const { http } = JSON.parse(succeeded(status)) as { http: string | null };
      if (http !== null) return http;
      if (tries > 50) throw new Error(`no HTTP side: ${await mount.logTail()}`);
      await sleep(100); // it mounts before it listens
    }
  }

  send(path: string, options: HttpRequest = {}): Promise<HttpAnswer> {
    return send(`${this.endpoint}${path}`, options);
  }

  /** Takes a snapshot now; resolves to its id. */
  async snapshot(database: string, ...more: string[]): Promise<string> {
    const taken = await this.mount.cli(['snapshot', database, ...more]);
    return succeeded(taken).trim().split('\n')[0]!;
  }
}
