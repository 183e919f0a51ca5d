/**
 * A FUSE session: negotiates with the kernel, then takes requests from the device to their handlers
 * and the answers back. Every request that wants an answer gets exactly one, whatever happens.
 */
import { describeError, errorCode, OpenduckError } from '../../proto/errors.js';
import {
  Errno,
  InitFlag,
  InitFlag2,
  Opcode,
  opcodeName,
  PROTOCOL_MAJOR,
  PROTOCOL_MINOR,
  PROTOCOL_MINOR_OLDEST,
} from '../../proto/fuse/constants.js';
import { IN_HEADER, WRITE_IN } from '../../proto/fuse/layout.js';
import { initOut, outHeader } from '../../proto/fuse/replies.js';
import {
  decodeHeader,
  newRequestHeader,
  type RequestHeader,
} from '../../proto/fuse/requests/header.js';
import { decodeInit } from '../../proto/fuse/requests/session.js';
import { errnoOf } from '../errno.js';
import type { FileSystem } from '../fileSystem.js';
import type { DeviceBacking } from './backing.js';
import { BufferPool } from './bufferPool.js';
import { type Answer, BODY, type Call, NO_ANSWER } from './call.js';
import { type FuseDevice, MAX_TRANSFER_BYTES } from './device.js';
import { handlerOf } from './dispatch.js';
import type { OperationStats } from './operationStats.js';

const ANSWER_BYTES = MAX_TRANSFER_BYTES + 4096;
/** READs that wait for a disk at the same time; each has a buffer of 1 MiB. */
const MAX_SLOW_READS = 32;

/** Kernels tell these apart; see facts in docs/adr/0001-fuse-transport.md for the ones left out. */
const WANTED =
  InitFlag.ASYNC_READ |
  InitFlag.POSIX_LOCKS |
  InitFlag.ATOMIC_O_TRUNC |
  InitFlag.BIG_WRITES |
  InitFlag.ASYNC_DIO |
  InitFlag.PARALLEL_DIROPS |
  InitFlag.HANDLE_KILLPRIV |
  InitFlag.MAX_PAGES |
  InitFlag.EXPLICIT_INVAL_DATA |
  InitFlag.INIT_EXT;
const WANTED_2 = InitFlag2.DIRECT_IO_ALLOW_MMAP;
/** Passthrough to files of file systems that are not stacked on others themselves. */
const STACK_DEPTH = 1;

const UNANSWERED: ReadonlySet<number> = new Set([
  Opcode.FORGET,
  Opcode.BATCH_FORGET,
  Opcode.INTERRUPT,
  Opcode.NOTIFY_REPLY,
]);

class PendingCall implements Call {
  readonly header: RequestHeader;
  readonly request: Buffer;
  out: Buffer;
  kept = false;
  readonly #pool: BufferPool;
  readonly #shared: Buffer;

  constructor(header: RequestHeader, request: Buffer, shared: Buffer, pool: BufferPool) {
    this.header = { ...header };
    this.request = request;
    this.out = shared;
    this.#shared = shared;
    this.#pool = pool;
  }

  keepRequest(): void {
    this.kept = true;
  }

  async takeBuffer(): Promise<void> {
    this.out = await this.#pool.take();
  }

  finish(): void {
    if (this.out !== this.#shared) this.#pool.give(this.out);
  }
}

export class Session {
  readonly #device: FuseDevice;
  readonly #fs: FileSystem;
  readonly #stats: OperationStats;
  readonly #backing: DeviceBacking | undefined;
  readonly #header = newRequestHeader();
  readonly #out = Buffer.allocUnsafeSlow(ANSWER_BYTES);
  readonly #slow = new BufferPool(ANSWER_BYTES, MAX_SLOW_READS);
  #negotiated: () => void = () => {};
  /** Resolves when the kernel has accepted us: the mount answers. */
  readonly ready: Promise<void>;

  constructor(device: FuseDevice, fs: FileSystem, backing?: DeviceBacking) {
    this.#device = device;
    this.#fs = fs;
    this.#stats = fs.operations;
    this.#backing = backing;
    this.ready = new Promise((resolve) => {
      this.#negotiated = resolve;
    });
  }

  start(): void {
    this.#device.start((request, length) => this.#receive(request, length));
  }

  /** True: the request's buffer is kept until the answer is sent. */
  #receive(request: Buffer, length: number): boolean {
    const header = this.#header;
    const { clock } = this.#fs;
    const since = clock.monotonic();
    const call = this.#begin(request, length);
    if (call === undefined) return false;
    let answer: Answer | Promise<Answer>;
    try {
      if (header.opcode === Opcode.INIT) {
        this.#negotiate(call);
        return false;
      }
      answer = handlerOf(header.opcode)(this.#fs, call);
    } catch (error) {
      this.#fail(call, error);
      this.#stats.add(call.header.opcode, clock.monotonic() - since);
      return false;
    }
    if (!(answer instanceof Promise)) {
      this.#answer(call, answer);
      this.#count(call, answer, length);
      this.#stats.add(call.header.opcode, clock.monotonic() - since);
      return false;
    }
    const ended = (): void => this.#stats.add(call.header.opcode, clock.monotonic() - since);
    answer.then(
      (late) => {
        this.#finish(call, () => this.#answer(call, late));
        this.#count(call, late, length);
        if (call.header.opcode === Opcode.READ) this.#stats.readsWaited++;
        ended();
      },
      (error) => {
        this.#finish(call, () => this.#fail(call, error));
        ended();
      },
    );
    return call.kept;
  }

