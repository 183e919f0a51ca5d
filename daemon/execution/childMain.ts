/** The child's side of childProgram.ts. */
import { createInterface } from 'node:readline';
import { systemClock } from '../../proto/ports.js';
import { changeLogLevel, type DaemonLogger } from '../logging.js';
import { failedMessage } from '../readiness.js';
import type { LogLevel } from '../settings.js';

const REPORT_MS = 1000;

export interface StartedProgram {
  /** What the parent is told. */
  readonly ready: unknown;
  /** Its log. */
  readonly logger: DaemonLogger;
  /** Figures for the parent, asked for once a second; told when they have changed. */
  report?(): unknown;
  /** Called after the level of the log has changed, for processes that it has started itself. */
  logLevelChanged?(level: LogLevel): void;
  stop(): Promise<void>;
}

/** A line of the parent after the configuration. */
export interface ParentMessage {
  readonly logLevel: LogLevel;
}

function obey({ logger, logLevelChanged }: StartedProgram, { logLevel }: ParentMessage): void {
  const now = changeLogLevel(logger, logLevel);
  logLevelChanged?.(now);
}

/** By a channel of its own: DuckDB prints some things to standard output. */
function tellParent({ report }: StartedProgram): void {
  if (report === undefined) return;
  let told = '';
  const tell = (): void => {
    const figures = report();
    const text = JSON.stringify(figures);
    if (text !== told && process.connected) process.send?.(figures, () => {});
    told = text;
    systemClock.after(REPORT_MS, tell);
  };
  tell();
}

/** `start` gets the configuration. The process ends when the parent wants it to, or is gone. */
export async function runChild<C>(start: (config: C) => Promise<StartedProgram>): Promise<void> {
  const input = createInterface({ input: process.stdin });
  const parentGone = new Promise<void>((resolve) => input.once('close', resolve));
  const config = new Promise<C>((resolve) => {
    input.once('line', (line) => resolve(JSON.parse(line) as C));
  });
  process.stdout.on('error', () => {}); // the parent is gone
  // Signals to the whole group (Ctrl-C): the parent decides when.
  process.on('SIGINT', () => {});
  process.on('SIGHUP', () => {});
  let program: StartedProgram;
  try {
    program = await start(await config);
  } catch (error) {
    process.stdout.write(`${JSON.stringify(failedMessage(error))}\n`, () => process.exit(1));
    return;
  }
  // The parent says nothing more before it has heard this.
  input.on('line', (line) => obey(program, JSON.parse(line) as ParentMessage));
  process.stdout.write(`${JSON.stringify({ ready: program.ready })}\n`);
  tellParent(program);
  process.once('SIGTERM', () => input.close());
  await parentGone;
  await program.stop();
  process.exit(0);
}
