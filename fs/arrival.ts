/** How a database comes into the engine: what to run, and how to load it then. */
import type { DatabaseRecord } from '../metadata/store.js';
import type { DatabaseId, WallTime } from '../proto/ids.js';
import type { AssembledDatabase, AssemblyPorts } from './database/assemble.js';

export type Loader = (record: DatabaseRecord, ports: AssemblyPorts) => Promise<AssembledDatabase>;

/** A database that comes into the engine by a transaction. */
export interface Arrival {
  readonly id: DatabaseId;
  readonly transaction: () => Promise<void>;
  readonly tookEffect: (record: DatabaseRecord) => boolean;
  /** When it was dropped, if it cannot be loaded after all. */
  readonly dropAt: WallTime;
  readonly load?: Loader;
}
