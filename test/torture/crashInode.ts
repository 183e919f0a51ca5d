/**
 * A file of the simulated disk: what the page cache has, what is durable, and every change in
 * between.
 */
import type { SeededRandom } from '../harness/seeds.js';

/** Bytes that are copied only when they are changed after they were shared. */
export class SharedBytes {
  length = 0;
  #buffer: Buffer = Buffer.alloc(0);
  #shared = false;

  fork(): SharedBytes {
    const fork = new SharedBytes();
    fork.length = this.length;
    fork.#buffer = this.#buffer;
    fork.#shared = true;
    this.#shared = true;
    return fork;
  }

  read(buffer: Buffer, at: number, length: number, position: number): number {
    const end = Math.min(this.length, position + length);
    return this.#buffer.subarray(0, end).copy(buffer, at, Math.min(position, end));
  }

  resize(length: number): void {
    if (length > this.#buffer.length || this.#shared) {
      const room = Math.max(length, length > this.#buffer.length ? this.length * 2 : this.length);
      const larger = Buffer.alloc(room);
      this.#buffer.copy(larger, 0, 0, this.length);
      this.#buffer = larger;
      this.#shared = false;
    }
    if (length < this.length) this.#buffer.fill(0, length, this.length);
    this.length = length;
  }

  write(position: number, bytes: Uint8Array): void {
    this.resize(Math.max(this.length, position + bytes.length));
    this.#buffer.set(bytes, position);
  }
}

/** Bytes written, or the file cut or grown to a length. */
type Change =
  | { readonly position: number; readonly bytes: Buffer; readonly length: number }
  | { readonly position: number; readonly bytes?: never; readonly length: number };

/** What logs write ahead of themselves; not worth a copy. */
const ZEROS = Buffer.alloc(1 << 20);

/** What a name stands for. */
export type Entry = Inode | 'folder';

export class Inode {
  cache = new SharedBytes();
  durable = new SharedBytes();
  /** How many changes there ever were, and those that are not durable yet. */
  #changes = 0;
  #unsynced: Change[] = [];

  /** A mark for `sync`: everything up to here. */
  get pending(): number {
    return this.#changes;
  }

  write(position: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.cache.write(position, bytes);
    const zeros = bytes.length === ZEROS.length && ZEROS.equals(bytes);
    this.#note({ position, bytes: zeros ? ZEROS : Buffer.from(bytes), length: this.cache.length });
  }

  truncate(size: number): void {
    this.cache.resize(size);
    this.#note({ position: size, length: size });
  }

  #note(change: Change): void {
    this.#changes++;
    this.#unsynced.push(change);
  }

  /** Takes out what is not durable, up to the mark. */
  #takeUntil(mark: number): Change[] {
    const left = this.#changes - mark;
    return this.#unsynced.splice(0, Math.max(0, this.#unsynced.length - left));
  }

  /** A sync failed: the page cache takes its pages for clean, and reads them anew at some time. */
  lose(mark: number): void {
    this.#takeUntil(mark);
    this.cache = this.durable.fork();
    for (const change of this.#unsynced) apply(this.cache, change, () => true);
  }

  /** Everything up to the mark is durable. */
  sync(mark: number): void {
    const done = this.#takeUntil(mark);
    for (const { position, bytes, length } of done) {
      if (bytes === undefined) this.durable.resize(length);
      else this.durable.write(position, bytes);
    }
  }

  /** What may be left of the file when the power goes now. */
  torn(random: SeededRandom): Inode {
    const after = new Inode();
    const content = this.durable.fork();
    const changes = this.#unsynced;
    const style = random.next();
    if (changes.length > 0 && style > 0.15) {
      if (style < 0.3) for (const change of changes) apply(content, change, () => true);
      else if (style < 0.6) this.#keepFirst(content, random);
      else this.#scatter(content, random);
    }
    after.durable = content;
    after.cache = content.fork();
    return after;
  }

  /** The first changes, the last of them in part. */
  #keepFirst(content: SharedBytes, random: SeededRandom): void {
    const kept = random.int(0, this.#unsynced.length - 1);
    for (const change of this.#unsynced.slice(0, kept)) apply(content, change, () => true);
    const { position, bytes } = this.#unsynced[kept]!;
    if (bytes === undefined) return;
    const cut = random.int(0, bytes.length);
    const sectors = random.next() < 0.5 ? cut : ((position + cut) & ~511) - position;
    if (sectors > 0) content.write(position, bytes.subarray(0, sectors));
  }

  /** Every piece of the file, and its length, as it was at a moment of its own. */
  #scatter(content: SharedBytes, random: SeededRandom): void {
    const changes = this.#unsynced;
    const before = content.length;
    const size = random.pick([512, 4096, 4096, 65536]);
    const moments = new Map<number, number>();
    const momentOf = (piece: number): number => {
      let moment = moments.get(piece);
      if (moment === undefined) {
        const [none, all] = [0, changes.length];
        moment = random.pick([none, all, all, random.int(none, all)]);
        moments.set(piece, moment);
      }
      return moment;
    };
    for (const [i, change] of changes.entries()) {
      apply(content, change, (piece) => momentOf(piece) > i, size);
    }
    const moment = random.int(0, changes.length);
    content.resize(moment === 0 ? before : changes[moment - 1]!.length);
  }
}

/** Applies those pieces of a change that `keeps` says. */
function apply(
  content: SharedBytes,
  { position, bytes, length }: Change,
  keeps: (piece: number) => boolean,
  size = Number.POSITIVE_INFINITY,
): void {
  if (bytes === undefined) {
    if (size === Number.POSITIVE_INFINITY) content.resize(length);
    else zeroPieces(content, position, keeps, size);
    return;
  }
  if (size === Number.POSITIVE_INFINITY) {
    content.write(position, bytes);
    return;
  }
  for (let at = 0; at < bytes.length; ) {
    const piece = Math.floor((position + at) / size);
    const end = Math.min(bytes.length, (piece + 1) * size - position);
    if (keeps(piece)) content.write(position + at, bytes.subarray(at, end));
    at = end;
  }
}

function zeroPieces(
  content: SharedBytes,
  from: number,
  keeps: (piece: number) => boolean,
  size: number,
): void {
  for (let at = from; at < content.length; ) {
    const piece = Math.floor(at / size);
    const end = Math.min(content.length, (piece + 1) * size);
    if (keeps(piece)) content.write(at, Buffer.alloc(end - at));
    at = end;
  }
}