  /** The bytes of a READ or WRITE. */
  #count({ header }: PendingCall, answer: Answer, requestLength: number): void {
    if (header.opcode === Opcode.READ) {
      if (typeof answer === 'number') this.#stats.readBytes += answer;
    } else if (header.opcode === Opcode.WRITE) {
      this.#stats.writtenBytes += requestLength - IN_HEADER.SIZE - WRITE_IN.SIZE;
    }
  }

  #finish(call: PendingCall, send: () => void): void {
    try {
      send();
    } finally {
      call.finish();
      if (call.kept) this.#device.giveBack(call.request);
    }
  }

  #begin(request: Buffer, length: number): PendingCall | undefined {
    try {
      decodeHeader(request, length, this.#header);
    } catch (error) {
      this.#fs.logger.error({ error: describeError(error) }, 'the kernel sent a broken request');
      // Whom to answer is known all the same; without an answer the caller would hang.
      if (length >= IN_HEADER.SIZE) this.#fail(this.#newCall(request), error);
      return undefined;
    }
    return this.#newCall(request);
  }

  #newCall = (request: Buffer): PendingCall =>
    new PendingCall(this.#header, request, this.#out, this.#slow);

  #answer(call: PendingCall, answer: Answer): void {
    if (answer === NO_ANSWER) return;
    let length: number;
    try {
      length = typeof answer === 'number' ? answer : answer(call.out, BODY);
    } catch (error) {
      this.#fail(call, error);
      return;
    }
    const { uniqueLow, uniqueHigh } = call.header;
    outHeader(call.out, BODY + length, 0, uniqueLow, uniqueHigh);
    this.#device.send(call.out, BODY + length);
  }

  #fail(call: PendingCall, error: unknown): void {
    const { errno, level } = errnoOf(error);
    const { opcode, uniqueLow, uniqueHigh, pid } = call.header;
    if (level !== undefined) {
      const own = error instanceof OpenduckError ? error : undefined;
      const fields = {
        operation: opcodeName(opcode),
        code: errorCode(error),
        errno,
        pid,
        ...(own?.database !== undefined && { database: own.database }),
        ...(own?.hint !== undefined && { hint: own.hint }),
        ...(own === undefined && error instanceof Error && { stack: error.stack ?? '' }),
      };
      this.#fs.logger[level](fields, describeError(error));
    }
    this.#stats.fail(opcode);
    if (UNANSWERED.has(opcode)) return;
    outHeader(call.out, BODY, errno, uniqueLow, uniqueHigh);
    this.#device.send(call.out, BODY);
  }

  #negotiate(call: PendingCall): void {
    const init = decodeInit(call.request, call.header);
    const { uniqueLow, uniqueHigh } = call.header;
    if (init.major !== PROTOCOL_MAJOR || init.minor < PROTOCOL_MINOR_OLDEST) {
      const version = `${init.major}.${init.minor}`;
      this.#fs.logger.error({ version }, 'this kernel’s FUSE protocol is not supported');
      outHeader(call.out, BODY, Errno.EIO, uniqueLow, uniqueHigh);
      this.#device.send(call.out, BODY);
      return;
    }
    // Only root may name files to the kernel.
    const passthrough =
      process.getuid?.() === 0 && this.#backing !== undefined
        ? init.flags2 & InitFlag2.PASSTHROUGH
        : 0;
    if (passthrough !== 0) this.#backing?.enable();
    const length = initOut(call.out, BODY, {
      major: PROTOCOL_MAJOR,
      minor: Math.min(init.minor, PROTOCOL_MINOR),
      maxReadahead: MAX_TRANSFER_BYTES,
      flags: (WANTED & init.flags) >>> 0,
      flags2: ((WANTED_2 & init.flags2) | passthrough) >>> 0,
      maxBackground: 64,
      congestionThreshold: 48,
      maxWrite: MAX_TRANSFER_BYTES,
      timeGranularity: 1_000_000, // ns: we keep milliseconds
      maxPages: MAX_TRANSFER_BYTES / 4096,
      maxStackDepth: passthrough === 0 ? 0 : STACK_DEPTH,
    });
    outHeader(call.out, BODY + length, 0, uniqueLow, uniqueHigh);
    this.#device.send(call.out, BODY + length);
    this.#fs.logger.debug({ kernel: `${init.major}.${init.minor}` }, 'FUSE session negotiated');
    this.#negotiated();
  }
}
