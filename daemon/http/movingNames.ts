/**
 * What a name means that does not mean the same for ever (`NAME.duckdb`, `NAME@before.duckdb`), to
 * one client. DuckDB asks by such a name again and again: HEAD of the database (to look at its
 * first bytes, and again to open it), ranges of it, then HEAD of the WAL, ranges of that, and
 * ranges of the database for as long as it is attached. It follows redirects but asks the old name
 * the next time, and sends no If-Match. It compares ETags within a file, but nothing ties the WAL
 * to the database: with the WAL of another snapshot it would show wrong rows or crash. So the
 * server remembers what it told whom:
 *
 * - HEAD of a database opens it: it means the newest snapshot, and so do this client's ranges from
 *   then on, whatever is committed later.
 * - The WAL is that of the snapshot which the client was told and has not asked the WAL of yet.
 *   When there are several, the answer must be an error. DuckDB takes one to HEAD for "there is no
 *   WAL" and would silently go without the newest commits; so HEAD says that there is one, and
 *   reading it fails: 409. Opening again helps.
 * - A client is an address with a token and a program. Its processes, and the files that one has
 *   open, are told apart by their connections where these are known, which is enough for ranges of
 *   the database: DuckDB notices another ETag there.
 * - `?session=X` is a client by itself, which sees one snapshot as long as it uses it.
 */
import type { SnapshotRecord } from '../../metadata/store.js';
import type { MonotonicTime, SnapshotId } from '../../proto/ids.js';
import type { Clock } from '../../proto/ports.js';
import { IDLE_MS } from './openSnapshots.js';

/** Of an opening that asks for no WAL, over a connection that stays. */
const OPENING_MS = 60_000;
/** Openings that begin while another one goes on get its snapshot: the WAL is in no doubt then. */
const SETTLE_MS = 3000;
/** A connection with fewer ranges that is closed had only a look. */
const OPENING_RANGES = 2;
const MOST_CLIENTS = 4096;
const MOST_CONNECTIONS = 256;

export interface Connection {
  /** Calls back when it is closed. */
  once(event: 'close', closed: () => void): unknown;
}

/** Who asks, and over what. */
export interface Reader {
  /** The same for all requests of one client. */
  readonly client: string;
  /** Named by the client itself: sees one snapshot. */
  readonly isSession: boolean;
  /** The socket; of a proxy, which mixes clients, every request has another one. */
  readonly connection: Connection;
}

/** 'doubt': of which snapshot is not known. */
export type SideSnapshot = SnapshotRecord | 'doubt';

interface Told {
  readonly snapshot: SnapshotRecord;
  /** Over which connections, without a question for the WAL since; ranges read over each. */
  readonly connections: Map<Connection, number>;
  readonly since: MonotonicTime;
  last: MonotonicTime;
}

class Client {
  usedAt: MonotonicTime;
  newest: SnapshotRecord | undefined;
  /** In the order in which they were told first. */
  readonly openings = new Map<SnapshotId, Told>();
  readonly byConnection = new WeakMap<object, SnapshotRecord>();
  readonly sideByConnection = new WeakMap<object, SideSnapshot>();
  side: SideSnapshot | undefined;

  constructor(now: MonotonicTime) {
    this.usedAt = now;
  }
}

export class MovingNames {
  readonly #clock: Clock;
  /** The one that was heard of last comes last. */
  readonly #clients = new Map<string, Client>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** HEAD of the database, or all of it. `newest`: what the name means now. */
  async opened(name: string, reader: Reader, newest: () => Promise<SnapshotRecord>) {
    const client = this.#client(name, reader);
    const settled = reader.isSession ? client.newest : this.#settling(client);
    const snapshot = settled ?? (await newest());
    // Who asked meanwhile in the same session was told something already.
    if (reader.isSession && client.newest !== undefined) return client.newest;
    client.newest = snapshot;
    if (!reader.isSession) this.#note(client, reader, snapshot);
    return snapshot;
  }

