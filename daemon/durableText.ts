/** Small files of the data directory that must be whole and durable once they are there. */
import { nodeDisk } from '../layers/os/nodeDisk.js';

/** Replaces the content as a whole. Throws DISK_FULL, NOT_PERMITTED, IO. */
export async function writeDurableText(path: string, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  const draft = `${path}.new`;
  await nodeDisk.remove(draft);
  const file = await nodeDisk.open(draft, 'create');
  try {
    await file.write(bytes, 0, bytes.length, 0);
    await file.dataSync();
  } finally {
    await file.close();
  }
  await nodeDisk.rename(draft, path);
}
