/**
 * A server of openduck.v1 with one DuckDB in memory: what a worker answers, without a worker. Knows
 * the databases '', 'mydb' and 'default', the token 'T' if it is told one, and any snapshot but
 * 'missing'.
 */
import { DuckDBInstance } from '@duckdb/node-api';
import { Metadata, type ServerCredentials, status } from '@grpc/grpc-js';
import { encodeResult } from '../../exec/arrow/encode.js';
import { encodeBatch, encodeError, encodeFinished } from '../../exec/protocol/chunks.js';
import { type Asked, type Script, ScriptedServer } from './scriptedServer.js';

export interface DuckdbServerOptions {
  readonly setup?: string;
  readonly token?: string;
  readonly credentials?: ServerCredentials;
  /** So many times more the version that was told is not held any more. */
  readonly forgets?: { times: number };
}

function refusal({ request }: Asked, options: DuckdbServerOptions): object | undefined {
  if (options.token !== undefined && request.access_token !== options.token) {
    return { code: status.UNAUTHENTICATED, details: 'the token is not known' };
  }
  if (!['', 'mydb', 'default'].includes(request.database)) {
    return { code: status.NOT_FOUND, details: `there is no database ${request.database}` };
  }
  const { forgets } = options;
  if (request.snapshot_id === 'v:test:1' && forgets !== undefined && forgets.times > 0) {
    forgets.times--;
    return { code: status.ABORTED, details: 'the version is not held any more' };
  }
  if (request.snapshot_id === 'missing') {
    return { code: status.NOT_FOUND, details: 'mydb has no snapshot missing' };
  }
  return undefined;
}

export interface DuckdbServer {
  readonly server: ScriptedServer;
  stop(): void;
}

export async function startDuckdbServer(options: DuckdbServerOptions = {}): Promise<DuckdbServer> {
  const instance = await DuckDBInstance.create();
  const main = await instance.connect();
  if (options.setup !== undefined) await main.run(options.setup);
  const script: Script = async function* (asked, sendMetadata) {
    const problem = refusal(asked, options);
    if (problem !== undefined) throw problem;
    const metadata = new Metadata();
    metadata.set('openduck-version', 'v:test:1');
    sendMetadata(metadata);
    const connection = await instance.connect();
    const given = (name: string): string | undefined => asked.metadata.get(name)[0]?.toString();
    try {
      const result = await connection.stream(asked.sql);
      const payloads = encodeResult(result, {
        batchRows: Number(given('openduck-batch-rows') ?? 2048),
        dictionaries: given('openduck-dictionaries') === '1',
        exact: given('openduck-exact-types') === '1',
      });
      for await (const payload of payloads) yield encodeBatch(payload);
      yield encodeFinished();
    } catch (error) {
      yield encodeError((error as Error).message);
    } finally {
      connection.closeSync();
    }
  };
  const server = await ScriptedServer.start(script, options.credentials);
  return {
    server,
    stop: () => {
      server.stop();
      main.closeSync();
      instance.closeSync();
    },
  };
}
