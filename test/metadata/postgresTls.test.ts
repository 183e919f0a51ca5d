/**
 * TLS to a real Postgres, with certificates that `openssl` makes; skipped where that is missing.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, chown, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openPostgresStore } from '../../metadata/postgres/open.js';
import { silentLogger, systemClock } from '../../proto/ports.js';
import { removeTempDir } from '../harness/leakCheck.js';
import { type PostgresServer, runSql, startPostgres } from '../harness/postgres.js';
import { isRoot, makeTempDir, NOBODY, sleep } from '../harness/testRun.js';
import { refuses } from './fixtures.js';
import { withParameter } from './postgresHome.js';

const missing = spawnSync('openssl', ['version']).status !== 0;

function openssl(directory: string, ...args: string[]): void {
  execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
}

/** NAME.key, and NAME.crt that signs itself. */
function makeAuthority(directory: string, name: string): void {
  const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`];
  openssl(directory, 'req', '-x509', ...key, '-out', `${name}.crt`, '-subj', `/CN=${name}`);
}

/** NAME.key, and NAME.crt that `authority` signed. */
async function makeCertificate(directory: string, name: string, subject: string): Promise<void> {
  const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`];
  openssl(directory, 'req', ...key, '-out', `${name}.csr`, '-subj', `/CN=${subject}`);
  await writeFile(join(directory, `${name}.ext`), `subjectAltName=DNS:${subject}\n`);
  const signer = ['-CA', 'authority.crt', '-CAkey', 'authority.key', '-CAcreateserial'];
  const files = ['-in', `${name}.csr`, '-out', `${name}.crt`, '-extfile', `${name}.ext`];
  openssl(directory, 'x509', '-req', ...signer, ...files, '-days', '2');
}

/** The certificate is for `localhost`; the role `guest` shows one of its own. */
async function serveTls(server: PostgresServer, directory: string): Promise<void> {
  makeAuthority(directory, 'authority');
  makeAuthority(directory, 'stranger');
  await makeCertificate(directory, 'server', 'localhost');
  await makeCertificate(directory, 'guest', 'guest');
  const home = server.socketDirectory;
  for (const name of ['server.key', 'server.crt', 'authority.crt']) {
    const path = join(home, name);
    await writeFile(path, await readFile(join(directory, name)));
    if (isRoot) await chown(path, NOBODY, NOBODY);
    await chmod(path, 0o600);
  }
  const access = join(home, 'data', 'pg_hba.conf');
  const rules = await readFile(access, 'utf8');
  await writeFile(access, `hostssl all guest 127.0.0.1/32 cert\n${rules}`);
  for (const [setting, value] of [
    ['ssl_cert_file', join(home, 'server.crt')],
    ['ssl_key_file', join(home, 'server.key')],
    ['ssl_ca_file', join(home, 'authority.crt')],
    ['ssl', 'on'],
  ]) {
    await runSql(server.url, `ALTER SYSTEM SET ${setting} = '${value}'`);
  }
  await runSql(server.url, 'CREATE ROLE guest LOGIN SUPERUSER');
  await runSql(server.url, 'SELECT pg_reload_conf()');
  const ready = async () => (await runSql(server.url, 'SHOW ssl'))[0];
  while (JSON.stringify(await ready()) !== '{"ssl":"on"}') await sleep(10);
}

test('postgres: TLS', { skip: missing && 'there is no openssl' }, async (t) => {
  const directory = await makeTempDir();
  after(() => removeTempDir(directory));
  const server = await startPostgres({ tcp: true, fsync: false });
  t.after(() => server.dispose());
  await serveTls(server, directory);
  const here = server.url;
  const named = here.replace('@127.0.0.1:', '@localhost:');
  const file = (name: string) => `&sslrootcert=${encodeURIComponent(join(directory, name))}`;

  const use = async (url: string, parameters: string): Promise<string[]> => {
    const warnings: string[] = [];
    const warn = (_: object, message: string) => warnings.push(message);
    const logger = { ...silentLogger, warn };
    const whole = `${url}?${parameters}`;
    const store = await openPostgresStore({ url: whole, clock: systemClock, logger });
    try {
      assert.deepEqual(await store.check(), []);
      const sessions = await runSql(
        server.url,
        'SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) ' +
          "WHERE a.application_name = 'openduck-fuse'",
      );
      assert.deepEqual(sessions, [{ ssl: true }]);
    } finally {
      await store.close();
    }
    const left = "SELECT FROM pg_stat_activity WHERE application_name = 'openduck-fuse'";
    while ((await runSql(server.url, left)).length > 0) await sleep(10);
    return warnings.filter((line) => line.includes('sslmode'));
  };

  assert.deepEqual(await use(named, `sslmode=verify-full${file('authority.crt')}`), []);
  assert.deepEqual(await use(here, `sslmode=verify-ca${file('authority.crt')}`), []);
  assert.deepEqual(await use(here, `sslmode=require${file('authority.crt')}`), []);
  assert.equal((await use(here, 'sslmode=require')).length, 1);
  const guest = here.replace(/\/\/postgres:[^@]*@/, '//guest@');
  const own = ['cert', 'key'].map((what) => {
    const path = join(directory, what === 'cert' ? 'guest.crt' : 'guest.key');
    return `&ssl${what}=${encodeURIComponent(path)}`;
  });
  await use(guest, `sslmode=require${own.join('')}`);

  const refused = (url: string, parameters: string, message: RegExp) =>
    refuses(use(url, parameters), 'NOT_PERMITTED', message);
  await refused(named, 'sslmode=verify-full', /certificate/);
  await refused(here, `sslmode=verify-full${file('authority.crt')}`, /127\.0\.0\.1/);
  await refused(named, `sslmode=verify-full${file('stranger.crt')}`, /certificate|signature/);
  await refused(here, `sslmode=require${file('stranger.crt')}`, /certificate|signature/);
  await refused(guest, 'sslmode=require', /certificate/);
  const plain = withParameter(guest, 'sslmode', 'disable');
  await refuses(
    openPostgresStore({ url: plain, clock: systemClock, logger: silentLogger }),
    'NOT_PERMITTED',
  );
});
