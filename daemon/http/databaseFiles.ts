/** GET and HEAD of `/db/…`: which snapshot, which bytes, under which conditions. */

import type { Access } from '../../exec/server/service.js';
import type { Engine } from '../../fs/engine.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import { COMPANIONS, MAIN_SUFFIX } from '../../fs/names.js';
import type { SnapshotRecord } from '../../metadata/store.js';
import { OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import { type Exchange, sendText } from './answers.js';
import { rangeOf } from './byteRange.js';
import { rangeCounts, verdictOf } from './conditions.js';
import { type DatabasePath, fixedPath, parseDatabasePath } from './databasePath.js';
import type { HttpStats } from './httpStats.js';
import { MovingNames, type Reader, type SideSnapshot } from './movingNames.js';
import { type OpenSnapshot, OpenSnapshots } from './openSnapshots.js';
import { sendBytes } from './sendBytes.js';
import type { Slots } from './slots.js';

/** References that mean one snapshot for ever. */
const MOST_FIXED = 1024;
/** What HEAD says of a WAL of which nobody can say whose it is: see movingNames.ts. */
const DOUBTFUL_BYTES = '4096';

export interface DatabaseFilesPorts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly slots: Slots;
  readonly stats: HttpStats;
}

export class DatabaseFiles {
  readonly open: OpenSnapshots;
  readonly #ports: DatabaseFilesPorts;
  readonly #moving: MovingNames;
  readonly #fixed = new Map<string, SnapshotRecord>();

  constructor(ports: DatabaseFilesPorts) {
    this.#ports = ports;
    const { holds } = ports.engine.garbage;
    this.open = new OpenSnapshots(ports.clock, (snapshot) => holds.hold(snapshot));
    this.#moving = new MovingNames(ports.clock);
  }

  /** Throws UNAUTHENTICATED, NOT_PERMITTED, NOT_FOUND, INVALID_ARGUMENT, STALE, OVERLOADED, …. */
  async answer(
    exchange: Exchange,
    where: { readonly path: string; readonly query: string },
    access: Access,
    reader: Omit<Reader, 'isSession'>,
  ): Promise<void> {
    const wanted = parseDatabasePath(where.path, where.query);
    if (!access.mayRead(wanted.database)) {
      const what = `this token may not read ${wanted.database}`;
      throw new OpenduckError('NOT_PERMITTED', what, { database: wanted.database });
    }
    const entry = this.#ports.engine.get(wanted.database);
    const record = await this.#snapshotOf(exchange, entry, wanted, reader);
    if (record === 'doubt') return answerInDoubt(exchange, wanted);
    const snapshot = await this.#openSnapshot(entry, wanted, record);
    try {
      await this.#send(exchange, wanted, snapshot);
    } finally {
      snapshot.release();
    }
  }

