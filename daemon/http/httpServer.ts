/** The daemon's HTTP server: who may come in, how many, for how long; and its end. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { endpointText, type HostPort, hostAndPort } from '../../exec/protocol/endpoint.js';
import type { ServerTls } from '../../exec/security/tls.js';
import { OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';

const MOST_CONNECTIONS = 2048;
/** With so many, those that wait for nothing make room. */
const MANY_CONNECTIONS = 1792;
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;
const KEEP_ALIVE_MS = 75_000;
/** A client that takes nothing of its answer for so long is gone. */
const STALLED_MS = 60_000;
const CHECK_MS = 2000;
const HEADER_BYTES = 16_384;
const STOP_GRACE_MS = 2000;

export type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export interface HttpServer {
  /** `http://HOST:PORT`, with the real port. */
  readonly endpoint: string;
  readonly connections: number;
  /** Lets answers end for a moment, then cuts them off; none is being made afterwards. */
  stop(): Promise<void>;
}

const OPTIONS: ServerOptions = {
  headersTimeout: HEADERS_MS,
  requestTimeout: REQUEST_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  connectionsCheckingInterval: CHECK_MS,
  maxHeaderSize: HEADER_BYTES,
  noDelay: true,
};

function create(tls: ServerTls | undefined, listener: RequestListener): Server {
  if (tls === undefined) return createServer(OPTIONS, listener);
  const { certificate, key, clientCa } = tls;
  return createTlsServer(
    {
      ...OPTIONS,
      cert: certificate.text,
      key: key.text,
      ...(clientCa !== undefined && { ca: clientCa.text, requestCert: true }),
      handshakeTimeout: HEADERS_MS,
    },
    listener,
  );
}

function listen(server: Server, where: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const isTaken = cause.code === 'EADDRINUSE';
      const what = `cannot listen for HTTP on ${hostAndPort(where)}`;
      const hint = isTaken ? 'Another program uses the port: choose another with --http=PORT.' : '';
      const details = { cause, ...(isTaken && { hint }) };
      reject(new OpenduckError(isTaken ? 'BUSY' : 'IO', what, details));
    });
    server.listen({ ...where, backlog: 1024 }, resolve);
  });
}

/** Throws BUSY (the port is taken), IO. `answer` never throws. */
export async function startHttpServer(
  where: { readonly listen: HostPort; readonly tls: ServerTls | undefined },
  answer: Answer,
  clock: Clock,
): Promise<HttpServer> {
  const running = new Set<Promise<void>>();
  const server = create(where.tls, (request, response) => {
    const done = answer(request, response).finally(() => running.delete(done));
    running.add(done);
  });
  server.maxConnections = MOST_CONNECTIONS;
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => {}); // it is closed; there is nobody to tell
    if (sockets.size > MANY_CONNECTIONS) server.closeIdleConnections();
  });
  server.on('dropRequest', (_request, socket: Socket) => socket.destroy());
  server.timeout = STALLED_MS;
  await listen(server, where.listen);
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: endpointText({ host: where.listen.host, port, secure: where.tls !== undefined }),
    get connections() {
      return sockets.size;
    },
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const cancel = clock.after(STOP_GRACE_MS, () => {
        for (const socket of sockets) socket.destroy();
      });
      await closed;
      cancel();
      await Promise.all(running);
    },
  };
}
