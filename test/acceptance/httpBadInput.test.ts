/** The HTTP side against strangers: tokens, nonsense, slow and idle connections; and its end. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { HttpMount, send } from '../harness/httpMount.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { sleep, within } from '../harness/testRun.js';

async function makeDatabases(scene: Scene, http: HttpMount, ...names: string[]): Promise<void> {
  for (const name of names) {
    const writer = scene.duckdb();
    await writer.open(http.mount.path(`${name}.duckdb`));
    await writer.sql('CREATE TABLE t AS SELECT range AS i FROM range(500000)');
    await writer.end();
    await http.snapshot(name);
  }
}

/** Everything that the server says until it closes, or until `limitMs`. */
function talk(endpoint: string, text: string, limitMs = 5000): Promise<string> {
  const { hostname, port } = new URL(endpoint);
  return new Promise((resolve) => {
    let heard = '';
    const socket = connect(Number(port), hostname, () => socket.write(text));
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(heard);
    };
    const timer = setTimeout(end, limitMs);
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
    });
    socket.on('close', end);
    socket.on('error', end);
  });
}

acceptance('tokens: none, wrong, and for some databases', { seconds: 60 }, async (scene) => {
  const tokens = join(await scene.tempDir(), 'tokens.toml');
  await writeFile(
    tokens,
    `[[token]]\nname = "some"\ntoken = "for-a-alone"\nread = ["a"]
[[token]]\nname = "all"\ntoken = "for-everything"\nread = ["*"]\n`,
  );
  const http = await HttpMount.start(scene, ['--tokens', tokens]);
  await makeDatabases(scene, http, 'a', 'b');
  const status = async (path: string, authorization?: string) => {
    const headers = authorization === undefined ? {} : { authorization };
    return (await http.send(path, { headers })).status;
  };
  assert.equal(await status('/db/a.duckdb'), 401);
  assert.equal(await status('/db/a.duckdb', 'Bearer '), 401);
  assert.equal(await status('/db/a.duckdb', 'Bearer for-a-alone2'), 401);
  assert.equal(await status('/db/a.duckdb', 'Basic for-a-alone'), 401);
  assert.equal(await status('/db/a.duckdb', 'Bearer for-a-alone'), 200);
  assert.equal(await status('/db/b.duckdb', 'Bearer for-a-alone'), 403);
  assert.equal(await status('/db/nix.duckdb', 'Bearer for-a-alone'), 403);
  assert.equal(await status('/db/b.duckdb', 'bearer for-everything'), 200);
  assert.equal(await status('/db/nix.duckdb', 'Bearer for-everything'), 404);
  const refused = await http.send('/db/a.duckdb', { method: 'HEAD' });
  assert.match(refused.headers['www-authenticate'] ?? '', /^Bearer/);
  assert.equal(await status('/healthz'), 200, 'for load balancers');
  const log = await http.mount.log();
  assert.doesNotMatch(log, /for-a-alone|for-everything/, 'no token in the log');
});

acceptance('nonsense gets an answer or a closed connection', { seconds: 90 }, async (scene) => {
  const http = await HttpMount.start(scene);
  await makeDatabases(scene, http, 'a');
  for (const [path, status] of [
    ['/nix', 404],
    ['/page/', 404],
    ['/page/../app.js', 404],
    ['/api/', 404],
    ['/db/', 404],
    ['/db/a', 404],
    ['/db/../../etc/passwd', 404],
    ['/db/..%2f..%2fetc%2fpasswd', 404],
    ['/db/a%2f..%2fa.duckdb', 404],
    ['/db//a.duckdb', 404],
    ['/db/a.duckdb/', 404],
    ['/db/a.duckdb%00', 404],
    ['/db/a%ff.duckdb', 400],
    ['/db/a@nix.duckdb', 404],
    ['/db/a@%7E99.duckdb', 404],
    ['/db/a.duckdb.tmp', 404],
    ['/db/a.duckdb?session=', 400],
    [`/db/${'x'.repeat(4000)}.duckdb`, 404],
    ['//a.duckdb', 404],
  ] as const) {
    const { status: got, body } = await http.send(path);
    assert.ok(got === status, `${path}: ${got} ${body}`);
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE']) {
    const answer = await http.send('/db/a.duckdb', { method });
    assert.deepEqual([answer.status, answer.headers.allow], [405, 'GET, HEAD'], method);
  }
  const foreign = await http.send('/db/a.duckdb', { headers: { host: 'evil.example:7880' } });
  assert.equal(foreign.status, 403, 'a web page with a name of its own for this address');

  const { endpoint } = http;
  assert.match(await talk(endpoint, 'nonsense\r\n\r\n'), /^HTTP\/1.1 400/);
  assert.match(
    await talk(endpoint, `GET /${'x'.repeat(40_000)} HTTP/1.1\r\n\r\n`),
    /^HTTP\/1.1 431/,
  );
  assert.match(await talk(endpoint, 'GET /db/a.duckdb HTTP/1.1\r\n\r\n'), /^HTTP\/1.1 400/);
  const many = `X: ${'y'.repeat(1000)}\r\n`.repeat(40);
  assert.match(
    await talk(endpoint, `GET / HTTP/1.1\r\nHost: localhost\r\n${many}\r\n`),
    /^HTTP\/1.1 431/,
  );
  for (let i = 0; i < 50; i++) {
    const bytes = scene.random.bytes(scene.random.int(1, 3000)).toString('latin1');
    await talk(endpoint, `${bytes}\r\n\r\n`, 300);
  }
  assert.equal((await http.send('/db/a.duckdb')).status, 200);
});

