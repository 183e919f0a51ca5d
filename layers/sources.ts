/**
 * Where bytes come from: segments and layers behind one interface, numbered for extent maps.
 */
import { OpenduckError } from '../proto/errors.js';
import type { SourceNumber } from './extentMap.js';

export interface ByteSource {
  /** For messages: `segment 12`, `layer 0195…`. */
  readonly name: string;
  /** Fills exactly [at, at + length) when it can without waiting for a disk; else false. */
  readCached(buffer: Buffer, at: number, length: number, offset: number): boolean;
  /** Fills exactly [at, at + length). Throws CORRUPT or IO, and then the bytes mean nothing. */
  read(buffer: Buffer, at: number, length: number, offset: number): Promise<void>;
}

/** What a damaged range of a segment points to: never readable. */
const damagedBytes: ByteSource = {
  name: 'damaged bytes',
  readCached: () => false,
  read: async () => {
    throw new OpenduckError('CORRUPT', 'these bytes were damaged in their segment');
  },
};

/** Source of ranges whose bytes failed their checksum at recovery. */
export const DAMAGED: SourceNumber = 1;

/** A freed number rests: what still refers to it by mistake should fail, not read other bytes. */
const RESTING_NUMBERS = 4096;

/** The sources of one database. A number is given out again some time after `remove`. */
export class SourceTable {
  readonly #sources: (ByteSource | undefined)[] = [undefined, damagedBytes];
  readonly #free: SourceNumber[] = [];

  add(source: ByteSource): SourceNumber {
    const rested = this.#free.length > RESTING_NUMBERS ? this.#free.shift() : undefined;
    const number = rested ?? this.#sources.length;
    this.#sources[number] = source;
    return number;
  }

  get(number: SourceNumber): ByteSource {
    const source = this.#sources[number];
    if (source === undefined) throw new OpenduckError('INTERNAL', `no source ${number}`);
    return source;
  }

  /** The caller knows that no extent map refers to the number any more. */
  remove(number: SourceNumber): void {
    this.#sources[number] = undefined;
    this.#free.push(number);
  }
}
