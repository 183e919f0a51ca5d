/** A mount whose status page has tokens of several kinds, and what is asked of it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HttpMount } from './httpMount.js';
import type { Scene } from './scene.js';

const TOKENS = `
[[token]]
name = "ops"
token = "token-of-ops"
write = ["*"]
[[token]]
name = "dashboards"
token = "token-of-dashboards"
read = ["sales"]
[[token]]
name = "etl"
token = "token-of-etl"
read = ["sales"]
write = ["copy", "stock"]
`;

export const as = (name: string) => ({ authorization: `Bearer token-of-${name}` });

export async function mountWithTokens(scene: Scene): Promise<HttpMount> {
  const tokens = join(await scene.tempDir(), 'tokens.toml');
  await writeFile(tokens, TOKENS);
  return HttpMount.start(scene, ['--tokens', tokens]);
}

/** With two commits; nobody has it open. */
export async function makeDatabase(scene: Scene, http: HttpMount, name: string): Promise<void> {
  const writer = scene.duckdb();
  await writer.open(http.mount.path(`${name}.duckdb`));
  await writer.sql('CREATE TABLE t AS SELECT range AS i FROM range(100000); CHECKPOINT');
  await writer.sql('INSERT INTO t VALUES (1)');
  await writer.end();
  await http.snapshot(name);
}

export async function act(
  http: HttpMount,
  action: string,
  body: object,
  headers: Readonly<Record<string, string>> = as('ops'),
) {
  const { status, body: text } = await http.send(`/api/actions/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status, text: text.toString() };
}
