/** The bucket policies of docs/objects-s3.md, filled in: what is documented is tested. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const PAGE = fileURLToPath(new URL('../../../docs/objects-s3.md', import.meta.url));

interface Policy {
  readonly Version: string;
  readonly Statement: readonly Record<string, unknown>[];
}

/** The policies of the page, in its order: for writers, for read-only replicas. */
async function documented(): Promise<readonly [Policy, Policy]> {
  const page = await readFile(PAGE, 'utf8');
  const blocks = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text]) => text!);
  const [writer, reader] = blocks.filter((text) => text.includes('"Statement"'));
  if (writer === undefined || reader === undefined) throw new Error(`${PAGE} lacks a policy`);
  return [JSON.parse(writer) as Policy, JSON.parse(reader) as Policy];
}

/** One bucket policy: the statements of the page, each given to its account. */
export async function policies(
  bucket: string,
  prefix: string,
  writer: string,
  reader: string,
): Promise<string> {
  const [forWriter, forReader] = await documented();
  const given = (policy: Policy, account: string) =>
    policy.Statement.map((statement) => ({ ...statement, Principal: { AWS: [account] } }));
  const Statement = [...given(forWriter, writer), ...given(forReader, reader)];
  return JSON.stringify({ Version: forWriter.Version, Statement })
    .replaceAll('BUCKET', bucket)
    .replaceAll('PREFIX', prefix);
}
