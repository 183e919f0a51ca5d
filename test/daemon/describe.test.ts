/** What is made of the command line: the manual page, and what shells offer. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { describeCommandLine } from '../../daemon/commandLine.js';
import { allCommands, type CommandModel } from '../../daemon/describe/commandModel.js';
import { manPage } from '../../daemon/describe/manPage.js';
import { OPTION_KINDS, POSITIONAL_KINDS } from '../../daemon/describe/valueKinds.js';
import { systemContext } from '../../daemon/program.js';
import { run, shell } from '../harness/proc.js';

const PAGE = fileURLToPath(new URL('../../../docs/man/openduck-fuse.1', import.meta.url));
const MANIFEST = fileURLToPath(new URL('../../../package.json', import.meta.url));
const model = await describeCommandLine(systemContext);

test('commands are described as they are defined', () => {
  const find = (...words: string[]): CommandModel => {
    const found = allCommands(model).find((command) => command.words.join(' ') === words.join(' '));
    assert.ok(found, words.join(' '));
    return found;
  };
  assert.deepEqual(find('unmount').aliases, ['umount']);
  assert.deepEqual(
    find('snapshot').positionals.map(({ name, isRequired }) => [name, isRequired]),
    [['db', true]],
  );
  assert.deepEqual(
    find('snapshot', 'rename').positionals.map(({ name }) => name),
    ['db', 'ref', 'newname'],
  );
  const options = new Map(find('mount').options.map((option) => [option.name, option]));
  assert.equal(options.get('foreground')?.isFlag, true);
  assert.equal(options.get('worker')?.isOptional, true);
  assert.equal(options.get('ack')?.isOptional, false);
  assert.equal(find('restore').options.find(({ name }) => name === 'at')?.isRequired, true);
  for (const command of allCommands(model)) {
    assert.ok(command.describe.length > 5, command.words.join(' '));
    assert.ok(!command.positionals.includes(undefined as never), command.words.join(' '));
  }
});

test('what shells offer is said of options and positionals that exist', () => {
  const known = (part: 'options' | 'positionals'): Set<string> =>
    new Set(
      allCommands(model).flatMap((command) =>
        command[part].flatMap(({ name }) => [name, `${command.words.join(' ')} ${name}`]),
      ),
    );
  const options = known('options');
  for (const { name } of model.globals) options.add(name);
  const missing = (table: object, names: Set<string>) =>
    Object.keys(table).filter((name) => !names.has(name));
  assert.deepEqual(missing(OPTION_KINDS, options), []);
  assert.deepEqual(missing(POSITIONAL_KINDS, known('positionals')), []);
});

test('the manual page in docs is that of this command line, and in the package', async () => {
  const committed = await readFile(PAGE, 'utf8');
  assert.ok(committed === manPage(model), "docs/man/openduck-fuse.1 is old: run 'npm run man'");
  const manifest = JSON.parse(await readFile(MANIFEST, 'utf8')) as { man: string[] };
  assert.deepEqual(manifest.man, ['docs/man/openduck-fuse.1']);
});

test('the manual page is sound roff', async (t) => {
  const page = manPage(model);
  for (const line of page.split('\n')) {
    assert.match(line, /^(\.(\\"|[A-Za-z]{2}\b)|[^.'])|^$/, `taken for a request: ${line}`);
    assert.ok(/^[\x20-\x7e]*$/.test(line), `not plain text: ${line}`);
  }
  if ((await shell('command -v groff')).code !== 0) return t.skip('groff is not installed');
  const checked = await run('groff', ['-man', '-ww', '-z', PAGE]);
  assert.deepEqual([checked.code, checked.stderr], [0, '']);
  const shown = await run('groff', ['-man', '-Tascii', '-P-cbou', PAGE]);
  assert.match(shown.stdout, /rename DB REF NEWNAME/);
});
