/** Garbage collection in the crash harness, and what of the model it may take. */
import type { CollectOptions } from '../../fs/gc/report.js';
import { DEFAULT_POLICY, type RetentionPolicy } from '../../metadata/retention/policy.js';
import type { SeededRandom } from '../harness/seeds.js';
import type { Subject } from './crashActions.js';
import { snapshotsOf } from './crashMetadataState.js';
import type { WorldModel } from './crashModel.js';
import { type CrashImage, checkObjects, compare } from './crashVerify.js';
import type { World } from './crashWorld.js';

const HOUR = 3_600_000;
const FOREVER = 1000 * 365 * 24 * HOUR;

export class Collections {
  readonly #world: World;
  readonly #model: WorldModel;
  readonly #random: SeededRandom;

  constructor(world: World, model: WorldModel, random: SeededRandom) {
    this.#world = world;
    this.#model = model;
    this.#random = random;
  }

  /** Nothing is collected meanwhile. */
  async setPolicy({ model }: Subject): Promise<void> {
    const random = this.#random;
    const policy: RetentionPolicy = {
      keepLast: random.int(0, 6),
      keepMinutely: random.pick([0, 3, 1000]),
      keepHourly: random.pick([0, 2]),
      keepDaily: 0,
      keepWeekly: random.pick([0, 1]),
      keepWithin: random.pick([0, 20, HOUR]),
    };
    await this.#world.engine.commands.setRetention(model.name, policy);
    model.policy = policy;
  }

  async collect(): Promise<void> {
    const random = this.#random;
    const options: CollectOptions = {
      database: undefined,
      dryRun: false,
      undropWithinMs: random.pick([0, FOREVER]),
      minAgeMs: random.pick([0, 0, HOUR]),
    };
    const live = new Set(this.#model.names.values());
    for (const [id, model] of this.#model.databases) {
      const isGoing = !live.has(id) && options.undropWithinMs === 0;
      model.collecting = isGoing ? 'all' : 'unkept';
    }
    await this.#world.engine.commands.collect(options);
    this.ended();
    await checkObjects(this.#world);
  }

  /** By itself, or by a crash: what is gone by now is gone. */
  ended(): void {
    const [state] = this.#world.metadata.states();
    for (const [id, model] of this.#model.databases) {
      model.collected(snapshotsOf(state!, id));
      model.policy = state!.retention.policies.get(id);
      if (!state!.databases.has(id)) this.#model.databases.delete(id);
    }
  }
}

/** A host that comes back collects: what was there before is there afterwards, but for garbage. */
export async function collectRecovered(world: World, image: CrashImage): Promise<void> {
  const databases = new Map(
    [...image.acceptance.databases].map(([id, accepted]) => {
      const present = new Set(snapshotsOf(world.metadata.states()[0]!, id).map((s) => s.id));
      const published = new Map([...accepted.published].filter(([one]) => present.has(one)));
      return [id, { ...accepted, published }];
    }),
  );
  const everything = { ...DEFAULT_POLICY, keepLast: Number.MAX_SAFE_INTEGER };
  for (const { database } of world.engine.databases()) {
    await world.engine.commands.setRetention(database.name, everything);
  }
  const options = { database: undefined, dryRun: false, undropWithinMs: FOREVER, minAgeMs: 0 };
  await world.engine.commands.collect(options);
  await compare(world, { ...image, acceptance: { ...image.acceptance, databases } });
}
