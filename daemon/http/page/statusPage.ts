/** The status page: its files, what they ask for, and what they may change. */
import type { Access } from '../../../exec/server/service.js';
import type { Engine } from '../../../fs/engine.js';
import { describeError, OpenduckError } from '../../../proto/errors.js';
import type { Clock, Logger } from '../../../proto/ports.js';
import { auditedCommands } from '../../auditedCommands.js';
import type { RecentProblems } from '../../recentProblems.js';
import { VERSION } from '../../version.js';
import { type Exchange, sendText } from '../answers.js';
import { databaseDetails } from '../databaseDetails.js';
import { Slots } from '../slots.js';
import { ACTIONS } from './actions.js';
import { EventStreams, json } from './eventStreams.js';
import { History, STEP_MS, STEPS } from './history.js';
import { Live, type Watcher } from './live.js';
import { Looks } from './looks.js';
import { ACTION, API, isPageAction } from './paths.js';
import { RequestBody } from './requestBody.js';
import { requireSameOrigin } from './sameOrigin.js';
import { Sampler } from './sampler.js';
import { seesAll, stateFor, type Viewer } from './state.js';
import { StaticFiles } from './staticFiles.js';
import { Timelines } from './timelines.js';

/** Reading many snapshots, or the extents of a large database, is work. */
const LOOKS_AT_ONCE = { running: 4, waiting: 64, waitMs: 20_000 };
const ACTIONS_AT_ONCE = { running: 4, waiting: 16, waitMs: 20_000 };
const LONGEST_SEARCH = 255;

export interface StatusPagePorts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly problems: RecentProblems;
  readonly mountpoint: string;
  readonly undropWithinMs: number;
  /** Whether there are tokens: without one nobody may change anything here. */
  readonly isGuarded: boolean;
}

export class StatusPage {
  readonly files: StaticFiles;
  readonly #ports: StatusPagePorts;
  readonly #sampler: Sampler;
  readonly #history: History;
  readonly #live: Live;
  readonly #timelines: Timelines;
  readonly #looks: Looks;
  readonly #streams: EventStreams;
  readonly #lookSlots: Slots;
  readonly #actionSlots: Slots;
  readonly #startedAt: number;
  /** Of the streams that see all databases, what takes a step of the history. */
  readonly #onStep = new Set<(point: unknown) => void>();

  private constructor(files: StaticFiles, ports: StatusPagePorts) {
    const { engine, clock } = ports;
    this.files = files;
    this.#ports = ports;
    this.#sampler = new Sampler(ports);
    const take = () => this.#sampler.take();
    this.#history = new History({ clock, take, detailsOf: this.#detailsOf });
    this.#live = new Live(clock, take);
    this.#timelines = new Timelines(engine.options.metadata, clock);
    const [timelines, history] = [this.#timelines, this.#history];
    this.#looks = new Looks({ ...ports, timelines, history });
    this.#streams = new EventStreams(clock);
    this.#lookSlots = new Slots(clock, LOOKS_AT_ONCE);
    this.#actionSlots = new Slots(clock, ACTIONS_AT_ONCE);
    this.#startedAt = clock.monotonic();
  }

  /** Throws IO. */
  static async start(ports: StatusPagePorts): Promise<StatusPage> {
    const page = new StatusPage(await StaticFiles.load(), ports);
    page.#history.start((point) => {
      for (const tell of page.#onStep) tell(point);
    });
    return page;
  }

  readonly #detailsOf = (name: string) => databaseDetails(this.#ports.engine, name);

  /** Pages that are open. */
  get open(): number {
    return this.#streams.size;
  }

