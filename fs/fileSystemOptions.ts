/** What a mounted file system needs. */
import type { FileAttributes } from '../layers/layer.js';
import type { Clock, Logger } from '../proto/ports.js';
import type { Engine } from './engine.js';
import type { Backing } from './session/backing.js';

export interface FileSystemOptions {
  readonly engine: Engine;
  /** Attributes of the root directory: those of the directory that the mount covers. */
  readonly root: FileAttributes;
  readonly readOnly: boolean;
  readonly backing: Backing;
  /** Makes the kernel forget what it has cached of a node's content. */
  readonly forgetPages: (nodeId: number) => Promise<void>;
  /** Makes the kernel forget a name in the mounted directory. */
  readonly forgetName: (name: string) => Promise<void>;
  readonly logger: Logger;
  readonly clock: Clock;
}
