/**
 * A metadata file in a temporary directory of its own.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore } from '../../metadata/sqlite/open.js';
import { silentLogger } from '../../proto/ports.js';
import { ManualClock } from '../fs/manualClock.js';
import type { StoreUnderTest } from './conformance.js';

/** Calls `body` with the path of a file that is not there yet; removes the directory afterwards. */
export async function withMetadataPath<T>(body: (path: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'openduck-metadata-'));
  try {
    return await body(join(directory, 'metadata.sqlite'));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** An empty store on a file of its own. */
export async function openSqliteHome(): Promise<StoreUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), 'openduck-metadata-'));
  const path = join(directory, 'metadata.sqlite');
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    const clock = new ManualClock();
    let store = await openSqliteStore(path, clock, silentLogger);
    return {
      store,
      passTime: async (ms) => clock.advance(ms),
      async reopen() {
        await store.close();
        store = await openSqliteStore(path, clock, silentLogger);
        return store;
      },
      async dispose() {
        try {
          await store.close();
        } finally {
          await remove();
        }
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
