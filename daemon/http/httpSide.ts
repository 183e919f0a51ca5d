/** The HTTP side of a mount: what it serves, to whom, and how it starts and ends. */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Authorize, bearerToken, EVERY_DATABASE } from '../../exec/security/access.js';
import { isLoopback } from '../../exec/security/exposure.js';
import type { Access } from '../../exec/server/service.js';
import type { Engine } from '../../fs/engine.js';
import { describeError, errorCode, OpenduckError } from '../../proto/errors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import {
  type AccessConfig,
  accessConfig,
  authorizeOf,
  isGuarded,
} from '../execution/accessConfig.js';
import type { WorkerState } from '../execution/mountedWorker.js';
import type { ServerSettings } from '../execution/serverSettings.js';
import type { RecentProblems } from '../recentProblems.js';
import { type Exchange, sendError, sendText, statusOf } from './answers.js';
import { DatabaseFiles } from './databaseFiles.js';
import { isDatabasePath } from './databasePath.js';
import { CONTENT_TYPE } from './exposition.js';
import { type HttpServer, startHttpServer } from './httpServer.js';
import { type HttpState, HttpStats } from './httpStats.js';
import { MetricsSource } from './metricsSource.js';
import type { Connection, Reader } from './movingNames.js';
import { isPageAction, isPageApi } from './page/paths.js';
import { StatusPage } from './page/statusPage.js';
import { Slots } from './slots.js';

export interface HttpPorts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Why the daemon cannot do its work, or undefined when it can. */
  readonly health: () => Promise<string | undefined>;
  readonly worker: () => WorkerState | undefined;
  readonly problems: RecentProblems;
  readonly mountpoint: string;
  readonly undropWithinMs: number;
}

const METHODS = new Set(['GET', 'HEAD']);
/** Each has up to 768 KiB in memory. */
const MOST_ANSWERS = 128;
const MOST_WAITING = 4096;
const LONGEST_WAIT_MS = 20_000;

export class HttpSide {
  readonly #isGuarded: boolean;
  readonly #authorize: Authorize;
  readonly #ports: HttpPorts;
  readonly #slots: Slots;
  readonly #files: DatabaseFiles;
  readonly #stats = new HttpStats();
  readonly #metrics: MetricsSource;
  readonly #page: StatusPage;
  #server: HttpServer | undefined;

