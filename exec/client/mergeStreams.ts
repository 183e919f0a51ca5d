/**
 * Many Arrow IPC streams with one schema made into one: the payloads of an answer as a file that
 * any Arrow library reads. Messages are passed on as they are, only the schemas after the first one
 * and the ends of the streams are left out.
 */
import { messagesOf } from '../arrow/messages.js';

/** The end of a stream: a continuation and a length of 0. */
export const END_OF_STREAM = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0);

/**
 * The parts of one Arrow IPC stream; views of the payloads. Throws CORRUPT, and what reading
 * `payloads` throws.
 */
export async function* mergeStreams(
  payloads: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let first = true;
  for await (const payload of payloads) {
    for (const { isSchema, bytes } of messagesOf(payload)) {
      if (first || !isSchema) yield bytes;
    }
    first = false;
  }
  if (!first) yield END_OF_STREAM;
}