acceptance('slow and idle connections are borne, and ended', { seconds: 120 }, async (scene) => {
  const http = await HttpMount.start(scene);
  await makeDatabases(scene, http, 'a');
  const { hostname, port } = new URL(http.endpoint);
  const sockets: Socket[] = [];
  const closed: Promise<unknown>[] = [];
  for (let i = 0; i < 1000; i++) {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    sockets.push(socket);
    // A tenth of them sends a line of headers now and then.
    if (i % 10 === 0) {
      closed.push(new Promise((resolve) => socket.once('close', resolve)));
      socket.write('GET /db/a.duckdb HTTP/1.1\r\nHost: localhost\r\n');
      const drip = setInterval(() => socket.write('X-Slow: 1\r\n'), 1000);
      socket.once('close', () => clearInterval(drip));
    }
  }
  await sleep(500);
  for (let i = 0; i < 20; i++) {
    const answer = await http.send('/db/a.duckdb', { headers: { range: 'bytes=0-99' } });
    assert.equal(answer.status, 206);
  }
  await within(30_000, 'the end of those that are slow', Promise.all(closed));
  assert.equal((await http.send('/db/a.duckdb')).status, 200);
  for (const socket of sockets) socket.destroy();
});

acceptance(
  'clients that do not read their answer take no memory',
  { seconds: 90 },
  async (scene) => {
    const http = await HttpMount.start(scene);
    const writer = scene.duckdb();
    await writer.open(http.mount.path('a.duckdb'));
    await writer.sql('CREATE TABLE t AS SELECT md5(range::VARCHAR) AS s FROM range(1500000)');
    await writer.end();
    await http.snapshot('a');
    const { hostname, port } = new URL(http.endpoint);
    const before = await memory(http);
    const sockets = Array.from({ length: 200 }, () => {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => {});
      socket.write('GET /db/a.duckdb HTTP/1.1\r\nHost: localhost\r\n\r\n');
      socket.pause();
      return socket;
    });
    await sleep(3000);
    const grown = (await memory(http)) - before;
    scene.note(`200 stalled answers: ${Math.round(grown / 2 ** 20)} MiB more`);
    assert.ok(grown < 300 * 2 ** 20, `${grown} bytes`);
    for (const socket of sockets) socket.destroy();
    await sleep(500);
    assert.equal((await http.send('/db/a.duckdb', { method: 'HEAD' })).status, 200);
    const part = await http.send('/db/a.duckdb', { headers: { range: 'bytes=0-9' } });
    assert.equal(part.status, 206, 'they have given their slots back');
  },
);

async function memory(http: HttpMount): Promise<number> {
  const { memoryBytes } = (await http.mount.status()) as unknown as { memoryBytes: number };
  return memoryBytes;
}

acceptance('the daemon ends cleanly under readers', { seconds: 60 }, async (scene) => {
  const http = await HttpMount.start(scene);
  await makeDatabases(scene, http, 'a');
  let [answered, isOver] = [0, false];
  const lanes = Array.from({ length: 16 }, async () => {
    while (!isOver) {
      await send(`${http.endpoint}/db/a.duckdb`).then(
        () => answered++,
        () => sleep(10),
      );
    }
  });
  await sleep(500);
  await http.mount.stop();
  isOver = true;
  await Promise.all(lanes);
  assert.ok(answered > 0);
  assert.doesNotMatch(await http.mount.log(), /"level":"error"/);
  await http.mount.start(['--http=127.0.0.1:0']);
  const endpoint = await HttpMount.endpointOf(http.mount);
  assert.equal((await send(`${endpoint}/db/a.duckdb`)).status, 200);
});
