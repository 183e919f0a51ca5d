/**
 * The segment files of one database that something may still read: each goes when no generation
 * refers to it any more.
 */
import type { Disk } from '../../layers/os/disk.js';
import type { Segment } from '../../layers/segment.js';
import type { SourceTable } from '../../layers/sources.js';
import type { Logger } from '../../proto/ports.js';
import { HeldSource } from './generation.js';

export interface SegmentShelfPorts {
  readonly disk: Disk;
  readonly logger: Logger;
}

export class SegmentShelf {
  readonly #sources: SourceTable;
  readonly #ports: SegmentShelfPorts;
  readonly #held = new Map<number, HeldSource>();
  readonly #open = new Set<Segment>();
  #giveUps: Promise<void> = Promise.resolve();
  /** The files stay when nobody reads them any more: they are the only copy of something. */
  keepFiles = false;

  constructor(sources: SourceTable, ports: SegmentShelfPorts) {
    this.#sources = sources;
    this.#ports = ports;
  }

  /** A segment that extent maps may refer to from now on, under its number in the source table. */
  add(segment: Segment, source = this.#sources.add(segment)): HeldSource {
    const held = new HeldSource(source, () => {
      this.#held.delete(segment.number);
      this.#sources.remove(held.number);
      this.#giveUps = this.#giveUps.then(() => this.#giveUp(segment));
    });
    this.#held.set(segment.number, held);
    this.#open.add(segment);
    return held;
  }

  /** One after another, lowest number first: a crash in between leaves no hole in the numbers. */
  async #giveUp(segment: Segment): Promise<void> {
    this.#open.delete(segment);
    try {
      await segment.file.close();
      if (!this.keepFiles) await this.#ports.disk.remove(segment.file.path);
    } catch (error) {
      const fields = { error: String(error) };
      this.#ports.logger.warn(fields, `could not remove ${segment.name}; it is only wasted space`);
    }
  }

  /** By segment number. */
  get held(): ReadonlyMap<number, HeldSource> {
    return this.#held;
  }

  /** What is to be durable is so. */
  async close(): Promise<void> {
    await this.#giveUps;
    for (const { file } of this.#open) await file.close().catch(() => {});
  }
}
