/** The files for systemd and containers: what they run is what the program takes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { environmentName } from '../../daemon/settingSources.js';
import { SETTING_NAMES } from '../../daemon/settings.js';
import { runCommand } from './runCommand.js';

const DOCS = fileURLToPath(new URL('../../../docs/', import.meta.url));
const PROGRAM = '/usr/local/bin/openduck-fuse';

const root = await mkdtemp(join(tmpdir(), 'openduck-deploy-'));
after(() => rm(root, { recursive: true }));

interface Verdict {
  readonly found: boolean;
  readonly complaints: string;
}

function verify(path: string): Promise<Verdict> {
  return new Promise((resolve) => {
    execFile('systemd-analyze', ['verify', path], { timeout: 30_000 }, (error, out, err) => {
      const complaints = error === null ? '' : `${error.message}\n${out}${err}`;
      resolve({ found: error?.code !== 'ENOENT', complaints });
    });
  });
}

test('the systemd unit is sound, and its command is understood', async (t) => {
  const text = await readFile(join(DOCS, 'systemd/openduck-fuse@.service'), 'utf8');
  const command = /^ExecStart=(.*)$/m.exec(text)![1]!.replaceAll('%i', 'duck');
  const [program, ...words] = command.split(' ');
  assert.equal(program, PROGRAM);
  const config = join(root, 'missing.toml');
  const here = words.map((word) => word.replace(/^\/etc\/.*/, config).replace(/^\/mnt/, root));
  const result = await runCommand(here);
  assert.equal(result.code, 3, result.stderr);
  assert.match(result.stderr, /the config file .* does not exist/);
  const unit = join(root, 'openduck-fuse@.service');
  await writeFile(unit, text.replaceAll(PROGRAM, process.execPath));
  const { found, complaints } = await verify(unit);
  if (!found) return t.skip('systemd-analyze is not installed');
  assert.equal(complaints, '');
});

test('the Kubernetes example: settings that exist, and what the daemon needs', async () => {
  const text = await readFile(join(DOCS, 'deploy/kubernetes.yaml'), 'utf8');
  const known = new Set(SETTING_NAMES.map(environmentName));
  const used = [...text.matchAll(/name: (OPENDUCK_\w+)/g)].map((match) => match[1]!);
  assert.ok(used.length >= 4);
  assert.deepEqual(
    used.filter((name) => !known.has(name)),
    [],
  );
  const words = /^ +args: \[(.*)\]$/m
    .exec(text)![1]!
    .split(', ')
    .map((word) => word.replaceAll("'", ''));
  const config = join(root, 'missing.toml');
  const result = await runCommand([...words, '--config', config]);
  assert.equal(result.code, 3, result.stderr);
  const [before, sidecar, app] = text.split(/^ {6}(?:initContainers|containers):$/m);
  assert.match(before!, /^ {6}shareProcessNamespace: true$/m);
  assert.match(sidecar!, /^ {10}restartPolicy: Always$/m);
  assert.match(sidecar!, /privileged: true/);
  assert.match(sidecar!, /mountPropagation: Bidirectional/);
  assert.doesNotMatch(app!, /privileged/);
  assert.match(app!, /mountPropagation: HostToContainer/);
  for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
    assert.match(sidecar!, new RegExp(`^ {10}${probe}:$`, 'm'));
  }
  for (const line of text.split('\n')) assert.doesNotMatch(line, /\t| $/, 'no YAML: tabs');
});

test('the compose file sets variables that exist', async () => {
  const text = await readFile(join(DOCS, 'deploy/compose.yaml'), 'utf8');
  const known = new Set(SETTING_NAMES.map(environmentName));
  const used = [...text.matchAll(/\b(OPENDUCK_\w+):/g)].map((match) => match[1]!);
  assert.ok(used.length >= 4);
  assert.deepEqual(
    used.filter((name) => !known.has(name)),
    [],
  );
});
