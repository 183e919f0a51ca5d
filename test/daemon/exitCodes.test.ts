import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitCodeOf } from '../../daemon/exitCodes.js';
import { OpenduckError } from '../../proto/errors.js';

test('exit codes are those of the documented contract', () => {
  const code = (name: ConstructorParameters<typeof OpenduckError>[0]) =>
    exitCodeOf(new OpenduckError(name, 'x'));
  assert.equal(code('IO'), 1);
  assert.equal(code('UNAVAILABLE'), 1);
  assert.equal(code('USAGE'), 2);
  assert.equal(code('INVALID_ARGUMENT'), 2);
  assert.equal(code('UNSUPPORTED'), 2);
  assert.equal(code('NOT_FOUND'), 3);
  assert.equal(code('BUSY'), 4);
  assert.equal(code('LEASE_LOST'), 4);
  assert.equal(exitCodeOf(new Error('a defect')), 1);
  assert.equal(exitCodeOf('not even an error'), 1);
});
