import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queryError } from '../../exec/duckdb/queryError.js';
import { describeError, OpenduckError } from '../../proto/errors.js';
import { toGrpcError } from '../../proto/grpcErrors.js';

test('an error is described with its causes', () => {
  const root = new Error('no space');
  const middle = new Error('append failed', { cause: root });
  const error = new OpenduckError('IO', 'cannot commit', { cause: middle });
  assert.equal(describeError(error), 'cannot commit (append failed; no space)');
  assert.equal(describeError(new Error('alone')), 'alone');
  assert.equal(describeError('a text'), 'a text');
});

test('what DuckDB said is said once, also to clients', () => {
  const error = queryError(new Error('Parser Error: syntax error'));
  assert.equal(error.cause instanceof Error, true);
  assert.equal(describeError(error), 'Parser Error: syntax error');
  assert.equal(toGrpcError(error).details, 'Parser Error: syntax error');
});
