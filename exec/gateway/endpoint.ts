/** Where a worker says that it can be reached. */
import { OpenduckError } from '../../proto/errors.js';

export interface Endpoint {
  /** As gRPC wants it: HOST:PORT, IPv6 in brackets. */
  readonly target: string;
  /** TLS. */
  readonly secure: boolean;
}

const ENDPOINT = /^(https?):\/\/((?:\[[0-9a-f:.]+\]|[^\s/:@[\]]+):(\d{1,5}))\/?$/i;
const HIGHEST_PORT = 65_535;

/** `http://HOST:PORT` or `https://HOST:PORT`. Throws INVALID_ARGUMENT. */
export function parseWorkerEndpoint(text: string): Endpoint {
  const [, scheme, target, port] = ENDPOINT.exec(text) ?? [];
  const number = Number(port);
  if (target !== undefined && number >= 1 && number <= HIGHEST_PORT) {
    return { target, secure: scheme?.toLowerCase() === 'https' };
  }
  throw new OpenduckError('INVALID_ARGUMENT', `'${text}' is not the endpoint of a worker`, {
    hint: 'It must be http://HOST:PORT or https://HOST:PORT, as the gateway reaches it.',
  });
}
