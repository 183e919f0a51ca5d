/**
 * The socket in front of gRPC. Connections are counted, and those that say nothing, or nothing that
 * a known token stands behind, make room for new ones: they cannot keep others out.
 */
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import type { ConnectionInfo } from '@grpc/grpc-js/build/src/server-interceptors.js';
import { type ErrorCode, OpenduckError } from '../../proto/errors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import { type HostPort, hostAndPort } from '../protocol/endpoint.js';
import type { ServerLimits } from './limits.js';

export type ListenAddress =
  | HostPort
  /** A Unix socket; whoever may open it is trusted with connections. */
  | { readonly path: string };

export interface ConnectionOptions {
  readonly listen: ListenAddress;
  readonly limits: ServerLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Gets every connection. */
  accept(socket: Socket): void;
}

export interface Connections {
  /** With the real port. */
  readonly address: ListenAddress;
  /** How many there are. */
  readonly size: number;
  /** A call on this connection had a valid token: it gives no room to others from now on. */
  trust(peer: ConnectionInfo): void;
  /** Takes no new ones. */
  stop(): void;
  /** Cuts all. */
  close(): Promise<void>;
}

const LISTEN_CODES: Readonly<Record<string, ErrorCode>> = {
  EACCES: 'NOT_PERMITTED',
  EADDRINUSE: 'BUSY',
  EADDRNOTAVAIL: 'USAGE',
  ENOTFOUND: 'USAGE',
};

export function describeAddress(address: ListenAddress): string {
  if ('path' in address) return address.path;
  return hostAndPort(address);
}

function listen(server: NetServer, address: ListenAddress): Promise<ListenAddress> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const code = LISTEN_CODES[cause.code ?? ''] ?? 'IO';
      reject(new OpenduckError(code, `cannot listen on ${describeAddress(address)}`, { cause }));
    });
    const { ...where } = address;
    server.listen(where, () => {
      const bound = server.address();
      const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
      resolve('path' in address ? address : { host: address.host, port });
    });
  });
}

function keyOf(address: string | undefined, port: number | undefined): string {
  return `${address} ${port}`;
}

/** Connections by their peer; those that no token stands behind also in the order they came. */
class Ledger {
  readonly all = new Set<Socket>();
  readonly #strangers = new Map<string, Socket>();

  add(socket: Socket, trusted: boolean): void {
    this.all.add(socket);
    const key = keyOf(socket.remoteAddress, socket.remotePort);
    if (!trusted) this.#strangers.set(key, socket);
    socket.once('close', () => {
      this.all.delete(socket);
      this.#strangers.delete(key);
    });
  }

  trust(peer: ConnectionInfo): void {
    this.#strangers.delete(keyOf(peer.remoteAddress, peer.remotePort));
  }

  /** Whether there was a stranger to cut off; the one that came first. */
  evict(): boolean {
    const [oldest] = this.#strangers;
    if (oldest === undefined) return false;
    const [key, socket] = oldest;
    this.#strangers.delete(key);
    this.all.delete(socket);
    socket.destroy();
    return true;
  }
}

/** Throws BUSY (the address is in use), NOT_PERMITTED, USAGE, IO. */
export async function openConnections(options: ConnectionOptions): Promise<Connections> {
  const { limits, clock, logger } = options;
  const ledger = new Ledger();
  const trusted = 'path' in options.listen;
  let lastComplaint = Number.NEGATIVE_INFINITY;
  const complain = (message: string): void => {
    if (clock.monotonic() - lastComplaint < limits.silentMs) return;
    lastComplaint = clock.monotonic();
    logger.warn({ connections: ledger.all.size }, message);
  };
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {}); // whoever it is, it has gone; 'close' follows
    if (ledger.all.size >= limits.connections) {
      const made = ledger.evict();
      complain(made ? 'too many connections: the oldest unused is cut' : 'too many connections');
      if (!made) return void socket.destroy();
    }
    ledger.add(socket, trusted);
    const cancel = clock.after(limits.silentMs, () => {
      if (socket.bytesRead === 0) socket.destroy();
    });
    socket.once('close', cancel);
    options.accept(socket);
  });
  const address = await listen(server, options.listen);
  server.on('error', (error) => logger.warn({ error: error.message }, 'cannot take connections'));
  const closed = new Promise<void>((resolve) => server.once('close', () => resolve()));
  return {
    address,
    get size() {
      return ledger.all.size;
    },
    trust: (peer) => ledger.trust(peer),
    stop: () => void server.close(),
    close: async () => {
      if (server.listening) server.close();
      for (const socket of ledger.all) socket.destroy();
      await closed;
    },
  };
}
