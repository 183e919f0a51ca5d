/** Runs operations on a real mount, by processes of their own, and compares every answer. */
import type { ChildProcess } from 'node:child_process';
import { unlink } from 'node:fs/promises';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ControlClient } from '../../daemon/control/client.js';
import { connectDaemon } from '../../daemon/control/connect.js';
import { systemClock } from '../../proto/ports.js';
import { removeTempDir } from '../harness/leakCheck.js';
import { MountFixture } from '../harness/mountFixture.js';
import { killGroup, startProcess, whereItHangs } from '../harness/proc.js';
import { cleanEnvironment, isRoot, within } from '../harness/testRun.js';
import type { Answer, Request } from './modelClient.js';
import { CLIENTS } from './modelGenerator.js';
import { LockType, type Name, type Operation } from './modelOperations.js';
import type { Reference } from './modelReference.js';

const CHILD = fileURLToPath(new URL('./modelClient.js', import.meta.url));
const LIMIT_MS = 20_000;
const BATCH = 64;
/** Pins end after ten seconds, of which the model knows nothing. */
const SLOW_MS = 8_000;

export interface Step {
  readonly operation: Operation;
  readonly expected: Answer;
}

export interface Mismatch {
  readonly step: number;
  readonly expected: Answer;
  readonly actual: Answer;
}

/** The operations that mean something, with what each must answer. */
export function plan(operations: Iterable<Operation>, reference: Reference): Step[] {
  const steps: Step[] = [];
  for (const operation of operations) {
    const expected = reference.apply(operation.client, operation.action);
    if (expected !== undefined) steps.push({ operation, expected });
  }
  return steps;
}

class Client {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #gone: Promise<unknown>;
  #errors = '';

