/** What a database needs, and what it begins with. */
import type { Disk } from '../../layers/os/disk.js';
import type { SourceTable } from '../../layers/sources.js';
import type { DatabaseId, VersionNumber } from '../../proto/ids.js';
import type { Clock, Logger, Random } from '../../proto/ports.js';
import type { Generation } from './generation.js';
import type { LiveFile } from './liveFile.js';

export interface DatabasePorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** What a database begins with: nothing, or what load.ts found. */
export interface DatabaseState {
  readonly id: DatabaseId;
  readonly name: string;
  /** Folder of its segments. */
  readonly directory: string;
  readonly sources: SourceTable;
  readonly generation: Generation;
  readonly files: readonly LiveFile[];
  readonly version: VersionNumber;
  readonly committedAt: number;
  readonly nextFileId: number;
  readonly nextSegment: number;
}
