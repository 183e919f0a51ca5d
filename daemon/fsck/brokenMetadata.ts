/** Metadata from which no database can be loaded: what its own check says of it. */
import { realPath } from '../../layers/os/directories.js';
import { describeError } from '../../proto/errors.js';
import type { CommandContext } from '../commandContext.js';
import { lockDataDirectory, unlockDataDirectory } from '../dataDirectory.js';
import { createLogger } from '../logging.js';
import type { Settings } from '../settings.js';
import { storeLocations } from '../stores.js';
import { type FsckReport, metadataFinding } from './finding.js';

/** `cause`: why loading failed. Throws BUSY (a daemon has it), UNAVAILABLE, IO. */
export async function brokenMetadata(
  context: CommandContext,
  given: Settings,
  cause: unknown,
): Promise<FsckReport> {
  const settings = { ...given, dataDir: await realPath(given.dataDir) };
  const { clock, random } = context;
  const holder = { pid: process.pid, command: 'fsck', mountpoint: undefined };
  const lock = await lockDataDirectory(settings.dataDir, holder, clock);
  try {
    const { openMetadata } = await import('../openStorage.js');
    const locations = await storeLocations(settings);
    const ports = { clock, random, logger: createLogger('warn', 'pretty') };
    const sentences = await openMetadata(locations.metadata, ports).then(
      async (metadata) => {
        try {
          return await metadata.check();
        } finally {
          await metadata.close();
        }
      },
      (): string[] => [],
    );
    const all = sentences.length > 0 ? sentences : [describeError(cause)];
    const skipped = ['The layers: no database could be loaded.'];
    const nothing = { databases: 0, layers: 0, snapshots: 0, moved: [] };
    return { findings: all.map(metadataFinding), ...nothing, skipped };
  } finally {
    await unlockDataDirectory(lock);
  }
}
