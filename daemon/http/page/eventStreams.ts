/**
 * Server-sent events to the pages that are open: a bounded number of them, each of which gets only
 * what is new, and nothing that it has no room for.
 */
import type { ServerResponse } from 'node:http';
import { OpenduckError } from '../../../proto/errors.js';
import type { Clock } from '../../../proto/ports.js';
import type { Exchange } from '../answers.js';

const MOST_STREAMS = 32;
/** A comment keeps proxies, and our own limit for clients that stand still, from ending it. */
const HEARTBEAT_MS = 15_000;
const RETRY_MS = 2000;
/** That a client has not taken yet. */
const MOST_UNSENT_BYTES = 256 << 10;

const HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'X-Accel-Buffering': 'no', // nginx would hold events back
};

export const json = (value: unknown): string =>
  JSON.stringify(value, (_, inner) => (inner === undefined ? null : inner));

/** Of one page. */
export class EventStream {
  readonly #response: ServerResponse;
  /** The data that was sent last, by event. */
  readonly #sent = new Map<string, string>();

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get #isOver(): boolean {
    return this.#response.destroyed || this.#response.writableEnded;
  }

  /** Without room for it, it is left out: the next one tells what is the case then. */
  send(event: string, value: unknown): void {
    if (this.#isOver || this.#response.writableLength > MOST_UNSENT_BYTES) return;
    const data = json(value);
    if (this.#sent.get(event) === data) return;
    this.#sent.set(event, data);
    this.#response.write(`event: ${event}\ndata: ${data}\n\n`);
  }

  /** So that the connection is seen to live. */
  beat(): void {
    if (!this.#isOver && this.#response.writableLength === 0) this.#response.write(': \n\n');
  }

  end(): void {
    this.#response.end();
  }
}

export class EventStreams {
  readonly #clock: Clock;
  readonly #streams = new Set<EventStream>();
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#streams.size;
  }

  /**
   * Resolves when the page is gone. `begin` gets the stream to tell of what there is, and gives
   * what is to be called at the end. Throws OVERLOADED.
   */
  async serve({ response }: Exchange, begin: (stream: EventStream) => () => void): Promise<void> {
    if (this.#isClosed || this.#streams.size >= MOST_STREAMS) {
      throw new OpenduckError('OVERLOADED', `${MOST_STREAMS} status pages are open already`, {
        hint: 'Close one of them; the page tries again by itself.',
      });
    }
    const stream = new EventStream(response);
    this.#streams.add(stream);
    const gone = new Promise<void>((resolve) => response.once('close', resolve));
    response.on('error', () => {}); // 'close' follows
    response.writeHead(200, HEADERS);
    response.write(`retry: ${RETRY_MS}\n\n`);
    const end = begin(stream);
    let stop = (): void => {};
    const beat = (): void => {
      stream.beat();
      stop = this.#clock.after(HEARTBEAT_MS, beat);
    };
    stop = this.#clock.after(HEARTBEAT_MS, beat);
    await gone;
    stop();
    end();
    this.#streams.delete(stream);
  }

  close(): void {
    this.#isClosed = true;
    for (const stream of this.#streams) stream.end();
  }
}
