/**
 * The open layers of one database. A layer is opened once, whoever needs it (the head, a snapshot,
 * a running compaction), and closed when no generation has it any more.
 */

import { ExtentMap, HOLE, type SourceNumber } from '../../layers/extentMap.js';
import type { LayerFile, LayerHole } from '../../layers/layer.js';
import type { FrameTable } from '../../layers/layerIndex.js';
import { type Layer, openLayer } from '../../layers/layerReader.js';
import type { ObjectStore } from '../../layers/objectStore.js';
import type { ByteSource, SourceTable } from '../../layers/sources.js';
import type { LayerRecord } from '../../metadata/store.js';
import type { FileId, LayerId } from '../../proto/ids.js';
import { type Generation, HeldSource } from './generation.js';

export interface ShelvedLayer {
  readonly record: LayerRecord;
  /** Another one after `reopen`. */
  layer: Layer;
  readonly held: HeldSource;
}

export class LayerShelf {
  readonly #objects: ObjectStore;
  readonly #sources: SourceTable;
  readonly #open = new Map<LayerId, Promise<ShelvedLayer>>();

  constructor(objects: ObjectStore, sources: SourceTable) {
    this.#objects = objects;
    this.#sources = sources;
  }

  /** Opens a layer into a generation. Throws NOT_FOUND, CORRUPT, IO. */
  async open(record: LayerRecord, generation: Generation): Promise<ShelvedLayer> {
    for (;;) {
      let opening = this.#open.get(record.id);
      if (opening === undefined) {
        opening = this.#load(record);
        this.#open.set(record.id, opening);
        opening.catch(() => this.#open.delete(record.id));
      }
      const shelved = await opening;
      // Given up by its last generation while we waited? Then its file is closing: open it anew.
      if (this.#open.get(record.id) !== opening) continue;
      generation.add(shelved.held);
      return shelved;
    }
  }

  /** Opens a stack, oldest first. */
  async openStack(
    records: readonly LayerRecord[],
    generation: Generation,
  ): Promise<ShelvedLayer[]> {
    const stack: ShelvedLayer[] = [];
    for (const record of records) stack.push(await this.open(record, generation));
    return stack;
  }

  /** The object has been put into its place anew: an open layer reads that one from now on. */
  async reopen(record: LayerRecord): Promise<void> {
    const shelved = await this.#open.get(record.id)?.catch(() => undefined);
    if (shelved === undefined) return;
    const before = shelved.layer;
    shelved.layer = await openLayer(this.#objects, record.key, { layer: record.id });
    await before.close();
  }

  /** Closes them all; nobody reads any more. */
  async close(): Promise<void> {
    for (const opening of this.#open.values()) {
      await opening.then(({ layer }) => layer.close()).catch(() => {});
    }
  }

  async #load(record: LayerRecord): Promise<ShelvedLayer> {
    const layer = await openLayer(this.#objects, record.key, { layer: record.id });
    const source: ByteSource = {
      name: `layer ${record.key}`,
      readCached: (buffer, at, length, offset) =>
        shelved.layer.readCached(buffer, at, length, offset),
      read: (buffer, at, length, offset) => shelved.layer.read(buffer, at, length, offset),
    };
    const held = new HeldSource(this.#sources.add(source), () => {
      this.#open.delete(record.id);
      this.#sources.remove(held.number);
      shelved.layer.close().catch(() => {}); // a read-only descriptor: nothing can be lost
    });
    const shelved: ShelvedLayer = { record, layer, held };
    return shelved;
  }
}

/** A file as a stack of layers gives it. */
export interface StackedFile extends LayerFile {
  map: ExtentMap;
}

/**
 * The file set that a stack of layers, oldest first, adds up to. `below`: what the layers under it
 * show; these maps are changed.
 */
export function filesOfStack(
  stack: readonly ShelvedLayer[],
  below: ReadonlyMap<FileId, { readonly map: ExtentMap }> = new Map(),
): Map<FileId, StackedFile> {
  let maps = below;
  let files = new Map<FileId, StackedFile>();
  for (const { layer, held } of stack) {
    const { description, frames, holes } = layer.index;
    const next = new Map<FileId, StackedFile>();
    for (const file of description.files) {
      const map = maps.get(file.id)?.map ?? new ExtentMap();
      map.truncate(file.size);
      next.set(file.id, { ...file, map });
    }
    putFrames(next, frames, held.number);
    putHoles(next, holes);
    files = next;
    maps = next;
  }
  return files;
}

/** Frames that continue each other in file and data become one extent. */
function putFrames(
  files: ReadonlyMap<FileId, StackedFile>,
  frames: FrameTable,
  source: SourceNumber,
): void {
  for (let i = 0; i < frames.count; ) {
    const file = frames.file[i]!;
    const offset = frames.fileOffset[i]!;
    let length = 0;
    const first = i;
    do {
      length += frames.length[i]!;
      i++;
    } while (
      i < frames.count &&
      frames.file[i] === file &&
      frames.fileOffset[i] === offset + length
    );
    files.get(file as FileId)!.map.set(offset, length, source, frames.dataOffset[first]!);
  }
}

function putHoles(files: ReadonlyMap<FileId, StackedFile>, holes: readonly LayerHole[]): void {
  for (const { file, offset, length } of holes) files.get(file)!.map.set(offset, length, HOLE, 0);
}
