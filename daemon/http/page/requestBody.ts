/** The body of an action: a small JSON object with texts in it. */
import type { IncomingMessage } from 'node:http';
import { OpenduckError } from '../../../proto/errors.js';

const MOST_BYTES = 8192;
const LONGEST_TEXT = 1024;

function invalid(what: string): OpenduckError {
  return new OpenduckError('INVALID_ARGUMENT', what);
}

/** Throws INVALID_ARGUMENT. */
async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MOST_BYTES) throw invalid(`a request has at most ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export class RequestBody {
  readonly #fields: Readonly<Record<string, unknown>>;

  private constructor(fields: Readonly<Record<string, unknown>>) {
    this.#fields = fields;
  }

  /**
   * Only JSON that says that it is: browsers ask us first before they send that for another site.
   * Throws INVALID_ARGUMENT.
   */
  static async read(request: IncomingMessage): Promise<RequestBody> {
    const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
    if (type !== 'application/json') throw invalid('the request must be application/json');
    const bytes = await bytesOf(request);
    let fields: unknown;
    try {
      fields = JSON.parse(bytes.toString('utf8'));
    } catch {
      throw invalid('the request is not JSON');
    }
    if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
      throw invalid('the request must be a JSON object');
    }
    return new RequestBody(fields as Record<string, unknown>);
  }

  /** undefined: not there, or null. Throws INVALID_ARGUMENT. */
  optionalText(name: string): string | undefined {
    const value = Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined;
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string' && value !== '' && value.length <= LONGEST_TEXT) return value;
    throw invalid(`'${name}' must be a text of 1–${LONGEST_TEXT} characters`);
  }

  /** Throws INVALID_ARGUMENT. */
  text(name: string): string {
    const value = this.optionalText(name);
    if (value !== undefined) return value;
    throw invalid(`'${name}' is missing`);
  }

  /** Throws INVALID_ARGUMENT. */
  flag(name: string): boolean {
    const value = Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined;
    if (typeof value === 'boolean') return value;
    throw invalid(`'${name}' must be true or false`);
  }
}
