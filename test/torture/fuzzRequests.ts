/** Damaged FUSE requests, fed through a real Session to a real engine. */
import { mkdir } from 'node:fs/promises';
import { Opcode, opcodeName } from '../../proto/fuse/constants.js';
import * as layout from '../../proto/fuse/layout.js';
import { decodeHeader, newRequestHeader } from '../../proto/fuse/requests/header.js';
import type { Logger } from '../../proto/ports.js';
import { silentLogger } from '../../proto/ports.js';
import type { SeededRandom } from '../harness/seeds.js';
import { sleep } from '../harness/testRun.js';
import { body, FakeMount, handleOf, named, nodeOf } from './fuzzDevice.js';
import {
  commit,
  count,
  damagedBytes,
  type Findings,
  type FuzzWorld,
  openWorld,
  put,
  readWhole,
} from './fuzzWorld.js';

const ROOT = 1;
const O_RDWR = 2;
const UNANSWERED: readonly number[] = [
  Opcode.FORGET,
  Opcode.BATCH_FORGET,
  Opcode.INTERRUPT,
  Opcode.NOTIFY_REPLY,
];
const KEPT_BYTES = 300_000;
const NAMES = ['a.duckdb', 'a.duckdb.wal', 'b.duckdb', 'b.duckdb.tmp', 'kept.duckdb'];
const MORE_NAMES = [
  'kept@~0.duckdb',
  'kept@first.duckdb',
  'kept@2020-01-01.duckdb',
  'x',
  'ä.duckdb',
];

const readBody = (handle: number, offset: number, size: number): Buffer => {
  const { READ_IN } = layout;
  return body(READ_IN.SIZE, [
    [READ_IN.fh, handle, 8],
    [READ_IN.offset, offset, 8],
    [READ_IN.size, size, 4],
  ]);
};

const openBody = (flags: number): Buffer => body(layout.OPEN_IN.SIZE, [[0, flags, 4]]);

function writeBody(handle: number, offset: number, data: Buffer): Buffer {
  const { WRITE_IN } = layout;
  const fixed = body(WRITE_IN.SIZE, [
    [WRITE_IN.fh, handle, 8],
    [WRITE_IN.offset, offset, 8],
    [WRITE_IN.size, data.length, 4],
  ]);
  return Buffer.concat([fixed, data]);
}

const createBody = (name: string): Buffer => {
  const fields = [[0, O_RDWR, 4] as const, [4, 0o100644, 4] as const];
  return Buffer.concat([body(layout.CREATE_IN.SIZE, fields), named(name)]);
};

const onHandle = (size: number, handle: number): Buffer => body(size, [[0, handle, 8]]);

const lockBody = (handle: number, owner: number, type: number): Buffer => {
  const { LK_IN, FILE_LOCK } = layout;
  return body(LK_IN.SIZE, [
    [LK_IN.fh, handle, 8],
    [LK_IN.owner, owner, 8],
    [LK_IN.lk + FILE_LOCK.end, 2 ** 40, 8],
    [LK_IN.lk + FILE_LOCK.type, type, 4],
    [LK_IN.lk + FILE_LOCK.pid, process.pid, 4],
  ]);
};

/** A file open for writing in every round, so that what is damaged often means something. */
interface Open {
  readonly node: number;
  readonly handle: number;
}

type Shape = readonly [opcode: number, node: number, ...parts: Buffer[]];

function validRequest(random: SeededRandom, known: readonly Open[]): Shape {
  const { node, handle } = random.pick(known);
  const name = random.pick(random.int(0, 2) === 0 ? MORE_NAMES : NAMES);
  const offset = random.pick([0, 1, 4096, 100_000, random.int(0, 2 ** 31)]);
  const shapes: readonly (() => Shape)[] = [
    () => [Opcode.LOOKUP, ROOT, named(name)],
    () => [Opcode.GETATTR, node, body(layout.GETATTR_IN.SIZE, [])],
    () => [Opcode.OPEN, node, openBody(random.pick([0, O_RDWR, 0o1002, 0o2002]))],
    () => [Opcode.CREATE, ROOT, createBody(name)],
    () => [Opcode.READ, node, readBody(handle, offset, random.pick([1, 4096, 1 << 20]))],
    () => [Opcode.WRITE, node, writeBody(handle, offset, random.bytes(random.int(0, 500)))],
    () => [Opcode.WRITE, node, writeBody(handle, offset, Buffer.alloc(70_000, 1))],
    () => [Opcode.FSYNC, node, onHandle(layout.FSYNC_IN.SIZE, handle)],
    () => [Opcode.FLUSH, node, onHandle(layout.FLUSH_IN.SIZE, handle)],
    () => [Opcode.RELEASE, node, onHandle(layout.RELEASE_IN.SIZE, handle)],
    () => [Opcode.FORGET, node, onHandle(layout.FORGET_IN.SIZE, 1)],
    () => [Opcode.BATCH_FORGET, 0, body(8, [[0, 2, 4]]), body(32, [[0, node, 8]])],
    () => [Opcode.UNLINK, ROOT, named(random.pick(NAMES.slice(0, 4)))],
    () => [Opcode.RENAME, ROOT, body(8, [[0, 1, 8]]), named('a.duckdb', random.pick(NAMES))],
    () => [Opcode.RENAME2, ROOT, body(16, [[0, 1, 8]]), named('b.duckdb', 'a.duckdb')],
    () => [Opcode.MKDIR, ROOT, body(layout.MKDIR_IN.SIZE, [[0, 0o755, 4]]), named(name)],
    () => [Opcode.RMDIR, ROOT, named(name)],
    () => [Opcode.OPENDIR, ROOT, openBody(0)],
    () => [Opcode.READDIR, ROOT, readBody(handle, random.int(0, 9), 4096)],
    () => [Opcode.RELEASEDIR, ROOT, onHandle(layout.RELEASE_IN.SIZE, handle)],
    () => [Opcode.STATFS, ROOT],
    () => [Opcode.FSYNCDIR, ROOT, onHandle(layout.FSYNC_IN.SIZE, handle)],
    () => [Opcode.SETATTR, node, setattrBody(random)],
    () => [random.pick([31, 32, 33]), node, lockBody(handle, random.int(1, 3), random.int(0, 2))],
    () => [Opcode.INTERRUPT, 0, body(8, [[0, random.int(1, 50), 8]])],
    () => [Opcode.INIT, 0, initBody()],
    () => [random.int(0, 60), node, random.bytes(random.int(0, 100))],
  ];
  return random.pick(shapes)();
}

