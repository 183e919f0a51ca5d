/**
 * Chunks into a gRPC call, no faster than its client takes them: what waits in the call is counted
 * in bytes, because grpc-js would only count messages, and a message may have 64 MiB.
 */
import { Metadata, type ServerWritableStream } from '@grpc/grpc-js';
import { assert, OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import { encodeBatch } from '../protocol/chunks.js';
import type { ExecuteFragmentRequest } from '../protocol/execution.js';
import { MAX_MESSAGE_BYTES, VERSION } from '../protocol/metadata.js';
import type { ServerLimits } from './limits.js';
import type { FragmentSink } from './service.js';

export type FragmentCall = ServerWritableStream<ExecuteFragmentRequest, Buffer>;

/** What a message costs beside its bytes. */
const MESSAGE_OVERHEAD = 1024;

const MOST_PAYLOAD_BYTES = MAX_MESSAGE_BYTES - MESSAGE_OVERHEAD;

/** Payloads are cut between rows: nothing else makes one so long. */
function tooLarge(bytes: number): OpenduckError {
  const message = `a row of the answer takes ${bytes} bytes, more than a message may have`;
  return new OpenduckError('UNSUPPORTED', `${message} (${MAX_MESSAGE_BYTES})`, {
    hint: 'Cut its long values into parts, for example with substr().',
  });
}

export interface SinkOptions {
  readonly call: FragmentCall;
  readonly limits: Pick<ServerLimits, 'stallMs' | 'windowBytes'>;
  readonly clock: Clock;
  /** Aborted: nothing is sent any more, and whoever waits for room gets the reason. */
  readonly signal: AbortSignal;
  /** The client has not taken anything for `stallMs` while something waited for it. */
  onStall(): void;
}

export class ChunkSink implements FragmentSink {
  readonly #options: SinkOptions;
  #waiting = 0;
  #sent = 0;
  #ended = false;
  #wake: (() => void)[] = [];
  #cancelStall: (() => void) | undefined;

  constructor(options: SinkOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#awake(), { once: true });
    options.call.once('close', () => this.#disarm());
  }

  /** Bytes of chunks so far. */
  get sent(): number {
    return this.#sent;
  }

  version(reference: string): void {
    assert(this.#sent === 0, 'the version is named before the first batch');
    const metadata = new Metadata();
    metadata.set(VERSION, reference);
    this.#options.call.sendMetadata(metadata);
  }

  async batch(payload: Uint8Array): Promise<void> {
    if (payload.length > MOST_PAYLOAD_BYTES) throw tooLarge(payload.length);
    await this.chunk(encodeBatch(payload));
  }

  async chunk(bytes: Buffer): Promise<void> {
    this.#send(bytes);
    const { signal, limits } = this.#options;
    while (this.#waiting >= limits.windowBytes && !signal.aborted) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    this.#check();
  }

  /** The last chunk, which nobody waits for: `onStall` when the client does not take it. */
  end(bytes: Buffer): void {
    this.#send(bytes);
    this.#ended = true;
    this.#options.call.end();
  }

  #check(): void {
    const { signal } = this.#options;
    if (!signal.aborted) return;
    throw signal.reason instanceof OpenduckError
      ? signal.reason
      : new OpenduckError('CANCELLED', 'the client is gone');
  }

  #send(bytes: Buffer): void {
    this.#check();
    assert(!this.#ended, 'nothing follows the last chunk');
    const cost = bytes.length + MESSAGE_OVERHEAD;
    this.#sent += bytes.length;
    this.#waiting += cost;
    if (this.#cancelStall === undefined) this.#arm();
    this.#options.call.write(bytes, () => {
      this.#waiting -= cost;
      this.#disarm();
      if (this.#waiting > 0) this.#arm();
      this.#awake();
    });
  }

  #arm(): void {
    const { clock, limits, onStall } = this.#options;
    this.#cancelStall = clock.after(limits.stallMs, onStall);
  }

  #disarm(): void {
    this.#cancelStall?.();
    this.#cancelStall = undefined;
  }

  #awake(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}
