/**
 * The metadata in Postgres: is it there, which schema has it, may we write it, does the clock that
 * leases run by agree with ours. Changes nothing there.
 */
import { MIGRATIONS } from '../../metadata/migrations.js';
import { PostgresClient } from '../../metadata/postgres/client.js';
import { parsePostgresUrl } from '../../metadata/postgres/url.js';
import { describeError, OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import { withoutPassword } from '../postgresUrl.js';
import { compareClocks } from './clockChecks.js';
import { type Finding, fail, ok, warn } from './finding.js';

interface Facts {
  readonly version: string;
  readonly now: string;
  readonly has_tables: boolean;
  readonly may_create: boolean;
  readonly fsync: string;
}

const FACTS = `SELECT current_setting('server_version') AS version,
  floor(extract(epoch FROM clock_timestamp()) * 1000)::text AS now,
  to_regclass('schema_version') IS NOT NULL AS has_tables,
  has_schema_privilege(current_schema(), 'CREATE') AS may_create,
  current_setting('fsync') AS fsync`;

/** Tables of which a right is missing, and the right: those of docs/metadata-postgres.md. */
const MISSING_RIGHTS = `SELECT r || ' on ' || t AS missing FROM (VALUES
  ('database', 'SELECT, INSERT, UPDATE, DELETE'), ('snapshot', 'SELECT, INSERT, UPDATE, DELETE'),
  ('layer', 'SELECT, INSERT, UPDATE, DELETE'), ('writer_lease', 'SELECT, INSERT, UPDATE, DELETE'),
  ('snapshot_layer', 'SELECT, INSERT, DELETE'), ('retention_policy', 'SELECT, INSERT, DELETE'),
  ('reader_pin', 'SELECT, INSERT, DELETE'), ('layer_pin', 'SELECT, INSERT, DELETE'),
  ('tombstone', 'SELECT, INSERT, UPDATE, DELETE'), ('gc_state', 'SELECT, INSERT, UPDATE'))
  AS needed(t, rs), unnest(string_to_array(rs, ', ')) AS r
  WHERE to_regclass(quote_ident(t)) IS NOT NULL AND NOT has_table_privilege(quote_ident(t), r)`;

const RIGHTS_ADVICE = 'Grant what docs/metadata-postgres.md lists.';

function checkVersion(version: number): Finding {
  const check = 'postgres-schema';
  const known = MIGRATIONS.length;
  if (version === known) return ok(check, `the metadata has schema version ${version}`);
  const message = `the metadata has schema version ${version}, this program knows ${known}`;
  if (version > known) return fail(check, message, 'Upgrade openduck-fuse.');
  return warn(check, message, 'The next mount brings it up to date; older programs stop then.');
}

async function checkTables(client: PostgresClient, { has_tables, may_create }: Facts) {
  if (!has_tables) {
    const fresh = ok('postgres-schema', 'no tables yet: the first mount creates them');
    if (may_create) return [fresh, ok('postgres-write', 'tables may be created')];
    return [fresh, fail('postgres-write', 'tables may not be created', RIGHTS_ADVICE)];
  }
  const { rows } = await client.ask<{ version: number | null }>(
    'SELECT max(version)::int AS version FROM schema_version',
  );
  const version = checkVersion(rows[0]?.version ?? 0);
  const { rows: bad } = await client.ask<{ missing: string }>(MISSING_RIGHTS);
  if (bad.length === 0) return [version, ok('postgres-write', 'the tables may be written')];
  const message = `rights are missing: ${bad.map(({ missing }) => missing).join(', ')}`;
  return [version, fail('postgres-write', message, RIGHTS_ADVICE)];
}

async function examine(client: PostgresClient, where: string, clock: Clock): Promise<Finding[]> {
  await client.connect();
  await client.prepare();
  const { rows } = await client.ask<Facts>(FACTS);
  const facts = rows[0]!;
  const findings = [ok('postgres', `${where} answers (PostgreSQL ${facts.version})`)];
  findings.push(compareClocks('postgres-clock', 'Postgres', clock.now(), Number(facts.now)));
  if (facts.fsync !== 'on') {
    const message = 'Postgres runs with fsync = off: a power cut may destroy all metadata';
    findings.push(warn('postgres-fsync', message, 'Set fsync = on in postgresql.conf.'));
  }
  return [...findings, ...(await checkTables(client, facts))];
}

/** `url` may have a password; no finding has it. */
export async function checkPostgres(url: string, clock: Clock): Promise<Finding[]> {
  const where = withoutPassword(url);
  try {
    const client = new PostgresClient(parsePostgresUrl(url).config, clock);
    try {
      return await examine(client, where, clock);
    } finally {
      await client.end().catch(() => {}); // what went wrong was told already
    }
  } catch (error) {
    const hint = error instanceof OpenduckError ? error.hint : undefined;
    const advice = hint ?? 'Check the URL, the network and pg_hba.conf.';
    return [fail('postgres', `${where}: ${describeError(error)}`, advice)];
  }
}
