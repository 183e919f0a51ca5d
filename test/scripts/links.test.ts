/** Every link of the documentation that leads into the repository leads to something. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

function pages(): string[] {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' });
  return [...readdirSync(ROOT), ...docs.map((name) => join('docs', name))]
    .filter((name) => name.endsWith('.md'))
    .sort();
}

const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

/** What is code is no text: links and headings in it are none. */
function prose(page: string): string {
  return page.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, (code) =>
    // A heading's code is a part of its anchor, but no link.
    code.replaceAll(/[[\]()]/g, ''),
  );
}

/** The anchors of its headings, as GitHub makes them. */
function anchors(page: string): Set<string> {
  const found = new Set<string>();
  for (const [, heading] of prose(page).matchAll(/^#+ (.+)$/gm)) {
    const text = heading!.toLowerCase().replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '');
    const base = text.trim().replaceAll(' ', '-');
    let anchor = base;
    for (let i = 1; found.has(anchor); i++) anchor = `${base}-${i}`;
    found.add(anchor);
  }
  return found;
}

function linksOf(page: string): string[] {
  const targets = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}

/** Why a link of `page` leads nowhere; undefined when it leads somewhere. */
function broken(page: string, link: string): string | undefined {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : relative(ROOT, join(ROOT, dirname(page), path));
  if (target.startsWith('..') || !existsSync(join(ROOT, target))) return `${page}: no ${link}`;
  if (anchor === undefined || !target.endsWith('.md')) return undefined;
  return anchors(read(target)).has(anchor) ? undefined : `${page}: no heading for ${link}`;
}

test('links of the documentation lead to files and headings that are there', () => {
  const all = pages().flatMap((page) => linksOf(read(page)).map((link) => ({ page, link })));
  assert.ok(all.length > 50, `${all.length} links were found`);
  const bad = all.map(({ page, link }) => broken(page, link)).filter((why) => why !== undefined);
  assert.deepEqual(bad, []);
});

test('the index of the documentation names every page and folder', () => {
  const named = new Set(linksOf(read('docs/README.md')).map((link) => link.replace(/\/$/, '')));
  const entries = readdirSync(join(ROOT, 'docs')).filter((name) => name !== 'README.md');
  const missing = entries.filter((name) => ![...named].some((link) => link.startsWith(name)));
  assert.deepEqual(missing, []);
});

test('a link that leads nowhere is found', () => {
  assert.equal(broken('README.md', 'docs/semantics.md#copies'), undefined);
  assert.match(broken('README.md', 'docs/semantics.md#nothing-of-that') ?? '', /no heading/);
  assert.match(broken('README.md', 'docs/nothing.md') ?? '', /no docs\/nothing\.md/);
  assert.match(broken('README.md', '../outside.md') ?? '', /no \.\.\/outside\.md/);
  assert.deepEqual(linksOf('[a](b.md) `[c](d.md)` [e](https://f/g)\n```\n[h](i.md)\n```\n'), [
    'b.md',
  ]);
});
