/** A bundle for somebody else: it can be unpacked, has what helps, and none of the secrets. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { HIDDEN, isSecretName, Redaction } from '../../daemon/debugBundle/redaction.js';
import { tarOf } from '../../daemon/debugBundle/tar.js';
import { runCommand } from './runCommand.js';

const root = await mkdtemp(join(tmpdir(), 'openduck-bundle-'));
after(() => rm(root, { recursive: true, force: true }));
const tar = async (...words: string[]) => (await promisify(execFile)('tar', words)).stdout;

/** Every one of them must not be in the bundle, in whatever spelling. */
const PLANTED = {
  token: 'tok-7f3a9c1e5b',
  gatewayToken: 'gwtok-2244668800',
  password: 'p@ss/w%rd-Zx91',
  encoded: 'p%40ss%2Fw%25rd-Zx91',
  accessKey: 'AKIAABCDEFGHIJKLMNOP',
  secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCY',
  listed: 'listed-token-8888',
  inLog: 'log-token-424242',
  bearer: 'eyJhbGciOiJIUzI1NiJ9.abc.def',
  value: 'salary-of-alice-90210',
};

async function unpacked(file: string, name: string): Promise<Map<string, string>> {
  const place = join(root, name);
  await mkdir(place);
  await tar('-xzf', file, '-C', place);
  const [folder] = await readdir(place);
  const texts = new Map<string, string>();
  for (const entry of await readdir(join(place, folder!))) {
    texts.set(entry, await readFile(join(place, folder!, entry), 'utf8'));
  }
  return texts;
}

test('secrets in environment, settings, their files and logs are not in it', async () => {
  const dataDir = join(root, 'data');
  await mkdir(dataDir);
  const line = (fields: object) => `${JSON.stringify({ level: 'info', time: 't', ...fields })}\n`;
  const log =
    line({ msg: 'the file system is mounted', mountpoint: '/mnt/duck' }) +
    line({ msg: `connect postgres://duck:${PLANTED.encoded}@db/x failed` }) +
    line({ msg: 'refused', token: PLANTED.inLog, url: `http://h/?token=${PLANTED.inLog}&a=1` }) +
    line({ msg: 'm', header: `Authorization: Bearer ${PLANTED.bearer}` }) +
    line({ msg: `${PLANTED.listed} may not write, nor may ${PLANTED.gatewayToken}` }) +
    line({ code: 'QUERY', error: `Conversion Error: '${PLANTED.value}'`, msg: 'refused' }) +
    line({ sql: `SELECT '${PLANTED.value}'`, msg: 'slow' }) +
    `Error: password=${PLANTED.password} and ${PLANTED.accessKey}\n`;
  await writeFile(join(dataDir, 'daemon.log'), log);
  await writeFile(join(dataDir, 'daemon.log.1'), `old ${PLANTED.token}\n`);
  const urlFile = join(root, 'duck.url');
  await writeFile(urlFile, `postgres://duck:${PLANTED.encoded}@127.0.0.1:1/duck\n`);
  const tokens = join(root, 'tokens.toml');
  await writeFile(tokens, `[[token]]\nname = "etl"\ntoken = "${PLANTED.listed}"\n`);
  const config = join(root, 'duck.toml');
  await writeFile(
    config,
    `data-dir = "${dataDir}"\nmetadata-file = "${urlFile}"\nwriter-wait = "7s"\n` +
      `gateway-token = "${PLANTED.gatewayToken}"\ntokens = "${tokens}"\n`,
  );
  const file = join(root, 'bundle.tar.gz');
  const environment = {
    OPENDUCK_WORKER_TOKEN: PLANTED.token,
    AWS_SECRET_ACCESS_KEY: PLANTED.secretKey,
    AWS_ACCESS_KEY_ID: PLANTED.accessKey,
    OPENDUCK_LOG_LEVEL: 'debug',
  };
  const made = await runCommand(['debug-bundle', file, '--config', config], environment);
  assert.equal(made.code, 0, made.stderr);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  const texts = await unpacked(file, 'all');
  for (const name of [
    'about.json',
    'environment.json',
    'config.json',
    'daemon.log',
    'doctor.json',
  ]) {
    assert.ok(texts.has(name), `${name} is there: ${[...texts.keys()]}`);
  }
  for (const [what, secret] of Object.entries(PLANTED)) {
    for (const [name, text] of texts) assert.ok(!text.includes(secret), `${what} in ${name}`);
    assert.ok(!made.stdout.includes(secret));
  }
  // What helps is still there.
  assert.match(texts.get('daemon.log')!, /the file system is mounted.*\/mnt\/duck/);
  assert.match(texts.get('daemon.log')!, /connect postgres:\/\/duck:\(secret\)@db\/x failed/);
  assert.match(texts.get('doctor.json')!, /"level": "fail"/);
  assert.match(texts.get('config.json')!, /"writer-wait": "7s"/);
  assert.match(texts.get('config.json')!, /"metadata-file": ".*duck\.url"/);
  assert.match(texts.get('environment.json')!, /"OPENDUCK_LOG_LEVEL": "debug"/);
  assert.match(texts.get('environment.json')!, /"OPENDUCK_WORKER_TOKEN": "\(secret\)"/);
  assert.match(texts.get('daemon.log.1')!, /^old \(secret\)$/m);
});

