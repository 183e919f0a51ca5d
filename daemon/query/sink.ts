/** Where a result goes: standard output or a file that appears when it is whole. */
import { once } from 'node:events';
import { nodeDisk } from '../../layers/os/nodeDisk.js';

export interface Sink {
  /** Resolves when the next piece may come: a slow reader makes the whole query slow. */
  write(data: string | Uint8Array): Promise<void>;
  /** All is written; the sink is closed. */
  finish(): Promise<void>;
  /** Nothing of it is left where that is possible. */
  abandon(): Promise<void>;
}

export function streamSink(stream: NodeJS.WriteStream): Sink {
  return {
    write: async (data) => {
      if (!stream.write(data)) await once(stream, 'drain');
    },
    finish: async () => {},
    abandon: async () => {},
  };
}

/** Throws what the disk throws: IO, NOT_FOUND (the directory), DISK_FULL. */
export async function fileSink(path: string): Promise<Sink> {
  const part = `${path}.part`;
  await nodeDisk.remove(part);
  const file = await nodeDisk.open(part, 'scratch');
  let position = 0;
  let open = true;
  const close = async (): Promise<void> => {
    if (open) await file.close();
    open = false;
  };
  return {
    write: async (data) => {
      const bytes =
        typeof data === 'string'
          ? Buffer.from(data, 'utf8')
          : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      await file.write(bytes, 0, bytes.length, position);
      position += bytes.length;
    },
    finish: async () => {
      await close();
      await nodeDisk.rename(part, path, false);
    },
    abandon: async () => {
      await close();
      await nodeDisk.remove(part);
    },
  };
}
