/**
 * Compares what the engine under test shows with the model, byte by byte, and shows it to DuckDB,
 * which has to find the ledger in order, nothing lost and nothing older than before.
 */
import type { Image, Version } from '../../fs/database/image.js';
import { checksum64 } from '../../layers/checksum.js';
import type { SeededRandom } from '../harness/seeds.js';
import type { ImageLanes, Verdict } from './replayImages.js';
import { Content, type Model, type ModelVersion } from './replayModel.js';
import type { Operation } from './replayRecording.js';
import type { Subject } from './replaySubject.js';

const MAIN = '.duckdb';
/** DuckDB's first fsync of a new database comes after these. */
const FIRST_HEADERS = 12_288;
const MAX_HELD = 3;

/** What a reader has to find. −1: before the ledger was made. */
export interface Bounds {
  readonly acknowledged: number;
  readonly begun: number;
}

interface Seen {
  readonly image: Image;
  readonly map: unknown;
  readonly bytes: Buffer;
  readonly hash: bigint;
}

interface Held {
  readonly version: Version;
  readonly expected: ModelVersion;
}

export class Witness {
  readonly #subject: Subject;
  readonly #lanes: ImageLanes;
  readonly #random: SeededRandom;
  /** Makes a report about the present place in the recording. */
  readonly #problemHere: () => (text: string) => void;
  readonly #seen = new Map<string, Seen>();
  readonly #verdicts = new Map<string, Promise<Verdict>>();
  #judged: Promise<void> = Promise.resolve();
  #newest = -1;
  #held: Held[] = [];
  images = 0;
  comparisons = 0;

  constructor(
    subject: Subject,
    lanes: ImageLanes,
    random: SeededRandom,
    problemHere: () => (text: string) => void,
  ) {
    this.#subject = subject;
    this.#lanes = lanes;
    this.#random = random;
    this.#problemHere = problemHere;
  }

