/** grpc.health.v1: SERVING until the server begins to shut down. Needs no token. */
import { fileURLToPath } from 'node:url';
import {
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { assert } from '../../proto/errors.js';

const PROTO = fileURLToPath(new URL('../../proto/grpc/health/v1/health.proto', import.meta.url));

interface HealthRequest {
  readonly service: string;
}

interface HealthReply {
  readonly status: 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
}

type Watcher = ServerWritableStream<HealthRequest, HealthReply>;

function load(): ServiceDefinition {
  const service = loadSync(PROTO, { defaults: true, enums: String })['grpc.health.v1.Health'];
  assert(service !== undefined && !('format' in service), 'health.proto has the service');
  return service as ServiceDefinition;
}

export const HEALTH_SERVICE = load();

/** The server as a whole, and the one service it has. */
const KNOWN = ['', 'openduck.v1.ExecutionService'];

export class Health {
  #serving = true;
  readonly #watchers = new Set<Watcher>();

  get implementation() {
    return {
      Check: (
        { request }: ServerUnaryCall<HealthRequest, HealthReply>,
        reply: sendUnaryData<HealthReply>,
      ) => {
        if (KNOWN.includes(request.service)) reply(null, this.#reply(request));
        else reply({ code: status.NOT_FOUND, details: 'the service is not known' });
      },
      Watch: (call: Watcher) => {
        this.#watchers.add(call);
        call.once('cancelled', () => this.#watchers.delete(call));
        call.write(this.#reply(call.request));
      },
    };
  }

  stopServing(): void {
    if (!this.#serving) return;
    this.#serving = false;
    for (const watcher of this.#watchers) watcher.write(this.#reply(watcher.request));
  }

  endWatches(): void {
    for (const watcher of this.#watchers) watcher.end();
  }

  #reply({ service }: HealthRequest): HealthReply {
    if (!KNOWN.includes(service)) return { status: 'SERVICE_UNKNOWN' };
    return { status: this.#serving ? 'SERVING' : 'NOT_SERVING' };
  }
}
