/**
 * The HTTP/2 streams under calls: grpc-js gives no way to end a call whose client does not read or
 * does not finish its request, so that streams are reset here. Requests that have not ended are
 * limited in time and, all together, in bytes.
 */
import type { ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import { assert } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import type { ServerLimits } from './limits.js';

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants;

/** A private field of grpc-js 1.14 (pinned; the tests of stalled clients need it). */
function streamUnder(call: ServerInterceptingCallInterface): ServerHttp2Stream {
  const { stream } = call as unknown as { stream?: ServerHttp2Stream };
  assert(typeof stream?.close === 'function', 'grpc-js keeps the stream of a call');
  return stream;
}

/** The streams of calls, by the metadata that their handlers get. */
export type CallStreams = WeakMap<Metadata, ServerHttp2Stream>;

/** Resets the call: its client gets CANCELLED unless it has a status already. */
export function cutCall(streams: CallStreams, metadata: Metadata): void {
  streams.get(metadata)?.close(NGHTTP2_CANCEL);
}

/** Bytes of requests that have not ended. */
class OpenRequests {
  #bytes = 0;
  readonly #limits: ServerLimits;
  readonly #clock: Clock;

  constructor(limits: ServerLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Returns what to call when the request has ended. */
  watch(stream: ServerHttp2Stream, refuse: (code: status, details: string) => void): () => void {
    const { requestMs, requestBytes } = this.#limits;
    let bytes = 0;
    const count = (data: Buffer): void => {
      bytes += data.length;
      this.#bytes += data.length;
      if (this.#bytes <= requestBytes) return;
      refuse(status.RESOURCE_EXHAUSTED, 'the server has too many large requests at the moment');
    };
    const cancel = this.#clock.after(requestMs, () =>
      refuse(status.DEADLINE_EXCEEDED, `the request has not ended within ${requestMs} ms`),
    );
    // grpc-js has paused the stream; a second listener does not make it flow.
    stream.on('data', count);
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      cancel();
      stream.removeListener('data', count);
      this.#bytes -= bytes;
    };
    stream.once('close', end);
    return end;
  }
}

/** Fills `streams`, and ends requests that take too long or too much. */
export function guardRequests(
  limits: ServerLimits,
  clock: Clock,
  streams: CallStreams,
): ServerInterceptor {
  const open = new OpenRequests(limits, clock);
  return (_method, call) => {
    const stream = streamUnder(call);
    const ended = open.watch(stream, (code, details) => {
      ended();
      call.sendStatus({ code, details });
      stream.close(NGHTTP2_NO_ERROR);
    });
    return new ServerInterceptingCall(call, {
      start: (proceed) =>
        proceed({
          onReceiveMetadata: (metadata, pass) => {
            streams.set(metadata, stream);
            pass(metadata);
          },
          onReceiveHalfClose: (pass) => {
            ended();
            pass();
          },
        }),
    });
  };
}
