/**
 * A Python with modules that tests need: the system's if it has them, else installed once from PyPI
 * into node_modules/.cache.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, type RunOptions, run } from './proc.js';

export interface Modules {
  /** Directory in the cache; another one for other versions. */
  readonly name: string;
  /** As pip takes them. */
  readonly packages: readonly string[];
  /** A program that succeeds when they are there. */
  readonly check: string;
}

/** What an execution client needs. */
const CLIENT: Modules = {
  name: 'client-1',
  packages: ['grpcio==1.85.3', 'grpcio-tools==1.85.1', 'pyarrow==26.0.1'],
  check: 'import grpc, grpc_tools, pyarrow, pyarrow.parquet',
};
/**
 * Stock DuckDB with its own httpfs, which DuckDB itself would get from its own server. Newest last;
 * for DuckDB 2 nobody has it on PyPI.
 */
const HTTPFS: readonly Modules[] = [
  {
    name: 'httpfs-1',
    packages: ['duckdb==1.4.4', 'duckdb-ext-httpfs==1.4.4.20260205'],
    check: 'import duckdb, duckdb_ext; assert duckdb.__version__ == "1.4.4"',
  },
  {
    name: 'httpfs-2',
    packages: ['duckdb==1.5.5', 'duckdb-extension-httpfs==1.5.5'],
    check: 'import duckdb, duckdb_extension_httpfs; assert duckdb.__version__ == "1.5.5"',
  },
];
/** What a user of DuckDB has at hand: the module and the command line. */
const DUCKDB: Modules = {
  name: 'duckdb-1',
  packages: ['duckdb==1.5.6', 'duckdb-cli==1.5.6'],
  check: 'import duckdb, duckdb_cli; assert duckdb.__version__ == "1.5.6"',
};
const DBT: Modules = {
  name: 'dbt-1',
  packages: ['dbt-core==1.11.16', 'dbt-duckdb==1.11.1', 'duckdb==1.5.6'],
  check: 'import dbt.cli.main, dbt.adapters.duckdb',
};
const LIMIT_MS = 10 * 60_000;

const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/python/', import.meta.url));

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
  /** Directory of the commands that came with them; undefined: they are on the PATH. */
  readonly bin: string | undefined;
}

function imports(check: string, env: Readonly<Record<string, string>>): Promise<boolean> {
  return run('python3', ['-c', check], { env, timeoutMs: 60_000 }).then(
    ({ code }) => code === 0,
    () => false, // there is no python3
  );
}

async function ensure({ name, packages, check }: Modules): Promise<Python | string> {
  if (await imports(check, {})) return { env: {}, bin: undefined };
  const target = join(CACHE, name);
  const env = { PYTHONPATH: target };
  if (!existsSync(target)) {
    await mkdir(CACHE, { recursive: true });
    const options: RunOptions = { timeoutMs: LIMIT_MS };
    const script = ['sh', '-c', INSTALL, 'sh', target, ...packages];
    const installed = await run('flock', [join(CACHE, 'lock'), ...script], options).catch(String);
    if (typeof installed === 'string') return `pip could not be run: ${installed}`;
    if (installed.code !== 0) return `no ${packages.join(', ')}: ${describe(installed)}`;
  }
  return (await imports(check, env))
    ? { env, bin: join(target, 'bin') }
    : `${packages.join(', ')} cannot be imported`;
}

/** A Python with grpcio, grpcio-tools and pyarrow, or why there is none. */
export const ensurePython = (): Promise<Python | string> => ensure(CLIENT);

/** Pythons with a DuckDB and its httpfs, by DuckDB's version, or why there is none. */
export const HTTPFS_PYTHONS: ReadonlyMap<string, () => Promise<Python | string>> = new Map(
  HTTPFS.map((modules) => [modules.packages[0]!.slice('duckdb=='.length), () => ensure(modules)]),
);

/** A Python with DuckDB and its command line, or why there is none. */
export const ensureDuckdb = (): Promise<Python | string> => ensure(DUCKDB);

/** A Python with dbt for DuckDB, or why there is none. */
export const ensureDbt = (): Promise<Python | string> => ensure(DBT);
