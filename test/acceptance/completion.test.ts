/** Real shells complete commands, options, databases and snapshots, with and without a daemon. */
import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAIN, type MountFixture } from '../harness/mountFixture.js';
import { must, run, shell, succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';

/** What a shell offers at the end of a line. */
type Complete = (line: string) => Promise<string[]>;

interface Shell {
  readonly name: 'bash' | 'zsh' | 'fish';
  /** A program for `sh -c`: $1 is the file of the completion script, $2 the line. */
  readonly driver: string;
  /** The words in what the driver prints. */
  words(output: string): string[];
}

const lines = (output: string): string[] => output.split('\n').filter((line) => line !== '');

/** As readline does: the words are cut at COMP_WORDBREAKS, and only the last piece is replaced. */
const BASH = `exec bash --norc -c '
source "$1"
COMP_LINE=$2 COMP_POINT=\${#2}
$(complete -p openduck-fuse | sed "s/.*-F \\([^ ]*\\).*/\\1/")
printf "%s\\n" "\${COMPREPLY[@]}"' bash "$1" "$2"`;

/** An interactive zsh on a terminal of its own, in which somebody types the line and Tab twice. */
const ZSH = `exec zsh -f -c '
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1=; stty rows 200 cols 200; autoload -U compinit; compinit -D; LISTMAX=1000"
zpty -w z "unsetopt menu_complete auto_menu; setopt list_ambiguous; source $1; echo READ\\"\\"Y"
zpty -r z out "*READY*"
zpty -w -n z "$2"$'"'\\t\\t'"'; sleep 0.2
zpty -w -n z $'"'\\x15'"'; zpty -w z "echo EN\\"\\"D"
zpty -r z out "*END*"
print -r -- "$out"' zsh "$1" "$2"`;

const FISH = `exec fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$1" "$2"`;

const SHELLS: readonly Shell[] = [
  { name: 'bash', driver: BASH, words: lines },
  {
    name: 'zsh',
    driver: ZSH,
    words: (output) => output.split(/[\s\p{Cc}]+/u).filter((word) => word !== ''),
  },
  { name: 'fish', driver: FISH, words: (output) => lines(output).map((l) => l.split('\t')[0]!) },
];

async function completer(scene: Scene, { name, driver, words }: Shell): Promise<Complete> {
  const dir = await scene.tempDir();
  await mkdir(join(dir, 'bin'));
  await symlink(MAIN, join(dir, 'bin/openduck-fuse'));
  const script = join(dir, name === 'zsh' ? '_openduck-fuse' : `script.${name}`);
  await writeFile(script, await must(process.execPath, [MAIN, 'completion', name]));
  const env = { PATH: `${join(dir, 'bin')}:${process.env['PATH']}`, HOME: dir, TERM: 'dumb' };
  return async (line) => {
    const result = await shell(driver, [script, line], { env, timeoutMs: 60_000 });
    assert.equal(result.stderr, '', line);
    return words(result.stdout);
  };
}

/** `expected` are among what is offered, `others` are not. */
async function offers(
  complete: Complete,
  line: string,
  expected: readonly string[],
  others: readonly string[] = [],
): Promise<void> {
  const offered = await complete(line);
  for (const word of expected) {
    const isThere = offered.some((one) => one.endsWith(word));
    assert.ok(isThere, `'${line}' offers ${word}: ${JSON.stringify(offered)}`);
  }
  for (const word of others) {
    assert.ok(!offered.includes(word), `'${line}' does not offer ${word}`);
  }
}

async function databases(scene: Scene): Promise<MountFixture> {
  const mount = await scene.mount();
  const duckdb = scene.duckdb();
  for (const name of ['orders', 'people']) {
    await duckdb.open(mount.path(`${name}.duckdb`));
    await duckdb.sql('CREATE TABLE t AS SELECT 42 AS i');
    await duckdb.close();
  }
  await duckdb.end();
  succeeded(await mount.cli(['snapshot', 'orders', '--name', 'before']));
  succeeded(await mount.cli(['snapshot', 'people', '--name', 'yesterday-noon']));
  return mount;
}

for (const tested of SHELLS) {
  const title = `${tested.name} completes commands, options, databases and snapshots`;
  acceptance(title, { seconds: 240 }, async (scene) => {
    if ((await run('sh', ['-c', `command -v ${tested.name}`])).code !== 0) {
      return scene.skip(`${tested.name} is not installed`);
    }
    const complete = await completer(scene, tested);
    const mount = await databases(scene);
    const at = `--data-dir ${mount.dataDir}`;
    await offers(complete, 'openduck-fuse re', ['restore', 'reset', 'recover', 'retention']);
    await offers(complete, 'openduck-fuse snapshot r', ['rename', 'rm'], ['restore']);
    await offers(complete, 'openduck-fuse snapshot rm orders ~1 --', ['--force', '--json']);
    await offers(complete, 'openduck-fuse mount --ack ', ['local', 'object']);
    await offers(complete, 'openduck-fuse log-level ', ['debug', 'info', 'warn', 'error']);
    await offers(complete, `openduck-fuse ${at} ls `, ['orders', 'people']);
    await offers(complete, `openduck-fuse restore ${at} orders --at `, ['before'], ['people']);
    await offers(complete, `openduck-fuse query ${at} --database people --at yes`, ['noon']);
    await offers(complete, `openduck-fuse snapshot show people ${at} ye`, ['noon']);
    await offers(complete, `openduck-fuse clone ${at} orders@be`, ['before']);
    await offers(complete, 'openduck-fuse unmount /tmp/openduck-t', [mount.mountpoint]);

    await mount.stop(); // nothing is offered, and nothing is said
    await offers(complete, `openduck-fuse ${at} ls `, [], ['orders', 'people']);
    await offers(complete, `openduck-fuse restore ${at} orders --at `, [], ['before']);
  });
}