function initBody(): Buffer {
  const { INIT_IN } = layout;
  const version = [[INIT_IN.major, 7, 4] as const, [INIT_IN.minor, 40, 4] as const];
  return body(INIT_IN.SIZE, version);
}

function setattrBody(random: SeededRandom): Buffer {
  const { SETATTR_IN } = layout;
  return body(SETATTR_IN.SIZE, [
    [SETATTR_IN.valid, random.pick([1, 8, 8, 0x10, 0x20, random.int(0, 2047)]), 4],
    [SETATTR_IN.size, random.pick([0, 5000, 2 ** 33]), 8],
    [SETATTR_IN.mode, 0o640, 4],
  ]);
}

interface Sent {
  readonly unique: bigint;
  readonly opcode: number;
  readonly wanted: 0 | 1;
  readonly hex: string;
}

class RequestFuzz {
  readonly #random: SeededRandom;
  readonly #findings: Findings;
  readonly #mount: FakeMount;
  readonly #world: FuzzWorld;
  readonly #kept: Buffer;
  #files = 0;

  constructor(random: SeededRandom, findings: Findings, world: FuzzWorld, kept: Buffer) {
    this.#random = random;
    this.#findings = findings;
    this.#world = world;
    this.#kept = kept;
    const error: Logger['error'] = (fields, text) => {
      // Thrown by nobody on purpose: it was answered with EIO, and is a defect all the same.
      const { stack, operation } = fields;
      if (stack !== undefined) this.#fail(`${operation}: ${text}\n${stack}`);
    };
    this.#mount = new FakeMount(world, { ...silentLogger, error });
  }

