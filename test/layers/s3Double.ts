/**
 * A small HTTP server that speaks as much S3 as we use and misbehaves on demand: what a real server
 * does only when one is unlucky. It records every request.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sleep } from '../harness/testRun.js';
import { type Answer, DoubleObjects, type DoubleRequest } from './s3DoubleObjects.js';

export type DoubleFault =
  /** This is the answer; nothing happens. */
  | { readonly kind: 'answer'; readonly answer: Answer }
  /** The connection is reset; nothing happens. */
  | { readonly kind: 'reset' }
  /** It happens, and the connection is reset instead of an answer. */
  | { readonly kind: 'loseAnswer' }
  /** It happens after a while. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** There is never an answer. */
  | { readonly kind: 'hang' }
  /** The answer has other headers. */
  | { readonly kind: 'headers'; readonly headers: Readonly<Record<string, string>> }
  /** The answer has another body, with the length that it has. */
  | { readonly kind: 'body'; readonly change: (body: Buffer) => Buffer }
  /** The connection ends in the middle of the body. */
  | { readonly kind: 'cut' };

export interface RecordedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface S3Double {
  readonly port: number;
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  readonly bucket: string;
  readonly objects: DoubleObjects;
  readonly requests: RecordedRequest[];
  /** Asked for every request. */
  fault: (request: DoubleRequest) => DoubleFault | undefined;
  close(): Promise<void>;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Path style, and virtual-host style below `localhost`. */
async function decode(message: IncomingMessage): Promise<DoubleRequest> {
  const headers = Object.fromEntries(
    Object.entries(message.headers).map(([name, value]) => [name, String(value)]),
  );
  const url = new URL(message.url!, 'http://double');
  const path = decodeURIComponent(url.pathname).slice(1);
  const host = /^(.+)\.localhost(:\d+)?$/.exec(headers['host'] ?? '')?.[1];
  const slash = path.includes('/') ? path.indexOf('/') : path.length;
  return {
    method: message.method!,
    bucket: host ?? path.slice(0, slash),
    key: host === undefined ? path.slice(slash + 1) : path,
    query: url.searchParams,
    headers,
    body: await bodyOf(message),
  };
}

function send(
  request: DoubleRequest,
  response: ServerResponse,
  answer: Answer,
  cut: boolean,
): void {
  const body = Buffer.from(answer.body ?? '');
  const length = { 'content-length': String(body.length), 'x-amz-request-id': 'DOUBLE' };
  response.writeHead(answer.status, { ...length, ...answer.headers });
  if (request.method === 'HEAD') response.end();
  else if (!cut) response.end(body);
  else response.write(body.subarray(0, body.length >> 1), () => response.destroy());
}

async function handle(double: S3Double, message: IncomingMessage, response: ServerResponse) {
  const request = await decode(message);
  double.requests.push({
    method: request.method,
    path: message.url!,
    headers: request.headers,
  });
  const fault = double.fault(request);
  const reset = () => message.socket.resetAndDestroy();
  if (fault?.kind === 'hang') return;
  if (fault?.kind === 'reset') return reset();
  if (fault?.kind === 'answer') return send(request, response, fault.answer, false);
  if (fault?.kind === 'delay') await sleep(fault.ms);
  const answer = double.objects.answer(request);
  if (fault?.kind === 'loseAnswer') return reset();
  const changed: Answer = {
    ...answer,
    headers: { ...answer.headers, ...(fault?.kind === 'headers' ? fault.headers : {}) },
    body:
      fault?.kind === 'body' ? fault.change(Buffer.from(answer.body ?? '')) : (answer.body ?? ''),
  };
  send(request, response, changed, fault?.kind === 'cut');
}

export async function startS3Double(bucket = 'bucket'): Promise<S3Double> {
  const server = createServer((message, response) => {
    handle(double, message, response).catch(() => message.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const double: S3Double = {
    port,
    endpoint: `http://127.0.0.1:${port}`,
    bucket,
    objects: new DoubleObjects(bucket),
    requests: [],
    fault: () => undefined,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return double;
}
