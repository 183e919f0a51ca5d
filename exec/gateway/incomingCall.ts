/**
 * One ExecuteFragment call, read message by message: nothing is asked of the worker before the one
 * before was taken. Below grpc-js's client, whose streams keep 16 messages, of any size, ahead.
 */
import { type ChannelInterface, type Metadata, type StatusObject, status } from '@grpc/grpc-js';
import type { Clock } from '../../proto/ports.js';
import { EXECUTION_SERVICE, type ExecuteFragmentRequest } from '../protocol/execution.js';

type Call = ReturnType<ChannelInterface['createCall']>;

/** A worker that has said `finished` may take so long to end the call. */
const LAST_WORDS_MS = 1000;

export class IncomingCall {
  readonly #call: Call;
  #initial: Metadata | undefined;
  #end: StatusObject | undefined;
  #take: ((message: Buffer | StatusObject) => void) | undefined;

  constructor(
    channel: ChannelInterface,
    request: ExecuteFragmentRequest,
    metadata: Metadata,
    deadline: Date | undefined,
  ) {
    const { path, requestSerialize } = EXECUTION_SERVICE.ExecuteFragment;
    const limit = deadline ?? Number.POSITIVE_INFINITY;
    this.#call = channel.createCall(path, limit, null, null, null);
    this.#call.start(metadata, {
      onReceiveMetadata: (initial) => {
        this.#initial = initial;
      },
      onReceiveMessage: (message: Buffer) => this.#give(message),
      onReceiveStatus: (end) => {
        this.#end = end;
        this.#give(end);
      },
    });
    this.#call.sendMessageWithContext({}, requestSerialize(request));
    this.#call.halfClose();
  }

  /** What the worker said first; there when the first message is. */
  get initial(): Metadata | undefined {
    return this.#initial;
  }

  /** A message, or how the call ended. One at a time. */
  next(): Promise<Buffer | StatusObject> {
    if (this.#end !== undefined) return Promise.resolve(this.#end);
    return new Promise((resolve) => {
      this.#take = resolve;
      this.#call.startRead();
    });
  }

  cancel(): void {
    if (this.#end === undefined) this.#call.cancelWithStatus(status.CANCELLED, 'cancelled');
  }

  /** Nothing more is expected: lets the call end by itself, since resets are counted by peers. */
  finish(clock: Clock): void {
    const giveUp = clock.after(LAST_WORDS_MS, () => this.cancel());
    void this.next().then(() => {
      giveUp();
      this.cancel(); // no effect on one that has ended
    });
  }

  #give(message: Buffer | StatusObject): void {
    const take = this.#take;
    this.#take = undefined;
    take?.(message);
  }
}
