/**
 * The rules of the tree that no linter knows: who may import whom, where the operating system, the
 * clock and chance may be touched, and how long files, functions and lines may get. Reads the
 * sources as text; run by `npm test`, exits 1 and names every place.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Folder → folders of ours that it may import from, besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  proto: [],
  layers: ['proto'],
  metadata: ['proto'],
  fs: ['proto', 'layers', 'metadata'],
  exec: ['proto'],
  daemon: ['proto', 'layers', 'metadata', 'fs', 'exec'],
  scripts: ['proto', 'layers', 'metadata', 'fs', 'exec', 'daemon', 'test'],
  test: ['proto', 'layers', 'metadata', 'fs', 'exec', 'daemon', 'scripts'],
};

/** What runs in browsers, as it stands: there are no ports there. */
const IN_BROWSERS = /^daemon\/http\/page\/static\/[^/]+\.js$/;

const MAX_FILE_LINES = 350;
const MAX_FUNCTION_LINES = 70;
const MAX_COLUMNS = 100;

interface Ban {
  readonly pattern: RegExp;
  readonly instead: string;
  /** Paths where it is allowed. */
  readonly except: RegExp;
}

const BANS: readonly Ban[] = [
  {
    pattern: /from '(node:)?fs(\/promises)?'/,
    instead: 'go through layers/os/',
    except: /^(layers\/os|test|scripts)\//,
  },
  {
    pattern: /^import .*'koffi'/,
    instead: 'add a named call to layers/os/syscalls.ts or pageCacheCalls.ts',
    except: /^layers\/os\/(syscalls|pageCacheCalls)\.ts$/,
  },
  {
    pattern: /\b(Date\.now|performance\.now|setTimeout|setInterval)\(|new Date\(\)/,
    instead: 'take a Clock (proto/ports.ts)',
    except: /^(proto\/ports\.ts|test\/|scripts\/|daemon\/http\/page\/static\/)/,
  },
  {
    pattern: /\bMath\.random\(|\brandomBytes\(|\brandomUUID\(/,
    instead: 'take a Random (proto/ports.ts)',
    except: /^(proto\/ports\.ts|test\/|scripts\/)/,
  },
  {
    pattern: /\b(TODO|FIXME|XXX)\b/,
    instead: 'do it, or write an issue',
    except: /^scripts\/check/,
  },
  { pattern: /^\s*(export )?(const )?enum\b/, instead: 'use a const object', except: /^$/ },
];

interface Finding {
  readonly place: string;
  readonly text: string;
}

function sources(root: string): string[] {
  return Object.keys(MAY_IMPORT)
    .flatMap((folder) => {
      try {
        return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
          join(folder, name),
        );
      } catch {
        return []; // a folder that is not there yet
      }
    })
    .filter((path) => (path.endsWith('.ts') && !path.endsWith('.d.ts')) || IN_BROWSERS.test(path));
}

function checkImports(path: string, lines: readonly string[]): Finding[] {
  const folder = path.split('/')[0]!;
  const allowed = new Set([folder, ...MAY_IMPORT[folder]!]);
  return lines.flatMap((line, i) => {
    const target = /(?:from|import\() ?'(\.{1,2}\/[^']+)'/.exec(line)?.[1];
    if (target === undefined) return [];
    const to = relative('.', join(path, '..', target)).split('/')[0]!;
    if (allowed.has(to)) return [];
    return [{ place: `${path}:${i + 1}`, text: `${folder}/ must not import from ${to}/` }];
  });
}

function checkBans(path: string, lines: readonly string[]): Finding[] {
  return lines.flatMap((line, i) =>
    BANS.filter(({ pattern, except }) => pattern.test(line) && !except.test(path)).map(
      ({ pattern, instead }) => ({
        place: `${path}:${i + 1}`,
        text: `${pattern.exec(line)![0].trim()}: ${instead}`,
      }),
    ),
  );
}

const indentOf = (line: string): number => line.length - line.trimStart().length;

/** A line that opens the body of a function, as the formatter lays it out. */
function opensFunction(line: string): boolean {
  if (!line.endsWith('{')) return false;
  if (
    /^\s*(\}? ?(else|catch|finally)|if|for|while|switch|try|do|case|class|interface)\b/.test(line)
  ) {
    return false;
  }
  return /\bfunction\b|=> \{$|^\s*\): [^=]+ \{$|^\s*\) \{$|^\s*[\w#<>, ]+\(.*\)(: .+)? \{$/.test(
    line,
  );
}

/** Blocks end where a line of the same indentation begins with a brace. */
function checkFunctions(path: string, lines: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  for (const [i, line] of lines.entries()) {
    if (!opensFunction(line) || /^\s*(describe|suite)\(/.test(line)) continue;
    const end = lines.findIndex(
      (other, j) =>
        j > i && indentOf(other) === indentOf(line) && other.trimStart().startsWith('}'),
    );
    const length = end - i + 1;
    // A suite is a list of tests; each of them is measured by itself.
    const suite = lines.slice(i, end).some((inner) => /^\s+(test|it|check)\('/.test(inner));
    if (end > 0 && !suite && length >= MAX_FUNCTION_LINES) {
      findings.push({ place: `${path}:${i + 1}`, text: `a function of ${length} lines` });
    }
  }
  return findings;
}

/** Text that is shown or sent as it stands cannot be wrapped. */
function inText(lines: readonly string[], i: number): boolean {
  if (/['"`].{60,}/.test(lines[i]!)) return true;
  // Inside a template: an odd number of backticks before this line.
  const before = lines.slice(0, i + 1).join('\n');
  return (before.split('`').length - 1) % 2 === 1;
}

function checkSizes(path: string, lines: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  if (lines.length > MAX_FILE_LINES + 1) {
    findings.push({ place: path, text: `${lines.length - 1} lines: split it by concept` });
  }
  for (const [i, line] of lines.entries()) {
    if ([...line].length <= MAX_COLUMNS || inText(lines, i)) continue;
    findings.push({ place: `${path}:${i + 1}`, text: `longer than ${MAX_COLUMNS} columns` });
  }
  return findings;
}

function main(): void {
  const paths = sources('.');
  const findings = paths.flatMap((path) => {
    const lines = readFileSync(path, 'utf8').split('\n');
    const names = /(^|\/)utils?(\/|\.ts$)/.test(path)
      ? [{ place: path, text: 'say what it is' }]
      : [];
    return [
      ...names,
      ...checkImports(path, lines),
      ...checkBans(path, lines),
      ...checkFunctions(path, lines),
      ...checkSizes(path, lines),
    ];
  });
  for (const { place, text } of findings) process.stdout.write(`${place}: ${text}\n`);
  process.stdout.write(`checked ${paths.length} files: ${findings.length} findings\n`);
  process.exitCode = findings.length === 0 && paths.length > 0 ? 0 : 1;
}

main();
