/**
 * What the file set must be after each operation, by the rules of docs/semantics.md and nothing
 * else: bytes in memory, no log, no layers.
 */
import type { Operation } from './replayRecording.js';

const CHUNK = 16 << 10;
const ZEROS = Buffer.alloc(CHUNK);

/** The bytes of a file. A frozen copy shares what is not written to afterwards. */
export class Content {
  size = 0;
  readonly #chunks: Map<number, Buffer>;
  readonly #own = new Set<number>();

  constructor(chunks = new Map<number, Buffer>(), size = 0) {
    this.#chunks = chunks;
    this.size = size;
  }

  freeze(): Content {
    this.#own.clear();
    return new Content(new Map(this.#chunks), this.size);
  }

  #writable(index: number): Buffer {
    const known = this.#chunks.get(index);
    if (known !== undefined && this.#own.has(index)) return known;
    const chunk = known === undefined ? Buffer.alloc(CHUNK) : Buffer.from(known);
    this.#chunks.set(index, chunk);
    this.#own.add(index);
    return chunk;
  }

  write(offset: number, bytes: Buffer): void {
    for (let done = 0; done < bytes.length; ) {
      const at = (offset + done) % CHUNK;
      const chunk = this.#writable(Math.floor((offset + done) / CHUNK));
      done += bytes.copy(chunk, at, done, done + CHUNK - at);
    }
    this.size = Math.max(this.size, offset + bytes.length);
  }

  resize(size: number): void {
    if (size < this.size) {
      const last = Math.floor(size / CHUNK);
      for (const index of this.#chunks.keys()) if (index > last) this.#chunks.delete(index);
      if (this.#chunks.has(last)) this.#writable(last).fill(0, size % CHUNK);
    }
    this.size = size;
  }

  /** Offset in the file of the first byte that is not as in `bytes`, which begin at `offset`. */
  difference(bytes: Buffer, offset = 0): number | undefined {
    for (let done = 0; done < bytes.length; ) {
      const at = (offset + done) % CHUNK;
      const length = Math.min(CHUNK - at, bytes.length - done);
      const chunk = this.#chunks.get(Math.floor((offset + done) / CHUNK)) ?? ZEROS;
      if (chunk.compare(bytes, done, done + length, at, at + length) !== 0) {
        for (let i = 0; i < length; i++) {
          if (chunk[at + i] !== bytes[done + i]) return offset + done + i;
        }
      }
      done += length;
    }
    return undefined;
  }
}

export interface ModelFile {
  readonly id: number;
  suffix: string;
  live: Content;
  synced: Content;
  mode: number;
  linked: boolean;
  /** Not committed yet, in order. */
  pending: Operation[];
}

/** By suffix: what everybody but the writer sees. */
export type ModelVersion = ReadonlyMap<string, Content>;

export class Model {
  /** By recorded number. */
  readonly files = new Map<number, ModelFile>();

  /** Files that have a name. */
  linked(): ModelFile[] {
    return [...this.files.values()].filter((file) => file.linked);
  }

  version(): ModelVersion {
    return new Map(this.linked().map((file) => [file.suffix, file.synced]));
  }

  #get(id: number): ModelFile {
    const file = this.files.get(id);
    if (file === undefined) throw new Error(`the recording uses file ${id} before it is made`);
    return file;
  }

  /** `created`: the number of the file that a create makes. */
  apply(operation: Operation, created?: number): void {
    switch (operation.op) {
      case 'create':
        this.#create(operation.suffix, operation.attributes.mode, created!);
        return;
      case 'write':
      case 'truncate': {
        const file = this.#get(operation.file);
        if (operation.op === 'write') file.live.write(operation.offset, operation.payload!);
        else file.live.resize(operation.size);
        file.pending.push(operation);
        return;
      }
      case 'rename': {
        const replaced = this.linked().find((file) => file.suffix === operation.suffix);
        const file = this.#get(operation.file);
        if (replaced !== undefined && replaced !== file) replaced.linked = false;
        file.suffix = operation.suffix;
        return;
      }
      case 'unlink':
        this.#get(operation.file).linked = false;
        return;
      case 'attributes':
        this.#get(operation.file).mode = operation.attributes.mode;
        return;
      case 'commit':
        this.#commit(this.#get(operation.file));
        return;
      case 'commitAll':
        for (const file of this.linked()) this.#commit(file);
        return;
      case 'close':
        return;
    }
  }

  #create(suffix: string, mode: number, id: number): void {
    if (this.files.get(id)?.linked) return; // two creates at a time: one file
    const [live, synced] = [new Content(), new Content()];
    this.files.set(id, { id, suffix, live, synced, mode, linked: true, pending: [] });
  }

  #commit(file: ModelFile): void {
    if (!file.linked || file.pending.length === 0) return;
    file.synced = file.live.freeze();
    file.pending = [];
  }

  clone(): Model {
    const copy = new Model();
    for (const file of this.files.values()) {
      copy.files.set(file.id, { ...file, live: file.live.freeze(), pending: [...file.pending] });
    }
    return copy;
  }

  /** The state after a crash; returns what was not committed, to be done again. */
  crash(): Operation[] {
    const lost: Operation[] = [];
    for (const file of [...this.files.values()]) {
      if (!file.linked) {
        this.files.delete(file.id);
        continue;
      }
      lost.push(...file.pending);
      file.pending = [];
      file.live = file.synced.freeze();
    }
    return lost;
  }
}