  /** `path` is of the API. Throws NOT_FOUND, NOT_PERMITTED, INVALID_ARGUMENT, OVERLOADED, …. */
  async answer(
    exchange: Exchange,
    where: { readonly path: string; readonly query: string },
    access: Access,
  ): Promise<void> {
    requireSameOrigin(exchange.request);
    const { path } = where;
    if (isPageAction(path)) return this.#act(exchange, path.slice(ACTION.length), access);
    const query = new URLSearchParams(where.query);
    if (path === '/api/events') return this.#stream(exchange, query, access);
    const name = query.get('database') ?? '';
    const look = path.slice(API.length);
    const giveBack = await this.#lookSlots.take();
    try {
      sendJson(exchange, await this.#look(look, name, query, access));
    } finally {
      giveBack();
    }
  }

  async #look(look: string, name: string, query: URLSearchParams, access: Access) {
    if (!access.mayRead(name)) {
      throw new OpenduckError('NOT_PERMITTED', `this token may not read ${name}`);
    }
    if (look === 'timeline') return this.#looks.timeline(this.#ports.engine.get(name), query);
    if (look === 'snapshots') return this.#looks.snapshots(this.#ports.engine.get(name), query);
    if (look === 'database') return this.#looks.detail(this.#ports.engine.get(name));
    throw new OpenduckError('NOT_FOUND', 'there is nothing here');
  }

  #stream(exchange: Exchange, query: URLSearchParams, access: Access): Promise<void> {
    if (exchange.request.method === 'HEAD') {
      throw new OpenduckError('UNSUPPORTED', 'events are for GET');
    }
    const search = (query.get('search') ?? '').slice(0, LONGEST_SEARCH);
    const { isGuarded, problems } = this.#ports;
    const viewer: Viewer = { access, search, isGuarded };
    return this.#streams.serve(exchange, (stream) => {
      stream.send('hello', this.#hello(viewer));
      const tellStep = (point: unknown): void => this.#safely(() => stream.send('point', point));
      if (seesAll(access)) {
        stream.send('history', { points: this.#history.points });
        this.#onStep.add(tellStep);
      }
      const tellState: Watcher = (before, after) => {
        const input = { before, after, detailsOf: this.#detailsOf, problems: problems.list() };
        stream.send('state', stateFor(viewer, input));
      };
      const stop = this.#live.watch((before, after) => {
        this.#safely(() => tellState(before, after));
      });
      return () => {
        stop();
        this.#onStep.delete(tellStep);
      };
    });
  }

  /** A defect of the page must not end the mount. */
  #safely(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#ports.logger.error({ error: describeError(error) }, 'a status page was not told');
    }
  }

  #hello({ access, isGuarded }: Viewer) {
    const { clock, mountpoint, engine } = this.#ports;
    return {
      version: VERSION,
      mountpoint,
      now: clock.now(),
      uptimeMs: clock.monotonic() - this.#startedAt,
      isGuarded,
      /** The name of the token, which is not the token. */
      grant: isGuarded ? access.name : undefined,
      seesAll: seesAll(access),
      mayCollectAll: isGuarded && access.mayWrite('*'),
      isShared: engine.options.metadata.shared,
      stepMs: STEP_MS,
      steps: STEPS,
    };
  }

  async #act(exchange: Exchange, name: string, access: Access): Promise<void> {
    const { request } = exchange;
    const action = ACTIONS.get(name);
    if (action === undefined) throw new OpenduckError('NOT_FOUND', 'there is no such action');
    if (request.method !== 'POST') throw new OpenduckError('UNSUPPORTED', 'actions are for POST');
    const { engine, logger, undropWithinMs, isGuarded } = this.#ports;
    if (!isGuarded) {
      throw new OpenduckError('NOT_PERMITTED', 'without a token, nothing can be changed here', {
        hint: 'Start the mount with --token or --tokens, or use the command line.',
      });
    }
    const body = await RequestBody.read(request);
    const address = request.socket.remoteAddress ?? '';
    const actor = { by: 'http', grant: access.name, address } as const;
    const commands = auditedCommands(engine.commands, logger, actor);
    const giveBack = await this.#actionSlots.take();
    try {
      sendJson(exchange, await action({ commands, access, body, undropWithinMs }));
    } finally {
      giveBack();
      this.#timelines.forgetAll();
      this.#sampler.forget();
      this.#live.soon();
    }
  }

  /** Ends what is open. */
  close(): void {
    this.#history.stop();
    this.#live.close();
    this.#timelines.close();
    this.#streams.close();
  }
}

function sendJson(exchange: Exchange, value: unknown): void {
  sendText(exchange, 200, json(value), {
    'Content-Type': 'application/json; charset=utf-8',
    'Cross-Origin-Resource-Policy': 'same-origin',
  });
}
