/** The Logger port over pino: JSON lines, or one readable line each on a terminal. */
import { pino } from 'pino';
import type { Logger } from '../proto/ports.js';
import type { LogLevel } from './settings.js';

const HIDDEN_FIELDS = new Set(['level', 'time', 'msg', 'pid']);

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

/**
 * Writes to standard error at once: what was logged before a crash is there. In the background,
 * standard error is DATA_DIR/daemon.log, so that Node's own last words go there too.
 */
export function createLogger(level: LogLevel, style: 'json' | 'pretty'): Logger {
  const options = {
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  // A full disk or a closed pipe must cost the log line, not the daemon.
  process.stderr.on('error', () => {});
  if (style === 'json') {
    const destination = pino.destination({ dest: 2, sync: true });
    destination.on('error', () => {});
    return pino(options, destination);
  }
  return pino(options, { write: (line) => void process.stderr.write(formatLogLine(line)) });
}