  #problem(text: string): void {
    this.#problemHere()(text);
  }

  /** The names, sizes and modes of the newest version; and what an operation has just touched. */
  async glance(model: Model, operation: Operation | undefined): Promise<void> {
    const { head } = this.#subject.database;
    this.#compareNames(head, model.version());
    for (const { suffix, mode } of model.linked()) {
      const found = head.files.get(suffix)?.file.attributes.mode;
      if (found !== undefined && found !== mode) {
        this.#problem(`mode of ${suffix} is ${found.toString(8)}, not ${mode.toString(8)}`);
      }
    }
    if (operation?.op !== 'write' && operation?.op !== 'truncate') return;
    const expected = model.files.get(operation.file)!;
    const file = this.#subject.file(operation.file);
    if (file === undefined) return;
    const offset = operation.op === 'write' ? operation.offset : operation.size;
    const length = operation.op === 'write' ? operation.payload!.length : 4096;
    const live = this.#subject.live(file);
    await this.#compareRange(`live ${file.suffix}`, live, expected.live, offset, length);
    const image = expected.linked ? head.files.get(expected.suffix) : undefined;
    if (image === undefined) return;
    await this.#compareRange(`published ${file.suffix}`, image, expected.synced, offset, length);
  }

  #compareNames(version: Version, expected: ModelVersion): boolean {
    const sizes = (files: Iterable<[string, { readonly size: number }]>) =>
      [...files].map(([suffix, { size }]) => `${suffix}: ${size}`).sort();
    const found = sizes(version.files).join(', ');
    const wanted = sizes(expected).join(', ');
    if (found === wanted) return true;
    this.#problem(`version ${version.number} has {${found}}, expected {${wanted}}`);
    return false;
  }

  async #compareRange(
    what: string,
    content: Parameters<Subject['read']>[0],
    expected: Content,
    offset: number,
    length: number,
  ): Promise<boolean> {
    if (content.size !== expected.size) {
      this.#problem(`${what} has ${content.size} bytes, expected ${expected.size}`);
      return false;
    }
    const bytes = Math.max(0, Math.min(length, content.size - offset));
    const different = expected.difference(await this.#subject.read(content, offset, bytes), offset);
    this.comparisons++;
    if (different === undefined) return true;
    this.#problem(`${what} differs from what was written, first at byte ${different}`);
    return false;
  }

  async #compareVersion(what: string, version: Version, expected: ModelVersion): Promise<boolean> {
    if (!this.#compareNames(version, expected)) return false;
    for (const [suffix, image] of version.files) {
      const content = expected.get(suffix)!;
      const name = `${what} ${suffix}`;
      if (!(await this.#compareRange(name, image, content, 0, content.size))) return false;
    }
    return true;
  }

  /** All bytes of the live files. */
  async compareLive(model: Model): Promise<void> {
    for (const { id, suffix, live } of model.linked()) {
      const file = this.#subject.file(id);
      if (file === undefined) this.#problem(`the live file ${suffix} is gone`);
      else await this.#compareRange(`live ${suffix}`, this.#subject.live(file), live, 0, live.size);
    }
  }

  /** True when the newest version is what is expected; says nothing when not. */
  async matches(expected: ModelVersion): Promise<boolean> {
    const { head } = this.#subject.database;
    if (head.files.size !== expected.size) return false;
    for (const [suffix, image] of head.files) {
      const content = expected.get(suffix) ?? new Content();
      if (content.size !== image.size) return false;
      if (content.difference(await this.#subject.read(image)) !== undefined) return false;
    }
    return true;
  }

  /**
   * All bytes of the newest version; then DuckDB looks at them, in the background. `afresh`: read
   * them again, also those of an image that was read before.
   */
  async look(model: Model, bounds: Bounds, afresh: boolean): Promise<void> {
    const { head } = this.#subject.database;
    const expected = model.version();
    this.#compareNames(head, expected);
    const files = new Map<string, Buffer>();
    const hashes: string[] = [];
    for (const [suffix, image] of head.files) {
      const seen = await this.#see(suffix, image, expected.get(suffix), afresh);
      files.set(suffix, seen.bytes);
      hashes.push(`${suffix} ${image.size} ${seen.hash}`);
    }
    if ((files.get(MAIN)?.length ?? 0) < FIRST_HEADERS) {
      if (bounds.acknowledged >= 0) this.#problem('the database file is gone');
      return;
    }
    const key = hashes.sort().join('\n');
    let verdict = this.#verdicts.get(key);
    if (verdict === undefined) {
      await this.#lanes.room();
      this.images++;
      verdict = this.#lanes.look(files, this.#random.int(0, 2 ** 31));
      this.#verdicts.set(key, verdict);
    }
    const problem = this.#problemHere();
    this.#judged = Promise.all([verdict, this.#judged]).then(([found]) =>
      this.#judge(found, bounds, problem),
    );
  }

  async #see(
    suffix: string,
    image: Image,
    expected: Content | undefined,
    afresh: boolean,
  ): Promise<Seen> {
    const known = this.#seen.get(suffix);
    if (!afresh && known?.image === image && known.map === image.map) return known;
    const { map } = image;
    const bytes = await this.#subject.read(image);
    const different = expected?.difference(bytes);
    this.comparisons++;
    if (different !== undefined) {
      this.#problem(`published ${suffix} differs from what was fsynced, first at ${different}`);
    }
    const seen = { image, map, bytes, hash: checksum64(bytes) };
    this.#seen.set(suffix, seen);
    return seen;
  }

  #judge(verdict: Verdict, bounds: Bounds, problem: (text: string) => void): void {
    if (verdict.error !== undefined) {
      problem(`DuckDB does not accept the published files: ${verdict.error}`);
      return;
    }
    const { seq } = verdict;
    if (seq < bounds.acknowledged) {
      problem(`sequence ${bounds.acknowledged} was acknowledged, DuckDB finds ${seq}`);
    } else if (seq > bounds.begun) {
      problem(`DuckDB finds sequence ${seq}, and ${bounds.begun} is the newest that was begun`);
    } else if (seq < this.#newest) {
      problem(`DuckDB finds sequence ${seq}, after it had found ${this.#newest}`);
    }
    this.#newest = Math.max(this.#newest, seq);
  }

  /** Keeps the newest version, as a reader does. */
  hold(model: Model): void {
    if (this.#held.length >= MAX_HELD) this.#held.shift()!.version.release();
    const { head } = this.#subject.database;
    this.#held.push({ version: head.retain(), expected: model.version() });
  }

  /** What was held must not have changed. */
  async compareHeld(): Promise<void> {
    for (const { version, expected } of this.#held) {
      await this.#compareVersion(`version ${version.number}, held by a reader:`, version, expected);
    }
  }

  /** The engine is gone, and with it its readers. */
  dropHeld(): void {
    this.#held = [];
    this.#seen.clear();
  }

  /** Snapshots of versions that are known, a few of them. */
  async compareSnapshots(known: ReadonlyMap<number, ModelVersion>): Promise<number> {
    const { entry, metadata } = this.#subject;
    const snapshots = await metadata.listSnapshots(entry.database.id);
    let compared = 0;
    for (const snapshot of snapshots) {
      const expected = known.get(snapshot.version);
      if (expected === undefined || this.#random.next() > 4 / snapshots.length) continue;
      const version = await entry.snapshots.open(snapshot);
      const what = `snapshot ${snapshot.sequence} (version ${snapshot.version})`;
      await this.#compareVersion(what, version, expected);
      version.release();
      compared++;
    }
    return compared;
  }

  /** Resolves when DuckDB has looked at everything. */
  async finish(): Promise<void> {
    await this.#judged;
  }
}
