/** The answer to a ranged GET → the caller's buffer, checked against what HEAD had said. */
import type { Readable } from 'node:stream';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { OpenduckError } from '../../proto/errors.js';

/** An object as HEAD shows it. */
export interface ObjectHead {
  readonly size: number;
  /** As sent, with its quotes. */
  readonly etag: string | undefined;
  /** What we wrote beside it; undefined when others stored it, or the server keeps no metadata. */
  readonly xxh64: string | undefined;
}

export interface Receipt {
  readonly what: string;
  readonly object: ObjectHead;
  readonly buffer: Buffer;
  readonly at: number;
  readonly length: number;
  readonly abortSignal: AbortSignal;
}

/** Fills the buffer. Throws CORRUPT, or the socket's error when the connection ends early. */
export async function receive(answer: GetObjectCommandOutput, receipt: Receipt): Promise<void> {
  const { what, object, buffer, at, length, abortSignal } = receipt;
  const body = answer.Body as Readable;
  const corrupt = (message: string) => {
    body.destroy();
    return new OpenduckError('CORRUPT', `${what}: ${message}`);
  };
  if (object.etag !== undefined && answer.ETag !== object.etag) {
    throw corrupt('it is not the object any more that was opened');
  }
  const announced = answer.ContentLength;
  if (announced !== undefined && announced !== length) {
    throw corrupt(`the server sends ${announced} bytes`);
  }
  let done = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    if (abortSignal.aborted) throw abortSignal.reason; // the buffer is somebody else's again
    if (done + chunk.length > length) throw corrupt(`the server sends more than was asked for`);
    chunk.copy(buffer, at + done);
    done += chunk.length;
  }
  if (done < length) throw corrupt(`the server sent ${done} bytes`);
}
