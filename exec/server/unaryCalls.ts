/** CancelExecution, RegisterWorker and Heartbeat: one request, one reply. */
import type { handleUnaryCall, ServerUnaryCall } from '@grpc/grpc-js';
import { OpenduckError } from '../../proto/errors.js';
import type { Logger } from '../../proto/ports.js';
import type { ExecutionMethod, ExecutionMethods } from '../protocol/execution.js';
import type { Authorize } from '../security/access.js';
import { accessOf, checkNames, readable, tokenOf } from './requests.js';
import type { Access, ExecutionHandlers } from './service.js';
import { logFailure, statusOf } from './statuses.js';

type UnaryMethod = Exclude<ExecutionMethod, 'ExecuteFragment'>;
type Request<M extends UnaryMethod> = ExecutionMethods[M]['request'];
type Reply<M extends UnaryMethod> = ExecutionMethods[M]['reply'];

export interface UnaryOptions {
  readonly handlers: ExecutionHandlers;
  readonly authorize: Authorize;
  readonly logger: Logger;
  trust(call: ServerUnaryCall<unknown, unknown>): void;
}

/** Names in lists (databases, tables) of a registration. */
const MOST_NAMES = 10_000;

function checkServe(access: Access): void {
  if (access.mayServe) return;
  throw new OpenduckError('NOT_PERMITTED', `token '${access.name}' may not register workers`, {
    hint: 'Give it serve = true in the file of tokens.',
  });
}

function checkLists(lists: readonly (readonly string[])[]): void {
  if (lists.every((list) => list.length <= MOST_NAMES)) return;
  throw new OpenduckError('INVALID_ARGUMENT', `more than ${MOST_NAMES} databases or tables`);
}

function serve<M extends UnaryMethod>(
  method: M,
  options: UnaryOptions,
  answer: (request: Request<M>, access: Access) => Promise<Reply<M>>,
): handleUnaryCall<Request<M>, Reply<M>> {
  const { authorize, trust, logger } = options;
  const run = async (call: ServerUnaryCall<Request<M>, Reply<M>>) => {
    const access = accessOf(call.metadata, tokenOf(call.request), authorize);
    trust(call);
    return await answer(readable(call.request), access);
  };
  return (call, callback) => {
    run(call).then(
      (reply) => callback(null, reply),
      (error: unknown) => {
        logFailure(logger, { peer: call.getPeer() }, error, method);
        callback(statusOf(error, true));
      },
    );
  };
}

export function unaryCalls(options: UnaryOptions) {
  const { handlers } = options;
  return {
    CancelExecution: serve('CancelExecution', options, async ({ execution_id }, access) => {
      checkNames({ execution_id });
      // Executions without an id cannot be told apart.
      const known = execution_id !== '' && (await handlers.cancel(execution_id, access));
      return { acknowledged: known };
    }),
    RegisterWorker: serve('RegisterWorker', options, async (registration, access) => {
      checkServe(access);
      const { worker_id, endpoint, compute_context, databases, tables } = registration;
      checkNames({ worker_id, endpoint, compute_context });
      checkLists([databases, tables]);
      return { accepted: await handlers.register(registration, access) };
    }),
    Heartbeat: serve('Heartbeat', options, async (heartbeat, access) => {
      checkServe(access);
      checkNames({ worker_id: heartbeat.worker_id });
      return { acknowledged: await handlers.heartbeat(heartbeat, access) };
    }),
  };
}