  /** A range of the database. */
  async read(name: string, reader: Reader, newest: () => Promise<SnapshotRecord>) {
    const client = this.#client(name, reader);
    const { connection, isSession } = reader;
    const snapshot = isSession ? client.newest : client.byConnection.get(connection);
    const told = snapshot && client.openings.get(snapshot.id);
    const ranges = told?.connections.get(connection);
    if (told !== undefined && ranges !== undefined) {
      told.connections.set(connection, ranges + 1);
      told.last = this.#clock.monotonic();
    }
    return snapshot ?? client.newest ?? this.opened(name, reader, newest);
  }

  /** HEAD of the WAL, or all of it: the end of an opening. */
  async sideOpened(name: string, reader: Reader, newest: () => Promise<SnapshotRecord>) {
    const client = this.#client(name, reader);
    if (reader.isSession) return this.opened(name, reader, newest);
    const side = this.#endOpening(client, reader) ?? client.newest ?? (await newest());
    client.side = side;
    client.sideByConnection.set(reader.connection, side);
    return side;
  }

  /** A range of the WAL, or another file beside the database. */
  async sideRead(name: string, reader: Reader, newest: () => Promise<SnapshotRecord>) {
    const client = this.#client(name, reader);
    if (reader.isSession) return this.opened(name, reader, newest);
    const side = client.sideByConnection.get(reader.connection) ?? client.side;
    return side ?? this.sideOpened(name, reader, newest);
  }

  #client(name: string, { client: id }: Reader): Client {
    const key = `${name}\n${id}`;
    const now = this.#clock.monotonic();
    let client = this.#clients.get(key);
    if (client === undefined || now - client.usedAt >= IDLE_MS) client = new Client(now);
    client.usedAt = now;
    this.#clients.delete(key);
    this.#clients.set(key, client);
    for (const other of this.#clients.keys()) {
      if (this.#clients.size <= MOST_CLIENTS) break;
      this.#clients.delete(other);
    }
    return client;
  }

  #settling(client: Client): SnapshotRecord | undefined {
    const now = this.#clock.monotonic();
    this.#forgetOld(client, now);
    const last = [...client.openings.values()].at(-1);
    const isNew = last !== undefined && now - last.since < SETTLE_MS;
    return isNew ? last.snapshot : undefined;
  }

  #forgetOld({ openings }: Client, now: MonotonicTime): void {
    for (const [id, { last }] of openings) if (now - last >= OPENING_MS) openings.delete(id);
  }

  #note(client: Client, { connection }: Reader, snapshot: SnapshotRecord): void {
    const now = this.#clock.monotonic();
    const known = client.openings.get(snapshot.id);
    const told = known ?? { snapshot, connections: new Map(), since: now, last: now };
    told.last = now;
    client.openings.set(snapshot.id, told);
    client.byConnection.set(connection, snapshot);
    // Of so many, one more or less leaves the same doubt.
    if (told.connections.has(connection) || told.connections.size >= MOST_CONNECTIONS) return;
    told.connections.set(connection, 0);
    connection.once('close', () => {
      const ranges = told.connections.get(connection) ?? 0;
      if (ranges < OPENING_RANGES) this.#forget(client, told, connection);
    });
  }

  #forget({ openings }: Client, { snapshot, connections }: Told, connection: Connection): void {
    connections.delete(connection);
    if (connections.size > 0 || openings.get(snapshot.id)?.connections !== connections) return;
    openings.delete(snapshot.id);
  }

  #endOpening(client: Client, { connection }: Reader): SideSnapshot | undefined {
    this.#forgetOld(client, this.#clock.monotonic());
    const [first, second] = client.openings.values();
    if (first === undefined) return undefined;
    if (second !== undefined) return 'doubt';
    const { connections } = first;
    const own = connections.has(connection) ? connection : connections.keys().next().value;
    if (own !== undefined) this.#forget(client, first, own);
    return first.snapshot;
  }
}
