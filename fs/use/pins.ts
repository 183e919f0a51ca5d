/**
 * Pins tie the side files to the database file: a process that opened one commit point of the
 * database gets the WAL of the same one, whatever was committed in between. DuckDB looks the WAL up
 * on the thread that opened the database; other programs (cp) on any.
 *
 * A pin outlives its handle for a while, or until the thread opens the database again: `cp` closes
 * the database before it opens the WAL.
 *
 * DuckDB opens the database file several times before it locks it, and version 2 reads the header
 * through one of these opens and the rest through another. So what a thread opens again, without
 * having asked for a lock, is of the same commit point as before.
 */
import type { MonotonicTime } from '../../proto/ids.js';
import type { Clock } from '../../proto/ports.js';
import type { Version } from '../database/image.js';
import type { EngineDatabase } from '../engineOptions.js';

const LINGER_MS = 10_000;

export interface Pin {
  readonly thread: number;
  readonly process: number;
  /** The database that had the name then; it may be renamed or dropped since. */
  readonly entry: EngineDatabase;
  readonly version: Version;
  closed: boolean;
  /** No lock was asked for since: the thread may only have had a look. */
  probing: boolean;
  /** When the thread began to look. */
  readonly since: MonotonicTime;
}

/** All pins, by the name that was opened: what has a side file's name may change meanwhile. */
export class PinTable {
  readonly #clock: Clock;
  readonly #pins = new Map<string, Pins>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Of a database name, or of one `NAME@REF`. */
  of(name: string, ref: string | undefined): Pins {
    const key = ref === undefined ? name : `${name}@${ref}`; // names have no @
    let pins = this.#pins.get(key);
    if (pins === undefined) {
      for (const [other, idle] of this.#pins) if (idle.idle) this.#pins.delete(other);
      pins = new Pins(this.#clock);
      this.#pins.set(key, pins);
    }
    return pins;
  }

  /** What a caller has pinned under a name. */
  find(name: string, ref: string | undefined, caller: Caller): Pin | undefined {
    const key = ref === undefined ? name : `${name}@${ref}`;
    return this.#pins.get(key)?.find(caller);
  }

  /** What the thread had a look at under a database's name, and goes on with. */
  probeOf(name: string, caller: Caller): Pin | undefined {
    return this.#pins.get(name)?.probeOf(caller);
  }

  /** The thread asks for a lock on a file of the database. */
  endProbe(name: string, caller: Caller): void {
    this.#pins.get(name)?.endProbe(caller);
  }
}

export interface Caller {
  readonly thread: number;
  readonly process: number;
}

/** The pins under one name. */
export class Pins {
  readonly #clock: Clock;
  /** Oldest first. */
  #pins: Pin[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes a reference on the version. Replaces the thread's closed pins. */
  add({ thread, process }: Caller, entry: EngineDatabase, version: Version): Pin {
    version.retain(); // it may be that of a pin that goes now
    const probe = this.probeOf({ thread, process });
    const since = probe?.entry === entry ? probe.since : this.#clock.monotonic();
    for (const old of this.#pins) {
      if (old.closed && old.process === process && old.thread === thread) this.#remove(old);
    }
    const state = { closed: false, probing: true, since };
    const pin: Pin = { thread, process, entry, version, ...state };
    this.#pins.push(pin);
    return pin;
  }

  /** What the thread had a look at and goes on with. */
  probeOf({ thread, process }: Caller): Pin | undefined {
    const newest = this.#pins.findLast((p) => p.process === process && p.thread === thread);
    if (newest === undefined || !newest.probing) return undefined;
    return this.#clock.monotonic() - newest.since < LINGER_MS ? newest : undefined;
  }

  /** The thread asks for a lock: what it opens next is a new beginning. */
  endProbe({ thread, process }: Caller): void {
    for (const pin of this.#pins) {
      if (pin.process === process && pin.thread === thread) pin.probing = false;
    }
  }

  /** The handle of the pin is closed. */
  close(pin: Pin): void {
    pin.closed = true;
    this.#clock.after(LINGER_MS, () => this.#remove(pin));
  }

  /** The process changes the set itself, and has to see what it did. */
  dropClosed(process: number): void {
    for (const old of this.#pins) if (old.closed && old.process === process) this.#remove(old);
  }

  #remove(pin: Pin): void {
    const rest = this.#pins.filter((other) => other !== pin);
    if (rest.length === this.#pins.length) return;
    this.#pins = rest;
    pin.version.release();
  }

  /** What a caller's side files belong to: its thread's newest pin, else its process's. */
  find({ thread, process }: Caller): Pin | undefined {
    const newest = this.#pins.findLast((p) => p.process === process);
    return this.#pins.findLast((p) => p.process === process && p.thread === thread) ?? newest;
  }

  get idle(): boolean {
    return this.#pins.length === 0;
  }
}
