/** Tokens, grants, certificates, health: who gets in, and what is told to those who set it up. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ChannelCredentials, Client, status } from '@grpc/grpc-js';
import { authorizeEverybody, authorizeGrants } from '../../exec/security/access.js';
import { isLoopback, requireToken } from '../../exec/security/exposure.js';
import { parseGrants } from '../../exec/security/grantsFile.js';
import { channelCredentials, type Pem, serverCredentials } from '../../exec/security/tls.js';
import { HEALTH_SERVICE } from '../../exec/server/health.js';
import { OpenduckError } from '../../proto/errors.js';
import { makeTestCertificate } from '../harness/testCertificate.js';
import { request, startServer, TestClient, targetOf } from './serverScene.js';

const root = await mkdtemp(join(tmpdir(), 'openduck-security-'));
after(() => rm(root, { recursive: true, force: true }));

async function pem(path: string): Promise<Pem> {
  return { text: await readFile(path, 'utf8'), origin: path };
}

async function makePair(name: string) {
  const directory = await mkdtemp(join(root, name));
  const { caFile, certificateFile, keyFile } = await makeTestCertificate(directory);
  return {
    ca: await pem(caFile),
    certificate: await pem(certificateFile),
    key: await pem(keyFile),
  };
}

const [ours, theirs] = [await makePair('ours'), await makePair('theirs')];

const GRANTS = `
# who may what
[[token]]
name = "dashboards"
token_sha256 = "${'9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08'}"
read = ["sales", "default"]

[[token]]
name = "loader"
token = "loader-secret"
read = ["sales"]
write = ["stock"]

[[token]]
name = "workers"
token = "worker-secret"
serve = true
[[token]]
name = "admin"
token = "admin-secret"
write = ["*"]
`;

test('a file of grants says what each token may do', () => {
  const authorize = authorizeGrants(parseGrants(GRANTS, 'tokens.toml'));
  const dashboards = authorize('test');
  assert.deepEqual([dashboards?.name, dashboards?.mayServe], ['dashboards', false]);
  assert.deepEqual(
    ['sales', '', 'default', 'stock', '*'].map((name) => dashboards?.mayRead(name)),
    [true, true, true, false, false],
  );
  assert.equal(dashboards?.mayWrite('sales'), false);
  const loader = authorize('loader-secret');
  assert.deepEqual([loader?.mayRead('stock'), loader?.mayWrite('stock')], [true, true]);
  assert.deepEqual([loader?.mayRead('sales'), loader?.mayWrite('sales')], [true, false]);
  const workers = authorize('worker-secret');
  assert.deepEqual([workers?.mayServe, workers?.mayRead('sales')], [true, false]);
  const admin = authorize('admin-secret');
  assert.deepEqual(
    [admin?.mayRead('x'), admin?.mayWrite(''), admin?.mayServe],
    [true, true, false],
  );
  for (const token of ['', 'Test', 'admin-secret\0', 'admin']) {
    assert.equal(authorize(token), undefined, token);
  }
});

test('a wrong file of grants is refused with the line, and without its tokens', () => {
  const token = (lines: string) => `\n\n[[token]]\n${lines}\n`;
  const good = token('name = "a"\ntoken = "secret-12345"\nread = ["*"]');
  const wrong: [string, RegExp][] = [
    ['', /t\.toml: there is no token/],
    ['x = 1', /t\.toml: unknown key 'x'/],
    ['token = "secret-12345"', /t\.toml: 'token' must be a list/],
    ['\n[[token]]\nname = "a"\ntoken = "secret-12345', /t\.toml, line 4: not valid TOML/],
    [token('name = "a"\nread = ["*"]'), /line 3: needs either/],
    [token('name = "a"\ntoken = "secret-12345"'), /line 3: token 'a' grants nothing/],
    [token('token = "secret-12345"\nread = ["*"]'), /line 3: 'name' must be/],
    [token('name = "a"\ntoken = "short"\nread = ["*"]'), /line 3: 'token' must be .* at least 8/],
    [token('name = "a"\ntoken_sha256 = "abc"\nread = ["*"]'), /line 3: 'token_sha256' must be 64/],
    [token('name = "a"\ntoken = "secret-12345"\nread = "*"'), /line 3: 'read' must be a list/],
    [token('name = "a"\ntoken = "secret-12345"\nserve = 1'), /line 3: 'serve' must be true/],
    [token('name = "a"\ntoken = "secret-12345"\nreads = ["*"]'), /line 3: unknown key 'reads'/],
    [good + good, /line 9: 'a' has the token of 'a'/],
    [good + token('name = "a"\ntoken = "another-12345"\nread = ["*"]'), /line 9: there is another/],
  ];
  for (const [text, message] of wrong) {
    assert.throws(
      () => parseGrants(text, 't.toml'),
      (error: unknown) => {
        assert.ok(error instanceof OpenduckError && error.code === 'USAGE');
        assert.match(error.message, message);
        assert.doesNotMatch(JSON.stringify([error.message, String(error.cause)]), /secret|short/);
        return true;
      },
    );
  }
});

test('listening for others needs a token', () => {
  for (const host of ['127.0.0.1', '127.8.9.1', 'localhost', '::1']) {
    assert.equal(isLoopback(host), true, host);
    requireToken(host, false);
  }
  for (const host of [
    '0.0.0.0',
    '::',
    '10.0.0.1',
    'example.org',
    'fe80::1',
    '',
    '::ffff:10.0.0.1',
  ]) {
    assert.equal(isLoopback(host), false, host);
    requireToken(host, true);
    assert.throws(() => requireToken(host, false), { code: 'USAGE' }, host);
  }
});

test('without tokens everybody gets in', async () => {
  const server = await startServer({}, { authorize: authorizeEverybody() });
  const client = new TestClient(targetOf(server));
  for (const access_token of ['', 'whatever']) {
    assert.equal((await client.execute(request({ access_token }))).status.code, status.OK);
  }
  client.close();
  await server.close();
});

test('TLS: clients that trust the authority get in, plain ones do not', {
  timeout: 60_000,
}, async () => {
  const { certificate, key } = ours;
  const server = await startServer({}, { tls: { certificate, key } });
  const execute = async (credentials: ChannelCredentials, token?: string) => {
    const client = new TestClient(targetOf(server), credentials);
    const fields = token === undefined ? {} : { access_token: token };
    const answer = await client.execute(request(fields), undefined, {
      deadline: Date.now() + 20_000,
    });
    client.close();
    return answer.status.code;
  };
  assert.equal(await execute(channelCredentials({ ca: ours.ca })), status.OK);
  assert.equal(await execute(channelCredentials({ ca: ours.ca }), 'no'), status.UNAUTHENTICATED);
  assert.equal(await execute(channelCredentials({ ca: theirs.ca })), status.UNAVAILABLE);
  assert.equal(await execute(channelCredentials({})), status.UNAVAILABLE);
  assert.equal(await execute(ChannelCredentials.createInsecure()), status.UNAVAILABLE);
  await server.close();
});

test('mutual TLS: only clients with a certificate of the authority get in', {
  timeout: 60_000,
}, async () => {
  const { certificate, key, ca } = ours;
  const server = await startServer({}, { tls: { certificate, key, clientCa: ca } });
  const execute = async (pair?: { certificate: Pem; key: Pem }) => {
    const client = new TestClient(targetOf(server), channelCredentials({ ca, ...pair }));
    const answer = await client.execute(request(), undefined, { deadline: Date.now() + 20_000 });
    client.close();
    return answer.status.code;
  };
  assert.equal(await execute({ certificate, key }), status.OK);
  assert.equal(await execute(), status.UNAVAILABLE);
  assert.equal(await execute(theirs), status.UNAVAILABLE);
  await server.close();
});

test('certificates and keys that cannot serve are refused before anything listens', async () => {
  const { certificate, key } = ours;
  const none: Pem = { text: 'nothing', origin: 'none.pem' };
  const wrong: [Parameters<typeof serverCredentials>[0], RegExp][] = [
    [{ certificate, key: theirs.key }, /is not the key of the certificate/],
    [{ certificate: none, key }, /^none\.pem: not a certificate/],
    [{ certificate, key: none }, /^none\.pem: not a private key/],
    [{ certificate, key, clientCa: none }, /^none\.pem: not a certificate/],
  ];
  for (const [tls, message] of wrong) {
    assert.throws(() => serverCredentials(tls), { code: 'USAGE', message });
    await assert.rejects(startServer({}, { tls }), { code: 'USAGE', message });
  }
  assert.throws(() => channelCredentials({ certificate, key: theirs.key }), { code: 'USAGE' });
});

interface HealthReply {
  readonly status: string;
}

test('health needs no token, and tells when the server begins to end', {
  timeout: 60_000,
}, async () => {
  const server = await startServer({});
  const client = new Client(targetOf(server), ChannelCredentials.createInsecure());
  const { Check, Watch } = HEALTH_SERVICE as Required<typeof HEALTH_SERVICE>;
  const check = (service: string) =>
    new Promise<HealthReply>((resolve, reject) =>
      client.makeUnaryRequest(
        Check!.path,
        Check!.requestSerialize,
        Check!.responseDeserialize as (bytes: Buffer) => HealthReply,
        { service },
        (error, reply) => (error ? reject(error) : resolve(reply!)),
      ),
    );
  const watch = (service: string) => {
    const seen: string[] = [];
    const { path, requestSerialize, responseDeserialize } = Watch!;
    const stream = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize as (bytes: Buffer) => HealthReply,
      { service },
    );
    stream.on('data', (reply: HealthReply) => seen.push(reply.status));
    const end = new Promise((resolve) => stream.once('end', resolve));
    const first = new Promise((resolve) => stream.once('data', resolve));
    return { seen, end, first };
  };
  assert.equal((await check('')).status, 'SERVING');
  assert.equal((await check('openduck.v1.ExecutionService')).status, 'SERVING');
  await assert.rejects(check('other'), { code: status.NOT_FOUND });
  const [known, unknown] = [watch(''), watch('other')];
  await Promise.all([known.first, unknown.first]);
  await server.drain(0);
  assert.equal((await check('')).status, 'NOT_SERVING');
  await server.close();
  await Promise.all([known.end, unknown.end]);
  assert.deepEqual(known.seen, ['SERVING', 'NOT_SERVING']);
  assert.deepEqual([...new Set(unknown.seen)], ['SERVICE_UNKNOWN']);
  client.close();
});

test('methods and services that are not there are UNIMPLEMENTED', async () => {
  const server = await startServer({});
  const client = new Client(targetOf(server), ChannelCredentials.createInsecure());
  const bytes = (value: Buffer) => value;
  for (const path of ['/openduck.v1.ExecutionService/Nothing', '/other/Execute', '/']) {
    const call = new Promise((resolve, reject) =>
      client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), (error, reply) =>
        error ? reject(error) : resolve(reply),
      ),
    );
    await assert.rejects(call, { code: status.UNIMPLEMENTED }, path);
  }
  client.close();
  await server.close();
});
