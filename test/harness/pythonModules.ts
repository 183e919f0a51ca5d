/**
 * A Python with grpcio, grpcio-tools and pyarrow: the system's if it has them, else installed once
 * from PyPI into node_modules/.cache.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, type RunOptions, run } from './proc.js';

const PACKAGES = ['grpcio==1.85.3', 'grpcio-tools==1.85.1', 'pyarrow==26.0.1'];
const IMPORTS = 'import grpc, grpc_tools, pyarrow, pyarrow.parquet';
const LIMIT_MS = 10 * 60_000;

const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/python/', import.meta.url));
const VENV = join(CACHE, 'client-1');

/** $1: directory, then the packages. Under a lock; the rename makes it appear whole. */
const INSTALL = `
set -eu
target="$1"; shift
[ ! -d "$target" ] || exit 0
rm -rf "$target.new"
python3 -m pip install --quiet --disable-pip-version-check --only-binary :all: \\
  --target "$target.new" "$@"
mv "$target.new" "$target"
`;

export interface Python {
  /** What a process needs to find the modules. */
  readonly env: Readonly<Record<string, string>>;
}

function imports(env: Readonly<Record<string, string>>): Promise<boolean> {
  return run('python3', ['-c', IMPORTS], { env, timeoutMs: 60_000 }).then(
    ({ code }) => code === 0,
    () => false, // there is no python3
  );
}

/** The Python, or why there is none. */
export async function ensurePython(): Promise<Python | string> {
  if (await imports({})) return { env: {} };
  const env = { PYTHONPATH: VENV };
  if (!existsSync(VENV)) {
    await mkdir(CACHE, { recursive: true });
    const options: RunOptions = { timeoutMs: LIMIT_MS };
    const script = ['sh', '-c', INSTALL, 'sh', VENV, ...PACKAGES];
    const installed = await run('flock', [join(CACHE, 'lock'), ...script], options).catch(String);
    if (typeof installed === 'string') return `pip could not be run: ${installed}`;
    if (installed.code !== 0) return `no grpcio and pyarrow: ${describe(installed)}`;
  }
  return (await imports(env)) ? { env } : 'the installed grpcio and pyarrow cannot be imported';
}
