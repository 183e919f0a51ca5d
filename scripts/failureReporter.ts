/**
 * A reporter for Node's test runner that writes only what failed, so that the end of a log says it
 * even when thousands of lines stand before. See https://nodejs.org/api/test.html#custom-reporters
 */
import { inspect } from 'node:util';

/** What is used of the runner's events. */
interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly name?: string;
    readonly file?: string;
    readonly line?: number;
    readonly details?: { readonly error?: { readonly failureType?: string; cause?: unknown } };
  };
}

const MAX_ERROR_CHARS = 4_000;

export default async function* failures(events: AsyncIterable<TestEvent>) {
  for await (const { type, data } of events) {
    const error = data.details?.error;
    // A parent fails because of its parts, which have been told already.
    if (type !== 'test:fail' || error?.failureType === 'subtestsFailed') continue;
    const place = `${data.file ?? 'unknown file'}:${data.line ?? 0}`;
    yield `✖ ${data.name}\n  ${place}\n${inspect(error?.cause ?? error).slice(0, MAX_ERROR_CHARS)}\n`;
  }
}
