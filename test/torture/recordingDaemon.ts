/**
 * A child process of the replay harness: a real engine, mounted as the daemon does it, whose
 * databases write every operation on them to DIRECTORY/recordings/NAME before they do it.
 *
 * Talks over the IPC channel; ends, and unmounts, when that is gone.
 */
import { join } from 'node:path';
import { Database } from '../../fs/database/database.js';
import { LiveFile } from '../../fs/database/liveFile.js';
import { openEngine } from '../../fs/engine.js';
import { type MountedFileSystem, mountFileSystem } from '../../fs/mount.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { openSqliteStore } from '../../metadata/sqlite/open.js';
import { silentLogger, systemClock, systemRandom } from '../../proto/ports.js';
import { type Operation, RecordingWriter } from './replayRecording.js';

export type DaemonRequest =
  | {
      readonly id: number;
      readonly kind: 'begin' | 'mark';
      readonly database: string;
      readonly seq: number;
    }
  | { readonly id: number; readonly kind: 'stop' };

export type DaemonReply =
  | { readonly kind: 'mounted' }
  | { readonly kind: 'answer'; readonly id: number; readonly error?: string };

const NEVER_MS = 1e9;
const directory = process.argv[2]!;
const recordings = new Map<string, RecordingWriter>();
const recordingOf = new WeakMap<LiveFile, RecordingWriter>();

function recordingFor(name: string): RecordingWriter {
  let recording = recordings.get(name);
  if (recording === undefined) {
    recording = new RecordingWriter(join(directory, 'recordings', name));
    recordings.set(name, recording);
  }
  return recording;
}

type Recorded =
  | 'create'
  | 'write'
  | 'truncate'
  | 'rename'
  | 'unlink'
  | 'setAttributes'
  | 'commit'
  | 'commitAll';

interface Described {
  readonly operation: Operation;
  readonly payload?: Buffer;
}

/** Makes every database write down its calls of `method`, and when they are done. */
function record<K extends Recorded>(
  method: K,
  describe: (database: Database, ...args: Parameters<Database[K]>) => Described,
): void {
  const original = Database.prototype[method] as (...args: unknown[]) => unknown;
  const recorded = function (this: Database, ...args: Parameters<Database[K]>): unknown {
    const recording = recordingFor(this.name);
    const { operation, payload } = describe(this, ...args);
    if (args[0] instanceof LiveFile) recordingOf.set(args[0], recording);
    const n = recording.call(operation, payload);
    const done = (made: unknown) =>
      recording.done(n, made instanceof LiveFile ? { file: made.id } : {});
    const failed = (error: unknown) => {
      recording.done(n, { failed: String(error) });
      throw error;
    };
    try {
      const result = original.apply(this, args);
      if (!(result instanceof Promise)) {
        done(result);
        return result;
      }
      return result.then((made: unknown) => {
        done(made);
        return made;
      }, failed);
    } catch (error) {
      return failed(error);
    }
  };
  Object.defineProperty(Database.prototype, method, { value: recorded });
}

function recordEverything(): void {
  record('create', (_, suffix, attributes) => ({
    operation: { op: 'create', suffix, attributes },
  }));
  record('write', (_, file, offset, buffer, at, length) => ({
    operation: { op: 'write', file: file.id, offset },
    payload: buffer.subarray(at, at + length),
  }));
  record('truncate', (_, file, size) => ({ operation: { op: 'truncate', file: file.id, size } }));
  record('rename', (database, file, suffix) => {
    const handles = database.files.get(suffix)?.handles ?? 0;
    return { operation: { op: 'rename', file: file.id, suffix, handles } };
  });
  record('unlink', (_, file) => ({
    operation: { op: 'unlink', file: file.id, handles: file.handles },
  }));
  record('setAttributes', (_, file, attributes) => ({
    operation: { op: 'attributes', file: file.id, attributes },
  }));
  record('commit', (_, file) => ({ operation: { op: 'commit', file: file.id } }));
  record('commitAll', () => ({ operation: { op: 'commitAll' } }));
  const closeHandle = LiveFile.prototype.closeHandle;
  LiveFile.prototype.closeHandle = function (this: LiveFile): void {
    const recording = this.linked ? undefined : recordingOf.get(this);
    recording?.done(recording.call({ op: 'close', file: this.id }));
    closeHandle.call(this);
  };
}

async function mount(): Promise<{ mounted: MountedFileSystem; close: () => Promise<void> }> {
  const dataDir = join(directory, 'data');
  const ports = { clock: systemClock, random: systemRandom, logger: silentLogger };
  const metadata = await openSqliteStore(join(dataDir, 'metadata'), systemClock, silentLogger);
  const engine = await openEngine({
    dataDir,
    disk: nodeDisk,
    objects: await openLocalObjectStore(nodeDisk, join(dataDir, 'objects')),
    metadata,
    ...ports,
    publishIntervalMs: NEVER_MS,
    writerWaitMs: 5000,
    readOnly: false,
  });
  const mountpoint = join(directory, 'mnt');
  const mounted = await mountFileSystem({
    engine,
    mountpoint,
    allowOther: false,
    readOnly: false,
    replaces: undefined,
    ...ports,
  });
  const close = async () => {
    await engine.close();
    await metadata.close();
  };
  return { mounted, close };
}

async function main(): Promise<void> {
  recordEverything();
  const { mounted, close } = await mount();
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    await mounted.unmount({ lazy: true });
    await Promise.race([mounted.ended, systemClock.sleep(3000)]);
    await close();
    for (const recording of recordings.values()) recording.close();
  };
  const answer = (id: number, error?: string) => {
    const reply: DaemonReply = { kind: 'answer', id, ...(error !== undefined && { error }) };
    if (process.connected) process.send!(reply);
  };
  process.on('message', (request: DaemonRequest) => {
    if (request.kind !== 'stop') {
      recordingFor(request.database).note(request.kind, request.seq);
      answer(request.id);
      return;
    }
    stop().then(
      () => answer(request.id),
      (error) => answer(request.id, String(error)),
    );
  });
  process.on('disconnect', () => {
    stop().finally(() => process.exit(0));
  });
  process.send!({ kind: 'mounted' } satisfies DaemonReply);
}

await main();
