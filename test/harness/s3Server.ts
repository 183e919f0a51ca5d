/**
 * A real S3 server for a test: versitygw on a temporary directory and a free port of this machine.
 * Its objects are files, so they survive `stop` and `start`. It ends with the test process,
 * whatever way that ends.
 */
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { CreateBucketCommand, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { ensureS3Server, S3_SERVER_PROGRAM } from './installS3Server.js';
import { killGroup, processState, startProcess } from './proc.js';
import { makeTestCertificate, type TestCertificate } from './testCertificate.js';
import { cleanEnvironment, makeTempDir, sleep, within } from './testRun.js';

const START_LIMIT_MS = 20_000;
const START_TRIES = 3;
const REGION = 'us-east-1';

export interface S3Account {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** May do everything. */
const ROOT: S3Account = { accessKeyId: 'test-root', secretAccessKey: 'test-root-secret' };
/** Users that may do nothing until a bucket policy lets them. */
export const WRITER: S3Account = { accessKeyId: 'writer', secretAccessKey: 'writer-secret' };
export const READER: S3Account = { accessKeyId: 'reader', secretAccessKey: 'reader-secret' };

/**
 * Why tests that need the server cannot run here, or false. Throws instead when CI is set: there
 * they have to run.
 */
export async function s3ServerMissing(): Promise<string | false> {
  const missing = await ensureS3Server();
  if (missing === undefined) return false;
  if (process.env['CI'] === 'true') throw new Error(missing);
  return missing;
}

/** What the SDK's default chain needs to find the account and nothing else of this machine. */
export function s3Environment(account: S3Account): Readonly<Record<string, string>> {
  return {
    AWS_ACCESS_KEY_ID: account.accessKeyId,
    AWS_SECRET_ACCESS_KEY: account.secretAccessKey,
    AWS_REGION: REGION,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/nonexistent/config',
    AWS_SHARED_CREDENTIALS_FILE: '/nonexistent/credentials',
  };
}

export interface S3ServerOptions {
  /** Serves https with a certificate of a CA that nobody knows: `caFile`. */
  readonly tls?: boolean;
  readonly bucket?: string;
}

export class S3Server {
  readonly bucket: string;
  readonly accessKeyId = ROOT.accessKeyId;
  readonly secretAccessKey = ROOT.secretAccessKey;
  /** AWS_… variables with which a process may do everything. */
  readonly environment = s3Environment(ROOT);
  readonly #dir: string;
  readonly #certificate: TestCertificate | undefined;
  #port = 0;
  /**
   * Whether metadata is beside the objects instead of in their extended attributes, which not every
   * file system has. Then a kill can leave an ETag without an object, which cannot be stored again.
   */
  #sidecar = false;
  #process: ChildProcess | undefined;

  private constructor(dir: string, bucket: string, certificate: TestCertificate | undefined) {
    this.#dir = dir;
    this.bucket = bucket;
    this.#certificate = certificate;
  }

  /** Starts it and makes the bucket. */
  static async start(options: S3ServerOptions = {}): Promise<S3Server> {
    const missing = await ensureS3Server();
    if (missing !== undefined) throw new Error(missing);
    const dir = await makeTempDir();
    directories.add(dir);
    for (const name of ['objects', 'sidecar', 'accounts']) await mkdir(join(dir, name));
    await writeFile(join(dir, 'accounts', 'users.json'), accounts([WRITER, READER]));
    const certificate = options.tls === true ? await makeTestCertificate(dir) : undefined;
    const server = new S3Server(dir, options.bucket ?? 'openduck-test', certificate);
    servers.add(server);
    await server.#startOnFreePort();
    await server.asRoot((client) =>
      client.send(new CreateBucketCommand({ Bucket: server.bucket })),
    );
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get endpoint(): string {
    return `${this.#certificate === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`;
  }

  /** The CA of a server with TLS. */
  get caFile(): string | undefined {
    return this.#certificate?.caFile;
  }

  /** Whether everything that it stores is whole after a kill. */
  get isKillSafe(): boolean {
    return !this.#sidecar;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** The file that holds an object, for damage and for looking. */
  objectFile(key: string): string {
    return join(this.#dir, 'objects', this.bucket, ...key.split('/'));
  }

  /** Runs a request of the SDK that no part of ours makes. */
  async asRoot<T>(work: (client: S3Client) => Promise<T>): Promise<T> {
    const client = new S3Client({
      endpoint: this.endpoint,
      region: REGION,
      forcePathStyle: true,
      credentials: ROOT,
      ...(this.#certificate === undefined
        ? {}
        : { requestHandler: { httpsAgent: { ca: await readFile(this.#certificate.caFile) } } }),
    });
    try {
      return await work(client);
    } finally {
      client.destroy();
    }
  }

  /** Replaces the policy of the bucket. */
  async setPolicy(policy: string): Promise<void> {
    const command = new PutBucketPolicyCommand({ Bucket: this.bucket, Policy: policy });
    await this.asRoot((client) => client.send(command));
  }

  /** Serves the same objects on the same port again. */
  async start(): Promise<void> {
    if (this.#process !== undefined) throw new Error('the S3 server runs already');
    const { endpoint } = this;
    const log = openSync(join(this.#dir, 'server.log'), 'a');
    const tls = this.#certificate;
    const args = [
      ...['--pdeathsig', 'KILL', S3_SERVER_PROGRAM],
      ...['--port', `127.0.0.1:${this.#port}`, '--region', REGION, '--quiet'],
      ...['--iam-dir', join(this.#dir, 'accounts')],
      ...(tls === undefined ? [] : ['--cert', tls.certificateFile, '--key', tls.keyFile]),
      'posix',
      ...(this.#sidecar ? ['--sidecar', join(this.#dir, 'sidecar')] : []),
      join(this.#dir, 'objects'),
    ];
    const child = startProcess('setpriv', args, {
      stdio: ['ignore', log, log],
      env: cleanEnvironment({
        ROOT_ACCESS_KEY_ID: ROOT.accessKeyId,
        ROOT_SECRET_ACCESS_KEY: ROOT.secretAccessKey,
      }),
    });
    closeSync(log);
    let ended = false;
    child.once('exit', () => {
      ended = true;
      if (this.#process === child) this.#process = undefined;
    });
    this.#process = child;
    const deadline = Date.now() + START_LIMIT_MS;
    while (!(await answers(endpoint))) {
      if (ended) throw new Error(`the S3 server ended:\n${await this.log()}`);
      if (Date.now() > deadline) throw new Error(`no S3 server:\n${await this.log()}`);
      await sleep(20);
    }
  }

  async #startOnFreePort(): Promise<void> {
    for (let tries = 1; ; tries++) {
      this.#port = await freePort();
      try {
        return await this.start();
      } catch (error) {
        if (tries === START_TRIES) throw error;
        await this.stop();
        // Else somebody took the port meanwhile.
        if (/xattr/i.test(await this.log())) this.#sidecar = true;
      }
    }
  }

  /** Connections are refused afterwards. SIGKILL, as an outage would. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    killGroup(child);
    await within(10_000, 'the end of the S3 server', exit);
    this.#process = undefined;
  }

  /** It accepts connections and answers nothing until `thaw`. */
  async freeze(): Promise<void> {
    const pid = this.pid!;
    process.kill(pid, 'SIGSTOP');
    // The signal is on its way to the threads for a moment, and they answer meanwhile.
    while ((await processState(pid)) !== 'T') await sleep(1);
  }

  thaw(): void {
    process.kill(this.pid!, 'SIGCONT');
  }

  /** Ends it and removes what it stored. */
  async dispose(): Promise<void> {
    await this.stop();
    this.abandon();
  }

  /** Synchronous; whatever state it is in. */
  abandon(): void {
    if (this.#process !== undefined) killGroup(this.#process);
    servers.delete(this);
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 3 });
    directories.delete(this.#dir);
  }

  async log(): Promise<string> {
    return readFile(join(this.#dir, 'server.log'), 'utf8').catch(() => '');
  }
}

export function startS3Server(options: S3ServerOptions = {}): Promise<S3Server> {
  return S3Server.start(options);
}

const servers = new Set<S3Server>();
const directories = new Set<string>();

process.once('exit', () => {
  for (const server of servers) server.abandon();
  for (const dir of directories) rmSync(dir, { recursive: true, force: true });
});

function accounts(users: readonly S3Account[]): string {
  const entries = users.map(({ accessKeyId: access, secretAccessKey: secret }, i) => [
    access,
    { access, secret, role: 'user', userID: i, groupID: i, projectID: 0 },
  ]);
  return JSON.stringify({ accessAccounts: Object.fromEntries(entries) });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Whether it answers HTTP at all. */
function answers(endpoint: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = endpoint.startsWith('https:')
      ? httpsRequest(endpoint, { rejectUnauthorized: false, timeout: 1000 })
      : httpRequest(endpoint, { timeout: 1000 });
    request.once('response', (response) => {
      response.resume();
      resolve(true);
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(false));
    request.end();
  });
}
