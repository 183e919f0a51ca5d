/** Answers without a file: errors and short texts. The one place that maps codes to HTTP. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ErrorCode, OpenduckError } from '../../proto/errors.js';
import { isPageAction } from './page/paths.js';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  ALREADY_EXISTS: 409,
  CANCELLED: 503,
  INVALID_ARGUMENT: 400,
  INVALID_NAME: 400,
  LEASE_LOST: 409,
  NOT_FOUND: 404,
  NOT_PERMITTED: 403,
  OVERLOADED: 503,
  BUSY: 409,
  STALE: 409,
  UNAUTHENTICATED: 401,
  UNAVAILABLE: 503,
  UNSUPPORTED: 405,
  USAGE: 400,
};

/** 500: the disk, or a defect. httpfs tries 503 again, and 500 too. */
export const statusOf = (code: ErrorCode): number => STATUS[code] ?? 500;

export function sendText(
  { request, response }: Exchange,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = Buffer.from(text);
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Says what is wrong, or ends the connection when the answer has begun. */
export function sendError(exchange: Exchange, error: unknown): void {
  const { response } = exchange;
  if (response.headersSent) {
    response.destroy(); // a shorter body than announced: no client takes it for whole
    return;
  }
  const known = error instanceof OpenduckError ? error : undefined;
  const status = statusOf(known?.code ?? 'INTERNAL');
  const headers: Record<string, string> = {};
  if (status === 401) headers['WWW-Authenticate'] = 'Bearer realm="openduck-fuse"';
  if (status === 405) {
    headers['Allow'] = isPageAction(exchange.request.url ?? '') ? 'POST' : 'GET, HEAD';
  }
  if (status === 503) headers['Retry-After'] = '1';
  const text = known === undefined ? 'internal error' : known.message;
  sendText(exchange, status, `${text}\n${known?.hint ? `${known.hint}\n` : ''}`, headers);
}