  private constructor(access: AccessConfig, ports: HttpPorts, page: StatusPage) {
    this.#isGuarded = isGuarded(access);
    this.#page = page;
    this.#authorize = authorizeOf(access);
    this.#ports = ports;
    this.#slots = new Slots(ports.clock, {
      running: MOST_ANSWERS,
      waiting: MOST_WAITING,
      waitMs: LONGEST_WAIT_MS,
    });
    this.#files = new DatabaseFiles({ ...ports, slots: this.#slots, stats: this.#stats });
    this.#metrics = new MetricsSource({ ...ports, http: () => this.#state() });
  }

  /** undefined when the settings ask for none. Throws USAGE, BUSY, IO. */
  static async start(
    settings: Pick<ServerSettings, 'access' | 'http'>,
    ports: HttpPorts,
  ): Promise<HttpSide | undefined> {
    const { listen } = settings.http;
    if (listen === undefined) return undefined;
    const access = await accessConfig(settings.access, listen.host);
    const page = await StatusPage.start({ ...ports, isGuarded: isGuarded(access) });
    const side = new HttpSide(access, ports, page);
    const answer = (request: IncomingMessage, response: ServerResponse) =>
      side.#answer({ request, response });
    try {
      side.#server = await startHttpServer({ listen, tls: access.tls }, answer, ports.clock);
    } catch (error) {
      page.close();
      throw error;
    }
    ports.logger.info({ endpoint: side.endpoint }, 'databases are served over HTTP');
    return side;
  }

  get endpoint(): string {
    return this.#server?.endpoint ?? '';
  }

  #state(): HttpState {
    return {
      stats: this.#stats,
      connections: this.#server?.connections ?? 0,
      sending: this.#slots.running,
      waiting: this.#slots.waiting,
      openSnapshots: this.#files.open.size,
    };
  }

  async stop(): Promise<void> {
    this.#page.close();
    await this.#server?.stop();
    this.#files.close();
  }

  async #answer(exchange: Exchange): Promise<void> {
    const { request, response } = exchange;
    response.once('close', () => this.#stats.answered(response.statusCode));
    try {
      await this.#route(exchange);
    } catch (error) {
      const code = errorCode(error);
      const fields = { code, error: describeError(error), url: request.url?.split('?')[0] };
      const level = statusOf(code) === 500 ? 'error' : 'debug';
      this.#ports.logger[level](fields, 'an HTTP request failed');
      sendError(exchange, error);
    }
  }

  async #route(exchange: Exchange): Promise<void> {
    const { request } = exchange;
    const url = request.url ?? '/';
    const at = url.indexOf('?');
    const [path, query] = at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)];
    if (!METHODS.has(request.method ?? '') && !(request.method === 'POST' && isPageAction(path))) {
      throw new OpenduckError('UNSUPPORTED', 'this server is for reading: GET and HEAD');
    }
    this.#requireOwnHost(request);
    if (path === '/healthz') return this.#sendHealth(exchange);
    if (this.#page.files.has(path)) return this.#page.files.send(exchange, path);
    const access = this.#accessOf(request);
    if (isDatabasePath(path)) {
      return this.#files.answer(exchange, { path, query }, access, readerOf(request));
    }
    if (path === '/metrics') return this.#sendMetrics(exchange, access);
    if (isPageApi(path)) return this.#page.answer(exchange, { path, query }, access);
    throw new OpenduckError('NOT_FOUND', 'there is nothing here', {
      hint: 'There are /, /db/NAME.duckdb, /metrics and /healthz.',
    });
  }

  /**
   * Without tokens, whoever reaches the port may read. A web page that a browser on this machine
   * shows can reach it under a name of its own, but only under such a name.
   */
  #requireOwnHost({ headers }: IncomingMessage): void {
    if (this.#isGuarded) return;
    const host = (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
    if (headers.host === undefined || isLoopback(host)) return;
    throw new OpenduckError('NOT_PERMITTED', 'without a token, only localhost is served');
  }

  /** Throws UNAUTHENTICATED. */
  #accessOf({ headers }: IncomingMessage): Access {
    const token = bearerToken(headers.authorization ?? '');
    const access = this.#authorize(token);
    if (access !== undefined) return access;
    const what = token === '' ? 'a token is needed' : 'the token is not valid';
    throw new OpenduckError('UNAUTHENTICATED', what, {
      hint: 'Authorization: Bearer TOKEN; in DuckDB: CREATE SECRET (TYPE http, BEARER_TOKEN …).',
    });
  }

  /** They name all databases. Throws NOT_PERMITTED, IO. */
  async #sendMetrics(exchange: Exchange, access: Access): Promise<void> {
    if (!access.mayRead(EVERY_DATABASE)) {
      throw new OpenduckError('NOT_PERMITTED', 'metrics are for tokens that may read everything', {
        hint: 'A token with read = ["*"] may.',
      });
    }
    sendText(exchange, 200, await this.#metrics.text(), { 'Content-Type': CONTENT_TYPE });
  }

  async #sendHealth(exchange: Exchange): Promise<void> {
    const problem = await this.#ports.health();
    if (problem === undefined) sendText(exchange, 200, 'ok\n');
    else sendText(exchange, 503, `${problem}\n`);
  }
}

/** A proxy mixes clients in one connection. */
const noConnection = (): Connection => ({ once: () => {} });

/** A client: an address with its token and its program. */
function readerOf(request: IncomingMessage): Omit<Reader, 'isSession'> {
  const { headers, socket } = request;
  const via = [headers.forwarded, headers['x-forwarded-for'], headers.via].join();
  const about = [socket.remoteAddress, via, headers.authorization, headers['user-agent']];
  const client = createHash('sha256').update(about.join('\n')).digest('base64url');
  return { client, connection: via === ',,' ? socket : noConnection() };
}
