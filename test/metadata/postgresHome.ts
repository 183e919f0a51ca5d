/**
 * Metadata in schemas of a real Postgres.
 */
import { openPostgresStore } from '../../metadata/postgres/open.js';
import { silentLogger, systemClock } from '../../proto/ports.js';
import { type PostgresServer, runSql } from '../harness/postgres.js';
import type { StoreUnderTest } from './conformance.js';

let schemas = 0;

/** URL of a new, empty schema. */
export async function createSchema(server: PostgresServer): Promise<string> {
  const name = `Schema ${++schemas}`;
  await runSql(server.url, `CREATE SCHEMA "${name}"`);
  return withParameter(server.url, 'search_path', `"${name}"`);
}

export function withParameter(url: string, name: string, value: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}${name}=${encodeURIComponent(value)}`;
}

/** The same server, through something that listens on 127.0.0.1. */
export function throughPort(url: string, port: number): string {
  return url.replace(/@127\.0\.0\.1:\d+\//, `@127.0.0.1:${port}/`);
}

/** Runs SQL in the schema that the store of the URL uses. */
export async function runInSchema(url: string, sql: string): Promise<unknown[]> {
  const path = new URLSearchParams(url.slice(url.indexOf('?'))).get('search_path');
  const setting = `-c search_path=${(path ?? 'public').replaceAll(' ', '\\ ')}`;
  return runSql(withParameter(url, 'options', setting), sql);
}

export const openStore = (url: string) =>
  openPostgresStore({ url, clock: systemClock, logger: silentLogger });

/** An empty store in a schema of its own. */
export async function openPostgresHome(server: PostgresServer): Promise<StoreUnderTest> {
  const url = await createSchema(server);
  let store = await openStore(url);
  return {
    store,
    /** The server's clock is everybody's: the leases are moved instead. */
    async passTime(ms) {
      await runInSchema(
        url,
        `UPDATE writer_lease SET expires_at = expires_at - ${ms} WHERE expires_at <> 0;
         UPDATE reader_pin SET expires_at = expires_at - ${ms};
         UPDATE layer_pin SET expires_at = expires_at - ${ms};
         UPDATE tombstone SET since = since - ${ms}, swept_at = swept_at - ${ms};
         UPDATE gc_state SET expires_at = greatest(0, expires_at - ${ms}),
           finished_at = greatest(0, finished_at - ${ms}),
           scanned_at = greatest(0, scanned_at - ${ms})`,
      );
    },
    async reopen() {
      await store.close();
      store = await openStore(url);
      return store;
    },
    dispose: () => store.close(),
  };
}
