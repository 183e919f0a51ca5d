/** The kernel's side of a session, played by a test: requests in, answers out, all counted. */
import { FileSystem } from '../../fs/fileSystem.js';
import { noBacking } from '../../fs/session/backing.js';
import type { FuseDevice, RequestHandler } from '../../fs/session/device.js';
import { Session } from '../../fs/session/session.js';
import { ENTRY_OUT, IN_HEADER, OPEN_OUT, OUT_HEADER } from '../../proto/fuse/layout.js';
import { wallTime } from '../../proto/ids.js';
import { type Logger, silentLogger, systemClock } from '../../proto/ports.js';
import { sleep } from '../harness/testRun.js';
import type { FuzzWorld } from './fuzzWorld.js';

export const ENTRY_BODY = OUT_HEADER.SIZE + ENTRY_OUT.SIZE;

export interface DeviceAnswer {
  /** 0, or −errno. */
  readonly error: number;
  readonly body: Buffer;
}

/** As FuseDevice, without a kernel. */
export class FakeDevice {
  readonly problems: string[] = [];
  /** Requests whose buffers were kept and are not given back. */
  kept = 0;
  #handler: RequestHandler = () => false;
  readonly #answers = new Map<string, DeviceAnswer[]>();

  start(handler: RequestHandler): void {
    this.#handler = handler;
  }

  giveBack(): void {
    this.kept--;
  }

  send(message: Buffer, length: number): void {
    const said = message.readUInt32LE(OUT_HEADER.len);
    const error = message.readInt32LE(OUT_HEADER.error);
    const unique = message.readBigUInt64LE(OUT_HEADER.unique).toString();
    const sound =
      said === length &&
      length <= message.length &&
      error <= 0 &&
      error > -4096 &&
      (error === 0 || length === OUT_HEADER.SIZE);
    if (!sound) this.problems.push(`answer ${unique}: ${length} bytes, ${said}, error ${error}`);
    const body = Buffer.from(message.subarray(OUT_HEADER.SIZE, length));
    const answers = this.#answers.get(unique);
    if (answers === undefined) this.#answers.set(unique, [{ error, body }]);
    else answers.push({ error, body });
  }

  /** One request, as the kernel hands it over. False: an exception came out of the session. */
  receive(request: Buffer): void {
    try {
      if (this.#handler(request, request.length)) this.kept++;
    } catch (error) {
      this.problems.push(`an exception escaped: ${(error as Error).stack}`);
    }
  }

  answersTo = (unique: bigint): readonly DeviceAnswer[] =>
    this.#answers.get(unique.toString()) ?? [];

  forget(unique: bigint): void {
    this.#answers.delete(unique.toString());
  }
}

/** A number or text per field. */
type Fields = readonly (readonly [offset: number, value: number | bigint, bytes: 2 | 4 | 8])[];

/** A request's fixed part. */
export function body(size: number, fields: Fields): Buffer {
  const bytes = Buffer.alloc(size);
  for (const [offset, value, width] of fields) {
    if (width === 8) bytes.writeBigUInt64LE(BigInt(value), offset);
    else bytes.writeUIntLE(Number(value), offset, width);
  }
  return bytes;
}

export const named = (...names: string[]): Buffer =>
  Buffer.from(names.map((n) => `${n}\0`).join(''));

/** A file system on an engine, reached through a real Session. */
export class FakeMount {
  readonly device = new FakeDevice();
  readonly fs: FileSystem;
  #unique = 0n;

  constructor({ engine }: Pick<FuzzWorld, 'engine'>, logger: Logger = silentLogger) {
    const root = { mode: 0o755, uid: 0, gid: 0, modified: wallTime(1) };
    this.fs = new FileSystem({
      engine,
      root,
      readOnly: false,
      backing: noBacking,
      forgetPages: async () => {},
      forgetName: async () => {},
      logger,
      clock: systemClock,
    });
    new Session(this.device as unknown as FuseDevice, this.fs).start();
  }

  nextUnique = (): bigint => ++this.#unique;

  request(opcode: number, node: number, unique: bigint, ...parts: readonly Buffer[]): Buffer {
    const header = Buffer.alloc(IN_HEADER.SIZE);
    const request = Buffer.concat([header, ...parts]);
    request.writeUInt32LE(request.length, IN_HEADER.len);
    request.writeUInt32LE(opcode, IN_HEADER.opcode);
    request.writeBigUInt64LE(unique, IN_HEADER.unique);
    request.writeBigUInt64LE(BigInt(node), IN_HEADER.nodeid);
    request.writeUInt32LE(process.pid, IN_HEADER.pid);
    return request;
  }

  /** Sends a request and waits for its answer; throws when none comes. */
  async ask(opcode: number, node: number, ...parts: readonly Buffer[]): Promise<DeviceAnswer> {
    const unique = this.nextUnique();
    this.device.receive(this.request(opcode, node, unique, ...parts));
    const deadline = performance.now() + 30_000;
    for (let turn = 0; performance.now() < deadline; turn++) {
      const [answer] = this.device.answersTo(unique);
      if (answer !== undefined) {
        this.device.forget(unique);
        return answer;
      }
      await (turn < 200 ? new Promise((resolve) => setImmediate(resolve)) : sleep(2));
    }
    throw new Error(`no answer to a request of opcode ${opcode}`);
  }

  close(): Promise<void> {
    return this.fs.close();
  }
}

export const nodeOf = ({ body: entry }: DeviceAnswer): number =>
  Number(entry.readBigUInt64LE(ENTRY_OUT.nodeid));

/** Of an answer to OPEN (`at` 0) or CREATE. */
export const handleOf = ({ body: open }: DeviceAnswer, at: number = 0): number =>
  Number(open.readBigUInt64LE(at + OPEN_OUT.fh));
