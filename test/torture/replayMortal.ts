/**
 * A process that can be killed inside ours: from then on, everything it asked of the disk and the
 * metadata is never answered, and nothing it asks happens any more. What was under way is finished
 * by the kernel, as it is for a real process.
 */
import type { Disk, DiskFile, OpenMode } from '../../layers/os/disk.js';
import { type Clock, systemClock } from '../../proto/ports.js';

const never = (): Promise<never> => new Promise(() => {});

export class Life {
  #dead = false;
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #files = new Set<DiskFile>();
  readonly #timers = new Set<() => void>();

  get dead(): boolean {
    return this.#dead;
  }

  /** `port`, for as long as we live. Its methods answer with promises, but for `readCached`. */
  guard<T extends object>(port: T): T {
    return new Proxy(port, {
      get: (target, name) => {
        const member = Reflect.get(target, name) as unknown;
        if (typeof member !== 'function') return member;
        return (...args: unknown[]): unknown => {
          if (this.#dead) return name === 'readCached' ? -1 : never();
          const result = member.apply(target, args) as unknown;
          return result instanceof Promise ? this.#whileAlive(result) : result;
        };
      },
    });
  }

  #whileAlive<T>(work: Promise<T>): Promise<T> {
    const settled = work.then(
      () => {},
      () => {},
    );
    this.#underWay.add(settled);
    settled.then(() => this.#underWay.delete(settled));
    return work.then(
      (value) => (this.#dead ? never() : value),
      (error) => {
        if (this.#dead) return never();
        throw error;
      },
    );
  }

  disk(disk: Disk): Disk {
    return this.guard({
      ...disk,
      open: async (path: string, mode: OpenMode) => {
        const file = await disk.open(path, mode);
        this.#files.add(file);
        const close = () => {
          this.#files.delete(file);
          return file.close();
        };
        return this.guard(
          new Proxy(file, {
            get: (target, name) => {
              if (name === 'close') return close;
              const member = Reflect.get(target, name) as unknown;
              return typeof member === 'function' ? member.bind(target) : member;
            },
          }),
        );
      },
    });
  }

  clock(): Clock {
    return {
      ...systemClock,
      after: (ms, callback) => {
        const cancel = systemClock.after(ms, callback);
        this.#timers.add(cancel);
        return () => {
          this.#timers.delete(cancel);
          cancel();
        };
      },
    };
  }

  /** Resolves when nothing of it is left. */
  async end(): Promise<void> {
    this.#dead = true;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    for (const file of this.#files) await file.close();
    this.#files.clear();
  }
}
