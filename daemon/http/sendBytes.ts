/** Sends a range of a file, with back-pressure and less than 1 MiB of it in memory. */
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** DuckDB's blocks; three are in memory at the most: sent, waiting, being read. */
const CHUNK_BYTES = 256 << 10;

export type ReadBytes = (offset: number, length: number) => Promise<Buffer>;

/** Reads one chunk ahead of the one that is sent. */
async function* chunksOf(read: ReadBytes, start: number, length: number) {
  const end = start + length;
  const next = (at: number): Promise<Buffer> => read(at, Math.min(CHUNK_BYTES, end - at));
  let reading = next(start);
  for (let at = start + CHUNK_BYTES; at < end; at += CHUNK_BYTES) {
    const chunk = await reading;
    reading = next(at);
    reading.catch(() => {}); // it is awaited in the next round, unless the client is gone
    yield chunk;
  }
  yield await reading;
}

/** Resolves when the connection has all of it, or the client is gone. Throws as `read`. */
export async function sendBytes(
  response: ServerResponse,
  read: ReadBytes,
  start: number,
  length: number,
): Promise<void> {
  if (length <= CHUNK_BYTES) {
    const bytes = await read(start, length);
    if (response.destroyed || response.closed) return;
    // Until the connection has taken it, it counts as under way.
    await new Promise<void>((resolve) => {
      response.once('close', resolve);
      response.end(bytes);
    });
    return;
  }
  const chunks = Readable.from(chunksOf(read, start, length), { highWaterMark: 1 });
  try {
    await pipeline(chunks, response);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** The client, not the file. */
function isGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  return ['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE', 'ERR_STREAM_DESTROYED'].includes(
    code,
  );
}
