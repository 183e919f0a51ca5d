/** The Logger port over pino: JSON lines, or one readable line each on a terminal. */
import { pino } from 'pino';
import { OpenduckError } from '../proto/errors.js';
import type { Logger } from '../proto/ports.js';
import { LOG_LEVELS, type LogLevel } from './settings.js';

const HIDDEN_FIELDS = new Set(['level', 'time', 'msg', 'pid']);

/** Lines of the audit trail are written whatever the level is. */
export interface DaemonLogger extends Logger {
  level: LogLevel;
}

/** `12:34:56.789 WARN  the sentence  key=value …` */
export function formatLogLine(json: string): string {
  const record = JSON.parse(json) as Record<string, unknown>;
  const time = String(record['time']).slice(11, 23);
  const level = String(record['level']).toUpperCase().padEnd(5);
  const fields = Object.entries(record)
    .filter(([key]) => !HIDDEN_FIELDS.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return `${[time, level, String(record['msg']), ...fields].join(' ')}\n`;
}

/** The level in force afterwards. Throws INVALID_ARGUMENT. */
export function changeLogLevel(logger: DaemonLogger, level: string | undefined): LogLevel {
  if (level === undefined) return logger.level;
  const known = LOG_LEVELS.find((one) => one === level);
  if (known === undefined) {
    throw new OpenduckError('INVALID_ARGUMENT', `'${level}' is not a log level`, {
      hint: `Known: ${LOG_LEVELS.join(', ')}.`,
    });
  }
  const before = logger.level;
  logger.level = known;
  // One of the two levels shows it, if any.
  if (before !== known) logger.warn({ from: before, to: known }, 'the log has another level now');
  return known;
}

type Lines = ReturnType<typeof pino>;

function createLines(level: LogLevel, destination: Parameters<typeof pino>[1]): Lines {
  const options = {
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, destination);
}

/** A full disk or a closed pipe must cost the log line, not the process. */
function errorOutput(style: 'json' | 'pretty'): Parameters<typeof pino>[1] {
  process.stderr.on('error', () => {});
  if (style === 'pretty') {
    return { write: (line) => void process.stderr.write(formatLogLine(line)) };
  }
  const destination = pino.destination({ dest: 2, sync: true });
  destination.on('error', () => {});
  return destination;
}

/** The audit trail of a command that works without a daemon; the file is made when needed. */
function auditFile(path: string): Lines {
  const destination = pino.destination({ dest: path, sync: true, append: true, mode: 0o600 });
  destination.on('error', () => {});
  return createLines('info', destination);
}

/**
 * Writes to standard error at once: what was logged before a crash is there. In the background,
 * standard error is DATA_DIR/daemon.log, so that Node's own last words go there too. `auditPath`:
 * a file that gets the audit trail, as JSON lines, instead.
 */
export function createLogger(
  level: LogLevel,
  style: 'json' | 'pretty',
  auditPath?: string,
): DaemonLogger {
  const output = errorOutput(style);
  const lines = createLines(level, output);
  let trail: Lines | undefined;
  const openTrail = (): Lines =>
    auditPath === undefined ? createLines('info', output) : auditFile(auditPath);
  return {
    debug: (fields, message) => lines.debug(fields, message),
    info: (fields, message) => {
      if (fields['audit'] !== true) return lines.info(fields, message);
      trail ??= openTrail();
      trail.info(fields, message);
    },
    warn: (fields, message) => lines.warn(fields, message),
    error: (fields, message) => lines.error(fields, message),
    get level() {
      return lines.level as LogLevel;
    },
    set level(next) {
      lines.level = next;
    },
  };
}
