/**
 * A network that can be cut: passes TCP connections on to a server, until it is told not to.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export type ProxyTarget = { readonly host: string; readonly port: number } | { path: string };

export interface TcpProxy {
  /** On 127.0.0.1; stays the same. */
  readonly port: number;
  /** Connections that are open now. */
  readonly connections: number;
  /** Drops all connections and refuses new ones. */
  cut(): Promise<void>;
  /** Accepts connections, and passes nothing on, in any: as a network that drops every packet. */
  freeze(): void;
  /** After both. What was frozen goes on. */
  heal(): Promise<void>;
  /** Connections that are open are dead for ever, without a word; new ones work. */
  forget(): void;
  dispose(): Promise<void>;
}

class Pair {
  readonly #client: Socket;
  readonly #target: ProxyTarget;
  readonly #ended: () => void;
  #server: Socket | undefined;
  #isPassing = false;

  constructor(client: Socket, target: ProxyTarget, ended: () => void) {
    this.#client = client;
    this.#target = target;
    this.#ended = ended;
    client.pause();
    this.#closeWith(client);
  }

  #closeWith(socket: Socket): void {
    socket.on('error', () => {});
    socket.on('close', () => this.destroy());
  }

  pass(): void {
    if (this.#isPassing) return; // a second pipe would pass everything on twice
    this.#isPassing = true;
    if (this.#server === undefined) {
      this.#server = connect(this.#target);
      this.#closeWith(this.#server);
    }
    this.#client.pipe(this.#server);
    this.#server.pipe(this.#client);
  }

  freeze(): void {
    this.#isPassing = false;
    this.#client.unpipe();
    this.#client.pause();
    this.#server?.unpipe();
    this.#server?.pause();
  }

  destroy(): void {
    this.#client.destroy();
    this.#server?.destroy();
    this.#ended();
  }
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
}

export async function startTcpProxy(target: ProxyTarget): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  const forgotten = new WeakSet<Pair>();
  let frozen = false;
  const accept = (client: Socket): void => {
    const pair: Pair = new Pair(client, target, () => pairs.delete(pair));
    pairs.add(pair);
    if (!frozen) pair.pass();
  };
  const server = createServer({ pauseOnConnect: true }, accept);
  await listen(server, 0);
  const { port } = server.address() as AddressInfo;
  const cut = async (): Promise<void> => {
    const closed = server.listening ? once(server, 'close') : undefined;
    server.close();
    for (const pair of [...pairs]) pair.destroy();
    await closed;
  };
  return {
    port,
    get connections() {
      return pairs.size;
    },
    cut,
    freeze() {
      frozen = true;
      for (const pair of pairs) pair.freeze();
    },
    async heal() {
      frozen = false;
      for (const pair of pairs) if (!forgotten.has(pair)) pair.pass();
      if (!server.listening) await listen(server, port);
    },
    forget() {
      for (const pair of pairs) {
        forgotten.add(pair);
        pair.freeze();
      }
    },
    dispose: cut,
  };
}