  async #openSnapshot(entry: EngineDatabase, wanted: DatabasePath, record: SnapshotRecord) {
    try {
      return await this.open.open(entry, record);
    } catch (error) {
      this.#fixed.delete(keyOf(entry, wanted)); // it may have been removed
      throw error;
    }
  }

  async #snapshotOf(
    { request }: Exchange,
    entry: EngineDatabase,
    wanted: DatabasePath,
    { client, connection }: Omit<Reader, 'isSession'>,
  ): Promise<SideSnapshot> {
    const { database, ref, suffix, session } = wanted;
    const key = keyOf(entry, wanted);
    const known = this.#fixed.get(key);
    if (known !== undefined) return known;
    const found = ref === undefined ? undefined : await this.#ports.engine.resolve(entry, ref);
    if (found?.id.startsWith(ref ?? '')) {
      if (this.#fixed.size >= MOST_FIXED) this.#fixed.clear();
      this.#fixed.set(key, found);
      return found;
    }
    const isSession = session !== undefined;
    const reader = { client: isSession ? `session ${session}` : client, isSession, connection };
    const isOpening = request.method === 'HEAD' || request.headers.range === undefined;
    const newest = async () => found ?? newestOf(entry, database);
    if (suffix === MAIN_SUFFIX) {
      return isOpening
        ? this.#moving.opened(key, reader, newest)
        : this.#moving.read(key, reader, newest);
    }
    const isWal = suffix === '.duckdb.wal';
    return isOpening && isWal
      ? this.#moving.sideOpened(key, reader, newest)
      : this.#moving.sideRead(key, reader, newest);
  }

  async #send(exchange: Exchange, wanted: DatabasePath, snapshot: OpenSnapshot): Promise<void> {
    const { request, response } = exchange;
    const { id, commitTime } = snapshot.record;
    const image = snapshot.files.get(wanted.suffix);
    // An empty WAL is none; httpfs would ask for all of it.
    if (image === undefined || (image.size === 0 && COMPANIONS.has(wanted.suffix))) {
      const name = `${wanted.database}@${id}${wanted.suffix}`;
      throw new OpenduckError('NOT_FOUND', `there is no ${name}`, { database: wanted.database });
    }
    const tag = `"${id}"`;
    const isMoving = wanted.ref === undefined || !id.startsWith(wanted.ref);
    const headers = {
      ETag: tag,
      'Last-Modified': new Date(commitTime).toUTCString(),
      'Accept-Ranges': 'bytes',
      'Cache-Control': isMoving ? 'no-cache' : 'private, max-age=86400, immutable',
      'Content-Location': fixedPath(wanted.database, id, wanted.suffix),
      'X-Content-Type-Options': 'nosniff',
    };
    const verdict = verdictOf(request.headers, tag);
    if (verdict === 'failed') {
      sendText(exchange, 412, `${wanted.database} is at snapshot ${id}\n`, headers);
      return;
    }
    if (verdict === 'unchanged') {
      response.writeHead(304, headers).end();
      return;
    }
    const isWhole = request.method === 'HEAD' || !rangeCounts(oneOf(request, 'if-range'), tag);
    const range = isWhole ? undefined : rangeOf(request.headers.range, image.size);
    if (range === 'unsatisfiable') {
      const extent = { ...headers, 'Content-Range': `bytes */${image.size}` };
      sendText(exchange, 416, `the file has ${image.size} bytes\n`, extent);
      return;
    }
    const { start, length } = range ?? { start: 0, length: image.size };
    response.setHeader('Content-Type', 'application/octet-stream');
    response.setHeader('Content-Length', length);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (range !== undefined) {
      response.statusCode = 206;
      const last = start + length - 1;
      response.setHeader('Content-Range', `bytes ${start}-${last}/${image.size}`);
    }
    if (request.method === 'HEAD' || length === 0) {
      response.end();
      return;
    }
    const giveBack = await this.#ports.slots.take();
    try {
      const read = (at: number, bytes: number) => snapshot.read(image, at, bytes);
      await sendBytes(response, read, start, length);
      if (response.writableFinished) this.#ports.stats.sentBytes += length;
    } finally {
      giveBack();
    }
  }

  close(): void {
    this.open.close();
  }
}

const oneOf = (request: Exchange['request'], name: string): string | undefined => {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
};

const keyOf = ({ database }: EngineDatabase, { ref }: DatabasePath): string =>
  ref === undefined ? database.id : `${database.id}@${ref}`;

function newestOf({ publisher }: EngineDatabase, name: string): SnapshotRecord {
  const { snapshot } = publisher;
  if (snapshot !== undefined) return snapshot;
  throw new OpenduckError('NOT_FOUND', `${name} has no published commit yet`, {
    database: name,
    hint: 'Commits are published after the publish interval, 1 s if nothing else was said.',
  });
}

function answerInDoubt(exchange: Exchange, { database, suffix }: DatabasePath): void {
  const { request, response } = exchange;
  if (request.method === 'HEAD' && suffix === '.duckdb.wal') {
    response.writeHead(200, { 'Content-Length': DOUBTFUL_BYTES, 'Cache-Control': 'no-store' });
    response.end();
    return;
  }
  throw new OpenduckError(
    'STALE',
    `${database} got a new snapshot while it was opened: attach it again`,
    {
      database,
      hint: `Or name the snapshot (${database}@ID.duckdb), or the reader (?session=ANYTHING).`,
    },
  );
}