  #fail(text: string): void {
    const first = text.split('\n').slice(0, 3).join('\n');
    const { failures } = this.#findings;
    if (failures.length < 20 && !failures.some((f) => f.startsWith(first))) failures.push(text);
  }

  /** Creates a file, writes it, and reads it back, all of which has to work. */
  async #goodFile(): Promise<Open> {
    const mount = this.#mount;
    const name = `good${this.#files++}.duckdb`;
    const created = await mount.ask(Opcode.CREATE, ROOT, createBody(name));
    if (created.error !== 0) throw new Error(`CREATE ${name} answers ${created.error}`);
    const file = { node: nodeOf(created), handle: handleOf(created, layout.ENTRY_OUT.SIZE) };
    const data = this.#random.bytes(this.#random.int(1, 9000));
    const wrote = await mount.ask(Opcode.WRITE, file.node, writeBody(file.handle, 77, data));
    const synced = await mount.ask(
      Opcode.FSYNC,
      file.node,
      onHandle(layout.FSYNC_IN.SIZE, file.handle),
    );
    const read = await mount.ask(Opcode.READ, file.node, readBody(file.handle, 77, 1 << 20));
    if (wrote.error !== 0 || synced.error !== 0 || !read.body.equals(data)) {
      throw new Error(`${name}: wrote ${wrote.error}, fsync ${synced.error}, or wrong bytes`);
    }
    return file;
  }

  /** A snapshot cannot change: whatever came before, its bytes are right. */
  async #checkKept(): Promise<void> {
    const mount = this.#mount;
    const looked = await mount.ask(Opcode.LOOKUP, ROOT, named('fixed@first.duckdb'));
    if (looked.error !== 0) throw new Error(`LOOKUP of a snapshot answers ${looked.error}`);
    const node = nodeOf(looked);
    const opened = await mount.ask(Opcode.OPEN, node, openBody(0));
    if (opened.error !== 0) throw new Error(`OPEN of a snapshot answers ${opened.error}`);
    const handle = handleOf(opened);
    const read = await mount.ask(Opcode.READ, node, readBody(handle, 0, 1 << 20));
    if (!read.body.equals(this.#kept)) throw new Error('a snapshot reads wrong bytes');
    await mount.ask(Opcode.RELEASE, node, onHandle(layout.RELEASE_IN.SIZE, handle));
  }

  #send(shape: Shape, other: Shape): Sent | undefined {
    const mount = this.#mount;
    const unique = mount.nextUnique();
    const whole = mount.request(shape[0], shape[1], unique, ...(shape.slice(2) as Buffer[]));
    const donor = mount.request(other[0], other[1], unique, ...(other.slice(2) as Buffer[]));
    const plain = this.#random.int(0, 9) === 0;
    const { bytes } = plain ? { bytes: whole } : damagedBytes(whole, donor, this.#random);
    const hasHeader = bytes.length >= layout.IN_HEADER.SIZE;
    // The kernel's numbers are one request's each; and most lengths are right, or nothing behind
    // the check of it would be reached.
    if (hasHeader) {
      bytes.writeBigUInt64LE(unique, layout.IN_HEADER.unique);
      if (this.#random.int(0, 15) > 0) bytes.writeUInt32LE(bytes.length, 0);
    }
    const hex = bytes.subarray(0, 120).toString('hex');
    const opcode = hasHeader ? bytes.readUInt32LE(layout.IN_HEADER.opcode) : 0;
    const wanted = hasHeader && !UNANSWERED.includes(opcode) ? 1 : 0;
    try {
      decodeHeader(bytes, bytes.length, newRequestHeader());
    } catch {
      count(this.#findings, 'requests: broken header');
    }
    mount.device.receive(bytes);
    count(this.#findings, 'requests');
    return { unique, opcode, wanted, hex };
  }

  /** Locks may wait for one another for ever: a signal ends that. */
  async #untilAnswered(sent: readonly Sent[]): Promise<void> {
    const { device } = this.#mount;
    const open = (): Sent[] =>
      sent.filter(({ unique, wanted }) => device.answersTo(unique).length < wanted);
    const deadline = performance.now() + 5_000;
    for (let turn = 0; performance.now() < deadline; turn++) {
      const waiting = open();
      if (waiting.length === 0 && device.kept === 0) return;
      for (const { unique, opcode } of waiting) {
        if (opcode !== Opcode.SETLKW) continue;
        const about = body(8, [[0, unique, 8]]);
        device.receive(this.#mount.request(Opcode.INTERRUPT, 0, this.#mount.nextUnique(), about));
      }
      await sleep(turn < 20 ? 0 : 5);
    }
  }

  #judge(sent: readonly Sent[]): void {
    const { device } = this.#mount;
    for (const { unique, opcode, wanted, hex } of sent) {
      const answers = device.answersTo(unique);
      const text = `${opcodeName(opcode)} (${opcode}), ${hex}`;
      if (answers.length !== wanted) {
        this.#fail(`request: ${answers.length} answers instead of ${wanted} to ${text}`);
      }
      if (answers[0] !== undefined) {
        count(this.#findings, answers[0].error === 0 ? 'requests: served' : 'requests: refused');
      }
      device.forget(unique);
    }
    for (const problem of device.problems.splice(0)) this.#fail(`request: ${problem}`);
    if (device.kept !== 0) this.#fail(`request: ${device.kept} buffers were not given back`);
    device.kept = 0;
  }

  async round(requests: number): Promise<void> {
    const known: Open[] = [await this.#goodFile(), await this.#goodFile()];
    const sent: Sent[] = [];
    for (let i = 0; i < requests; i++) {
      const shape = validRequest(this.#random, known);
      const one = this.#send(shape, validRequest(this.#random, known));
      if (one !== undefined) sent.push(one);
      if (i % 16 !== 15) continue;
      await this.#untilAnswered(sent);
      this.#judge(sent.splice(0));
      if (this.#findings.failures.length > 0) break;
    }
    await this.#untilAnswered(sent);
    this.#judge(sent);
    try {
      await this.#checkKept();
      await this.#goodFile();
    } catch (error) {
      this.#fail(`request: afterwards, ${(error as Error).message}`);
    }
    if ([...this.#world.engine.databases()].length > 200) throw new Error('too many databases');
  }

  close(): Promise<void> {
    return this.#mount.close();
  }
}

/** Some thousand damaged requests to one file system. */
export async function fuzzRequests(
  random: SeededRandom,
  directory: string,
  rounds: number,
  findings: Findings,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  const world = await openWorld(directory);
  try {
    for (const name of ['fixed', 'kept']) {
      const entry = await world.engine.findOrCreate(name);
      await put(entry, '.duckdb', 0, random.bytes(KEPT_BYTES));
      await commit(entry);
      await world.engine.commands.takeSnapshot(name, 'first');
    }
    const kept = await readWhole(world.engine.get('fixed'));
    const fuzz = new RequestFuzz(random, findings, world, kept!);
    for (let i = 0; i < rounds && findings.failures.length < 20; i++) await fuzz.round(400);
    await fuzz.close();
  } finally {
    await world.close();
  }
}
