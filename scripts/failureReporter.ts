/**
 * A reporter for Node's test runner that writes only what failed or was left out, so that the end of
 * a log says it even when thousands of lines stand before, and what took longest. See
 * https://nodejs.org/api/test.html#custom-reporters
 */
import { inspect } from 'node:util';

/** What is used of the runner's events. */
interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly name?: string;
    readonly file?: string;
    readonly line?: number;
    /** true without a reason. */
    readonly skip?: string | boolean;
    /** 0: a test that is no part of another one. */
    readonly nesting?: number;
    readonly details?: {
      readonly duration_ms?: number;
      readonly error?: { readonly failureType?: string; cause?: unknown };
    };
  };
}

const MAX_ERROR_CHARS = 4_000;
const SLOWEST = 8;
const ENDED = new Set(['test:pass', 'test:fail']);

function slowestText(seconds: ReadonlyMap<string, number>): string {
  const slowest = [...seconds].sort((a, b) => b[1] - a[1]).slice(0, SLOWEST);
  const texts = slowest.map(([name, s]) => `${Math.round(s)} s ${name}`);
  return texts.length === 0 ? '' : `slowest: ${texts.join('; ')}\n`;
}

export default async function* failures(events: AsyncIterable<TestEvent>) {
  const seconds = new Map<string, number>();
  for await (const { type, data } of events) {
    const error = data.details?.error;
    if (ENDED.has(type) && data.nesting === 0 && data.name !== undefined) {
      seconds.set(data.name, (data.details?.duration_ms ?? 0) / 1000);
    }
    if (type === 'test:pass' && data.skip !== undefined && data.skip !== false) {
      yield `skipped: ${data.name} (${data.skip})\n`;
    }
    // A parent fails because of its parts, which have been told already.
    if (type !== 'test:fail' || error?.failureType === 'subtestsFailed') continue;
    const place = `${data.file ?? 'unknown file'}:${data.line ?? 0}`;
    yield `✖ ${data.name}\n  ${place}\n${inspect(error?.cause ?? error).slice(0, MAX_ERROR_CHARS)}\n`;
  }
  yield slowestText(seconds);
}