test('doctor and status are in it; a file that is there is not written over', async () => {
  const dataDir = join(root, 'plain');
  const file = join(root, 'plain.tar.gz');
  const words = ['debug-bundle', file, '--data-dir', dataDir, '--json'];
  const made = await runCommand(words);
  assert.equal(made.code, 0, made.stderr);
  const { path, files } = JSON.parse(made.stdout) as { path: string; files: string[] };
  assert.equal(path, file);
  const texts = await unpacked(file, 'plain-unpacked');
  assert.deepEqual([...texts.keys()].sort(), [...files].sort());
  const status = JSON.parse(texts.get('status.json')!) as { running: boolean; dataDir: string };
  assert.deepEqual([status.running, status.dataDir], [false, dataDir]);
  const doctor = JSON.parse(texts.get('doctor.json')!) as { findings: unknown[] };
  assert.ok(doctor.findings.length > 5);
  const again = await runCommand(words);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /plain\.tar\.gz/);
});

test('settings that are wrong are a part of what it tells, not the end of it', async () => {
  const config = join(root, 'wrong.toml');
  await writeFile(config, 'writer-wait = "soon"\nno-such-setting = 1\n');
  const file = join(root, 'wrong.tar.gz');
  const made = await runCommand(['debug-bundle', file, '--config', config]);
  assert.equal(made.code, 0, made.stderr);
  const texts = await unpacked(file, 'wrong');
  assert.match(texts.get('config.json')!, /no-such-setting/);
  assert.match(texts.get('doctor.json.error')!, /unknown setting 'no-such-setting'/);
  assert.match(texts.get('status.json.error')!, /unknown setting 'no-such-setting'/);
});

test('which names mean secrets, and which only a place', () => {
  for (const name of ['OPENDUCK_TOKEN', 'worker-token', 'AWS_SECRET_ACCESS_KEY', 'metadata']) {
    assert.equal(isSecretName(name), true, name);
  }
  for (const name of ['metadata-file', 'AWS_SHARED_CREDENTIALS_FILE', 'tls-key', 'data-dir']) {
    assert.equal(isSecretName(name), false, name);
  }
});

test('patterns: what looks like a secret goes, the words around it stay', () => {
  const redaction = new Redaction();
  const cases: [string, string][] = [
    ['postgres://u:p@h/d?x=1', `postgres://u:${HIDDEN}@h/d?x=1`],
    ['s3 --token abcdef end', `s3 --token ${HIDDEN} end`],
    [
      'openduck:db?endpoint=http://h&token=abc&x=1',
      `openduck:db?endpoint=http://h&token=${HIDDEN}&x=1`,
    ],
    ['GET /b?X-Amz-Signature=0a1b&v=2', `GET /b?X-Amz-Signature=${HIDDEN}&v=2`],
    ['the token bucket is empty', 'the token bucket is empty'],
    ['http://127.0.0.1:7878/ answers', 'http://127.0.0.1:7878/ answers'],
  ];
  for (const [given, expected] of cases) assert.equal(redaction.text(given), expected);
  const pem = '-----BEGIN PRIVATE KEY-----\nMIIE\nabc\n-----END PRIVATE KEY-----\nafter';
  assert.equal(redaction.text(pem), `${HIDDEN}\nafter`);
  assert.equal(redaction.text(pem.slice(0, 40)), HIDDEN, 'also one that is cut off');
});

test('tar: what is packed comes out, whatever its length', async () => {
  const lengths = [0, 1, 511, 512, 513, 100_000];
  const entries = lengths.map((length) => ({
    name: `f/${length}`,
    content: Buffer.alloc(length, String(length)),
  }));
  const path = join(root, 'lengths.tar');
  await writeFile(path, tarOf(entries, 1_700_000_000));
  await tar('-xf', path, '-C', root);
  for (const { name, content } of entries) {
    assert.deepEqual(await readFile(join(root, name)), content);
    assert.equal((await stat(join(root, name))).mtimeMs, 1_700_000_000_000);
  }
});