  constructor() {
    this.#child = startProcess(process.execPath, [CHILD], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: cleanEnvironment(),
    });
    this.#child.stdin!.on('error', () => {});
    this.#child.stderr!.on('data', (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString()).slice(-2000);
    });
    this.#lines = createInterface({ input: this.#child.stdout! });
    this.#gone = new Promise((resolve) => this.#child.once('close', resolve));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async ask(requests: readonly Request[]): Promise<Answer[]> {
    const answered = new Promise<string>((resolve, reject) => {
      this.#lines.once('line', resolve);
      this.#gone.then(() => reject(new Error(`a client ended: ${this.#errors}`)));
    });
    this.#child.stdin!.write(`${JSON.stringify(requests)}\n`);
    return JSON.parse(await within(LIMIT_MS, 'a client', answered)) as Answer[];
  }

  async die(): Promise<void> {
    killGroup(this.#child);
    await within(LIMIT_MS, 'the end of a client', this.#gone);
  }
}

/** A mount with its clients. */
export class Driver {
  readonly #mount: MountFixture;
  readonly #clients: Client[] = [];
  #control: ControlClient | undefined;

  private constructor(mount: MountFixture) {
    this.#mount = mount;
    for (let i = 0; i < CLIENTS; i++) this.#clients.push(new Client());
  }

  static async start(): Promise<Driver> {
    const flags = ['--writer-wait', '0s', '--publish-interval', '200ms'];
    const mount = await MountFixture.prepare({ flags, ...(isRoot && { dataDirSize: '1g' }) });
    try {
      await mount.start();
    } catch (error) {
      mount.abandon();
      throw error;
    }
    return new Driver(mount);
  }

  /** The first answer that is not the expected one. Throws when there is none in time. */
  async run(steps: readonly Step[], reference: Reference): Promise<Mismatch | undefined> {
    const start = performance.now();
    for (let from = 0; from < steps.length; ) {
      const until = endOfBatch(steps, from);
      const part = steps.slice(from, until);
      const answers = await this.#perform(part, reference);
      for (const [i, { operation, expected }] of part.entries()) {
        const actual = this.#inTermsOfTheModel(operation, answers[i]!, expected);
        if (JSON.stringify(actual) === JSON.stringify(expected)) continue;
        if (performance.now() - start > SLOW_MS) return undefined;
        return { step: from + i, expected, actual };
      }
      from = until;
    }
    return undefined;
  }

  async #perform(steps: readonly Step[], reference: Reference): Promise<Answer[]> {
    const { client, action } = steps[0]!.operation;
    if (action.op === 'die') {
      await this.#clients[client]!.die();
      this.#clients[client] = new Client();
      return [0];
    }
    if (action.op === 'snapshot') {
      const { names } = reference;
      return [await this.#snapshot(names.database(action.database), names.label(action.ref))];
    }
    const requests = steps.map(({ operation }) => this.#request(operation, reference));
    return this.#clients[client]!.ask(requests);
  }

  async #snapshot(database: string, label: string): Promise<Answer> {
    this.#control ??= await connectDaemon(this.#mount.dataDir, systemClock);
    try {
      await within(LIMIT_MS, 'snapshot', this.#control!.takeSnapshot(database, label));
      return 0;
    } catch (error) {
      return `${error}`;
    }
  }

  #request({ action }: Operation, { names }: Reference): Request {
    const path = (name: Name): string => this.#mount.path(names.file(name));
    switch (action.op) {
      case 'open':
        return ['open', action.slot, path(action.name), action.flags, action.mode];
      case 'read':
        return ['read', action.slot, action.length, action.at ?? null];
      case 'write':
        return ['write', action.slot, action.length, action.tag, action.at ?? null];
      case 'ftruncate':
        return ['ftruncate', action.slot, action.size];
      case 'fsync':
      case 'close':
      case 'fstat':
        return [action.op, action.slot];
      case 'lock':
      case 'getlk':
        return [action.op, action.slot, action.type];
      case 'truncate':
        return ['truncate', path(action.name), action.size];
      case 'rename':
        return ['rename', path(action.name), path(action.to)];
      case 'unlink':
      case 'stat':
        return [action.op, path(action.name)];
      case 'chmod':
        return ['chmod', path(action.name), action.mode];
      case 'utimes':
        return ['utimes', path(action.name), action.seconds];
      default:
        return ['readdir', this.#mount.mountpoint, names.prefix];
    }
  }

  /** Process ids and unspecified times mean nothing to the model. */
  #inTermsOfTheModel({ action }: Operation, answer: Answer, expected: Answer): Answer {
    if (!Array.isArray(answer)) return answer;
    if (action.op === 'stat' && (expected as number[])[2] === -1) return answer.with(2, -1);
    if (action.op !== 'getlk') return answer;
    const [type, pid] = answer as [number, number];
    const holder = this.#clients.findIndex((client) => client.pid === pid);
    return [type, type === LockType.WRITE ? holder : -1];
  }

  /** Nothing is open any more and the names are free. */
  async clear(reference: Reference): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.ask([['closeAll']])));
    const prefix = reference.names.prefix;
    const [names] = await this.#clients[0]!.ask([['readdir', this.#mount.mountpoint, prefix]]);
    for (const name of (names as string[]).sort((a, b) => a.length - b.length)) {
      const gone = unlink(this.#mount.path(name)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error; // with the database, a moment ago
      });
      await within(LIMIT_MS, `unlink ${name}`, gone);
    }
  }

  /** Stops and starts the daemon: everything that was published is there again. */
  async restart(): Promise<void> {
    await this.#hangUp();
    await Promise.all(this.#clients.map((client) => client.ask([['closeAll']])));
    await this.#mount.stop();
    for (let i = 0; i < CLIENTS; i++) {
      await this.#clients[i]!.die(); // its pins are gone with the daemon
      this.#clients[i] = new Client();
    }
    await this.#mount.start();
  }

  async #hangUp(): Promise<void> {
    await this.#control?.close();
    this.#control = undefined;
  }

  /** For a report. */
  async logTail(): Promise<string> {
    const where = this.#mount.isRunning ? await whereItHangs(this.#mount.pid) : 'not running';
    const tail = (await this.#mount.logTail(200)).split('\n');
    const worse = tail.filter((line) => line.includes('"level":"error"')).slice(-5);
    return [`daemon: ${where}`, ...tail.slice(-3), ...worse].join('\n');
  }

  /** In order; throws when the daemon does not end as it should. */
  async stop(): Promise<void> {
    await this.#hangUp();
    for (const client of this.#clients) await client.die();
    await this.#mount.stop();
  }

  /** Whatever state it is in: nothing is left of it. */
  async abandon(): Promise<void> {
    await this.#hangUp().catch(() => {});
    this.#mount.abandon();
    for (const client of this.#clients) await client.die().catch(() => {});
    removeTempDir(this.#mount.dir);
  }
}

/** As many operations of one client as a line takes; some are not a client's. */
function endOfBatch(steps: readonly Step[], from: number): number {
  const alone = ({ operation }: Step): boolean =>
    operation.action.op === 'die' || operation.action.op === 'snapshot';
  const { client } = steps[from]!.operation;
  let end = from + 1;
  if (alone(steps[from]!)) return end;
  for (; end < steps.length && end - from < BATCH; end++) {
    const next = steps[end]!;
    if (next.operation.client !== client || alone(next)) break;
  }
  return end;
}
