import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ServerCredentials } from '@grpc/grpc-js';
import { connect } from '../../exec/client/index.js';
import type { TlsOptions } from '../../exec/client/transport.js';
import { runCommand } from '../daemon/runCommand.js';
import { makeTestCertificate } from '../harness/testCertificate.js';
import { makeTempDir } from '../harness/testRun.js';
import { startDuckdbServer } from './duckdbServer.js';

test('TLS and mTLS: whom to trust, and who is trusted', { timeout: 120_000 }, async (t) => {
  const dir = await makeTempDir();
  t.after(() => rm(dir, { recursive: true }));
  await mkdir(join(dir, 'other'));
  const [own, other] = await Promise.all([
    makeTestCertificate(dir),
    makeTestCertificate(join(dir, 'other')),
  ]);
  const pair = {
    private_key: readFileSync(own.keyFile),
    cert_chain: readFileSync(own.certificateFile),
  };
  const ca = readFileSync(own.caFile);
  const plain = await startDuckdbServer({
    credentials: ServerCredentials.createSsl(null, [pair], false),
  });
  const mutual = await startDuckdbServer({
    credentials: ServerCredentials.createSsl(ca, [pair], true),
  });
  const ask = async (port: number, tls: TlsOptions, scheme = 'https'): Promise<unknown> => {
    const session = await connect({ endpoint: `${scheme}://127.0.0.1:${port}`, tls });
    const { rows } = await session.query('SELECT 1').finally(() => session.close());
    return rows;
  };
  const unreachable = { code: 'UNAVAILABLE' };
  try {
    const { port } = plain.server;
    assert.deepEqual(await ask(port, { ca }), [[1]]);
    assert.deepEqual(await ask(port, { ca, serverName: 'localhost' }), [[1]]);
    await assert.rejects(ask(port, { ca, serverName: 'elsewhere' }), unreachable);
    await assert.rejects(ask(port, { ca: readFileSync(other.caFile) }), unreachable);
    await assert.rejects(ask(port, {}), unreachable);
    await assert.rejects(ask(port, {}, 'http'), unreachable);
    await assert.rejects(ask(port, { ca, key: 'no key' }), { code: 'USAGE' });

    const client = (of: typeof own): TlsOptions => ({
      ca,
      certificate: readFileSync(of.certificateFile),
      key: readFileSync(of.keyFile),
    });
    assert.deepEqual(await ask(mutual.server.port, client(own)), [[1]]);
    await assert.rejects(ask(mutual.server.port, client(other)), unreachable);
    await assert.rejects(ask(mutual.server.port, { ca }), unreachable);

    const words = ['query', 'SELECT 1 AS a', '--format', 'csv', '--endpoint'];
    const endpoint = `https://127.0.0.1:${port}`;
    const command = await runCommand([...words, endpoint, '--tls-ca', own.caFile]);
    assert.equal(command.stdout, 'a\r\n1\r\n', command.stderr);
    const missing = await runCommand([...words, endpoint, '--tls-ca', join(dir, 'none')]);
    assert.equal(missing.code, 3);
  } finally {
    plain.stop();
    mutual.stop();
  }
});
