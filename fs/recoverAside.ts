/**
 * Makes a database of a log that was set aside: its newest version is copied into a new database of
 * this host, published, and only then the log goes.
 */
import { describeError, OpenduckError } from '../proto/errors.js';
import type { AssembledDatabase } from './database/assemble.js';
import type { Database } from './database/database.js';
import type { Image } from './database/image.js';
import { readContent } from './database/readContent.js';
import type { Engine } from './engine.js';
import type { EngineDatabase } from './engineOptions.js';

const COPY_BYTES = 1 << 20;
/** Room for the record's header before the bytes: see Database.write. */
const HEADROOM = 64;

/** Throws NOT_FOUND, ALREADY_EXISTS, CORRUPT (only a part can be read), DISK_FULL, IO. */
export async function recoverAside(
  engine: Engine,
  id: string,
  name: string,
): Promise<EngineDatabase> {
  const aside = (await engine.directories.listAside()).find((log) => log.id === id);
  if (aside === undefined) {
    throw new OpenduckError('NOT_FOUND', `nothing was set aside as ${id}`, {
      hint: 'openduck-fuse status shows what was.',
    });
  }
  const source = await engine.loadAside(aside);
  try {
    const target = await engine.create(name);
    await fill(engine, target, source);
    await engine.directories.remove(engine.directories.path(id), aside);
    engine.options.logger.debug({ database: name, aside: id }, 'recovered what was set aside');
    return target;
  } finally {
    await source.database.close();
    await source.shelf.close();
  }
}

async function fill(
  engine: Engine,
  target: EngineDatabase,
  { database: source }: AssembledDatabase,
): Promise<void> {
  const { database, publisher } = target;
  try {
    if (source.damage.length > 0) throw source.damageError();
    await engine.changing(target, async () => {
      await database.prepareForWriting();
      for (const [suffix, image] of source.head.files) {
        await copyFile(database, suffix, source, image);
      }
      await database.commitAll();
      const snapshot = await publisher.publish('recovery');
      if (snapshot?.version === database.head.number) return;
      throw new OpenduckError('LEASE_LOST', `another host has taken ${database.name} over`);
    });
  } catch (error) {
    await engine.drop(target).catch((cause) => {
      const fields = { database: database.name, error: describeError(cause) };
      engine.options.logger.warn(fields, 'could not drop what was recovered in part');
    });
    throw error;
  }
}

async function copyFile(
  database: Database,
  suffix: string,
  source: Database,
  image: Image,
): Promise<void> {
  const file = await database.create(suffix, image.file.attributes);
  const buffer = Buffer.allocUnsafeSlow(HEADROOM + COPY_BYTES);
  for (let at = 0; at < image.size; at += COPY_BYTES) {
    const length = Math.min(COPY_BYTES, image.size - at);
    await readContent(source.sources, image, at, buffer, HEADROOM, length);
    await database.write(file, at, buffer, HEADROOM, length);
  }
}
