/** The newest warnings and errors of the log, kept in memory for who looks at the daemon. */
import type { Clock, LogFields } from '../proto/ports.js';
import { Redaction } from './debugBundle/redaction.js';
import type { DaemonLogger } from './logging.js';

const MOST_PROBLEMS = 100;
const LONGEST_TEXT = 500;

export interface Problem {
  /** 1, 2, 3, … since the daemon started. */
  readonly number: number;
  /** ISO. */
  readonly at: string;
  readonly level: 'warn' | 'error';
  readonly message: string;
  readonly code: string | undefined;
  readonly error: string | undefined;
  readonly database: string | undefined;
}

export class RecentProblems {
  readonly #clock: Clock;
  readonly #redaction = new Redaction();
  readonly #problems: Problem[] = [];
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Newest first. */
  list(): readonly Problem[] {
    return this.#problems;
  }

  /** The same log, of which the warnings and errors are remembered. */
  watch(logger: DaemonLogger): DaemonLogger {
    return {
      debug: (fields, message) => logger.debug(fields, message),
      info: (fields, message) => logger.info(fields, message),
      warn: (fields, message) => {
        this.#remember('warn', fields, message);
        logger.warn(fields, message);
      },
      error: (fields, message) => {
        this.#remember('error', fields, message);
        logger.error(fields, message);
      },
      get level() {
        return logger.level;
      },
      set level(next) {
        logger.level = next;
      },
    };
  }

  #remember(level: Problem['level'], fields: LogFields, message: string): void {
    const { code, error, database } = fields;
    this.#problems.unshift({
      number: ++this.#count,
      at: new Date(this.#clock.now()).toISOString(),
      level,
      message: this.#text(message),
      code,
      error: error === undefined ? undefined : this.#text(error),
      database,
    });
    if (this.#problems.length > MOST_PROBLEMS) this.#problems.pop();
  }

  #text(text: string): string {
    return this.#redaction.text(text.slice(0, LONGEST_TEXT));
  }
}
