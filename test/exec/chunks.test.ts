import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadSync } from '@grpc/proto-loader';
import fc from 'fast-check';
import {
  decodeChunk,
  encodeBatch,
  encodeError,
  encodeFinished,
} from '../../exec/protocol/chunks.js';
import { EXECUTION_SERVICE } from '../../exec/protocol/execution.js';
import { OpenduckError } from '../../proto/errors.js';

const loaded = loadSync('proto/openduck/v1/execution.proto', { keepCase: true });
const service = loaded['openduck.v1.ExecutionService'] as unknown as typeof EXECUTION_SERVICE;
/** The protobuf library's own view of the same bytes. */
const reference = service.ExecuteFragment;

describe('chunks on the wire', () => {
  test('a batch is what the protobuf library writes and reads', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 70_000 }), (payload) => {
        const ours = encodeBatch(payload);
        const theirs = reference.responseSerialize({
          arrow_batch: { ipc_stream_payload: payload },
        } as never);
        assert.ok(ours.equals(theirs));
        const chunk = decodeChunk(theirs);
        assert.ok(chunk.kind === 'batch' && Buffer.from(payload).equals(chunk.payload));
      }),
    );
  });

  test('errors and the end', () => {
    const error = 'Binder Error: Spalte „ü“ fehlt';
    assert.ok(encodeError(error).equals(reference.responseSerialize({ error } as never)));
    assert.deepEqual(decodeChunk(encodeError(error)), { kind: 'error', message: error });
    assert.ok(encodeFinished().equals(reference.responseSerialize({ finished: true } as never)));
    assert.deepEqual(decodeChunk(encodeFinished()), { kind: 'finished' });
  });

  test('any bytes are a chunk or CORRUPT', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          decodeChunk(bytes);
        } catch (error) {
          assert.ok(error instanceof OpenduckError && error.code === 'CORRUPT');
        }
      }),
    );
  });

  test('the service has its four methods and paths', () => {
    assert.equal(
      EXECUTION_SERVICE.ExecuteFragment.path,
      '/openduck.v1.ExecutionService/ExecuteFragment',
    );
    const request = {
      plan: Buffer.from('SELECT 1'),
      database: 'mydb',
      access_token: 't',
      execution_id: 'e',
      compute_context: '',
    };
    const sent = EXECUTION_SERVICE.ExecuteFragment.requestSerialize(request);
    const got = EXECUTION_SERVICE.ExecuteFragment.requestDeserialize(sent);
    assert.equal(got.snapshot_id ?? undefined, undefined);
    assert.equal(Buffer.from(got.plan).toString(), 'SELECT 1');
    // Field numbers, as the protocol has them: plan 1, database 2.
    assert.equal(
      sent.subarray(0, 10).toString('hex'),
      `0a08${Buffer.from('SELECT 1').toString('hex')}`,
    );
    assert.equal(sent[10], 0x12);
  });
});
