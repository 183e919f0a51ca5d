/**
 * Several hosts on one Postgres and one S3 server: each a mount with a data directory of its own,
 * whose connections to both go through proxies of its own and can be cut.
 */
import { type MountFixture, needsRoot } from './mountFixture.js';
import { PASSWORD, type PostgresServer, startPostgres } from './postgres.js';
import { type S3Server, s3ServerMissing, startS3Server } from './s3Server.js';
import type { Scene } from './scene.js';
import { startTcpProxy, type TcpProxy } from './tcpProxy.js';

export interface Host {
  readonly mount: MountFixture;
  readonly postgres: TcpProxy;
  readonly s3: TcpProxy;
}

export interface HostOptions {
  readonly flags?: readonly string[];
}

/** Why a cluster cannot run here, or false. */
export const clusterMissing = async (): Promise<string | false> =>
  needsRoot || (await s3ServerMissing());

export class Cluster {
  readonly #scene: Scene;
  readonly postgres: PostgresServer;
  readonly s3: S3Server;
  /** Of the database with the metadata. */
  readonly url: URL;

  private constructor(scene: Scene, postgres: PostgresServer, s3: S3Server, url: string) {
    this.#scene = scene;
    this.postgres = postgres;
    this.s3 = s3;
    this.url = new URL(url);
  }

  static async start(scene: Scene): Promise<Cluster> {
    const postgres = await startPostgres({ tcp: true });
    scene.afterMounts(() => postgres.dispose());
    const s3 = await startS3Server();
    scene.afterMounts(() => s3.dispose());
    return new Cluster(scene, postgres, s3, await postgres.createDatabase());
  }

  /** A host that is mounted. */
  async host(options: HostOptions = {}): Promise<Host> {
    const host = await this.prepare(options);
    await host.mount.start();
    return host;
  }

  async prepare({ flags = [] }: HostOptions = {}): Promise<Host> {
    const postgres = await this.#proxy(this.postgres.port!);
    const s3 = await this.#proxy(this.s3.port);
    const database = this.url.pathname;
    const login = `postgres:${encodeURIComponent(PASSWORD)}`;
    const mount = await this.#scene.prepareMount({
      flags: [
        ...['--objects', `s3://${this.s3.bucket}/warehouse`],
        ...['--s3-endpoint', `http://127.0.0.1:${s3.port}`],
        ...flags,
      ],
      env: {
        ...this.s3.environment,
        OPENDUCK_METADATA: `postgres://${login}@127.0.0.1:${postgres.port}${database}`,
      },
    });
    return { mount, postgres, s3 };
  }

  async #proxy(port: number): Promise<TcpProxy> {
    const proxy = await startTcpProxy({ host: '127.0.0.1', port });
    this.#scene.afterMounts(() => proxy.dispose());
    return proxy;
  }
}
