/**
 * An object store over any other that fails by a script: the N-th call of a kind fails, loses its
 * answer, takes its time, or reads wrong bytes. Which bit is flipped and where a read is cut is
 * drawn from a seed.
 */
import type { ObjectReader, ObjectStore } from '../../layers/objectStore.js';
import { type ErrorCode, OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import { type SeededRandom, seededRandom } from '../harness/seeds.js';

export type StoreCall = 'putFile' | 'open' | 'read' | 'head' | 'list' | 'delete';

export type StoreEffect =
  /** Nothing happens, and the call rejects. */
  | { readonly kind: 'fail'; readonly code: ErrorCode }
  /** The call does its work and rejects nevertheless. */
  | { readonly kind: 'loseAnswer'; readonly code: ErrorCode }
  /** The call works, later. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** A read fills a part of the buffer and is CORRUPT. */
  | { readonly kind: 'truncate' }
  /** A read gives one wrong bit and says nothing. */
  | { readonly kind: 'flip' };

export interface StoreFault {
  readonly call: StoreCall;
  /** Which call of that kind, counted from when the fault was added: 1 is the next. */
  readonly nth: number;
  readonly effect: StoreEffect;
}

interface Armed {
  readonly fault: StoreFault;
  left: number;
}

export class FaultObjectStore implements ObjectStore {
  readonly url: string;
  /** While it is set, every call fails with it, whatever the script says. */
  outage: ErrorCode | undefined;
  /** The faults that struck, in order. */
  readonly struck: StoreFault[] = [];
  /** How often each kind was called. */
  readonly calls = new Map<StoreCall, number>();
  readonly #inner: ObjectStore;
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  #armed: Armed[] = [];

  constructor(inner: ObjectStore, clock: Clock, seed: number) {
    this.url = inner.url;
    this.#inner = inner;
    this.#clock = clock;
    this.#random = seededRandom(seed);
  }

  /** Adds faults; each strikes once. */
  script(...faults: readonly StoreFault[]): void {
    for (const fault of faults) this.#armed.push({ fault, left: fault.nth });
  }

  /** Faults that have not struck yet. */
  get pending(): number {
    return this.#armed.length;
  }

  putFile(key: string, path: string): Promise<void> {
    return this.#call('putFile', key, () => this.#inner.putFile(key, path));
  }

  async open(key: string): Promise<ObjectReader> {
    const reader = await this.#call('open', key, () => this.#inner.open(key));
    return {
      key,
      size: reader.size,
      // What the cache has does not come from the store: it never fails.
      readCached: (buffer, at, length, position) => reader.readCached(buffer, at, length, position),
      read: (buffer, at, length, position) => this.#read(reader, buffer, at, length, position),
      close: () => reader.close(),
    };
  }

  head(key: string): Promise<number | undefined> {
    return this.#call('head', key, () => this.#inner.head(key));
  }

  list(prefix: string): Promise<string[]> {
    return this.#call('list', prefix, () => this.#inner.list(prefix));
  }

  delete(key: string): Promise<void> {
    return this.#call('delete', key, () => this.#inner.delete(key));
  }

  async #read(
    reader: ObjectReader,
    buffer: Buffer,
    at: number,
    length: number,
    position: number,
  ): Promise<void> {
    const { key } = reader;
    const effect = await this.#call('read', key, async (effect) => {
      const isCut = effect?.kind === 'truncate';
      const wanted = isCut ? this.#random.int(0, Math.max(0, length - 1)) : length;
      await reader.read(buffer, at, wanted, position);
      return effect;
    });
    if (effect?.kind === 'truncate') {
      throw new OpenduckError('CORRUPT', `object ${key}: cut short by the script`);
    }
    if (effect?.kind !== 'flip' || length === 0) return;
    const bit = this.#random.int(0, length * 8 - 1);
    const byte = at + (bit >> 3);
    buffer[byte] = buffer[byte]! ^ (1 << (bit & 7));
  }

  async #call<T>(
    call: StoreCall,
    key: string,
    work: (effect: StoreEffect | undefined) => Promise<T>,
  ): Promise<T> {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
    const effect = this.#strike(call);
    const failed = (code: ErrorCode) =>
      new OpenduckError(code, `${call} ${key} of ${this.url}: failed by the script`);
    if (this.outage !== undefined) throw failed(this.outage);
    if (effect?.kind === 'fail') throw failed(effect.code);
    if (effect?.kind === 'delay') await this.#clock.sleep(effect.ms);
    const result = await work(effect);
    if (effect?.kind === 'loseAnswer') throw failed(effect.code);
    return result;
  }

  /** Counts the call for every armed fault of its kind; the first that is due strikes. */
  #strike(call: StoreCall): StoreEffect | undefined {
    let due: Armed | undefined;
    for (const armed of this.#armed) {
      if (armed.fault.call !== call) continue;
      armed.left--;
      if (armed.left <= 0) due ??= armed;
    }
    if (due === undefined) return undefined;
    this.#armed = this.#armed.filter((armed) => armed !== due);
    this.struck.push(due.fault);
    return due.fault.effect;
  }
}
