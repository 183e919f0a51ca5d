/**
 * What mount(8) gives a helper, as a command line of ours: `SPEC DIR [-sfnv] [-o OPTIONS]`. Pure.
 *
 * SPEC says nothing of its own: `openduck-fuse`, or whatever /etc/fstab has there. Our settings are
 * options with their own names (`data-dir=/var/lib/openduck`). Options that mount(8), systemd or
 * other file systems mean are passed over, as those of files that nobody executes there.
 */
import { resolve } from 'node:path';
import { OpenduckError } from '../proto/errors.js';
import { hasPassword } from './postgresUrl.js';
import { SETTING_NAMES } from './settings.js';

export interface HelperRequest {
  /** For openduck-fuse. */
  readonly words: readonly string[];
  /** Only checks what is asked for. */
  readonly isFake: boolean;
  readonly isVerbose: boolean;
}

/** Without a value of their own that matters here. */
const PASSED_OVER = new Set([
  'defaults',
  'rw',
  ...['auto', 'noauto', 'nofail', '_netdev', 'silent', 'loud'],
  ...['user', 'users', 'nouser', 'owner', 'group', 'comment', 'uhelper', 'helper'],
  ...['suid', 'nosuid', 'dev', 'nodev', 'exec', 'noexec', 'async'],
  ...['atime', 'noatime', 'relatime', 'norelatime', 'strictatime', 'diratime', 'nodiratime'],
  ...['lazytime', 'nolazytime', 'iversion', 'noiversion', 'mand', 'nomand'],
]);

/** Options of mount(8) and of FUSE that mean one of our settings. */
const MEANINGS: Readonly<Record<string, string>> = {
  ro: '--read-only',
  allow_other: '--allow-other',
  config: '--config',
};

/** Flags of a helper without a value, and `t`, whose value is the type. */
const FLAGS = new Set(['s', 'f', 'n', 'v']);

function usage(message: string, hint: string): OpenduckError {
  return new OpenduckError('USAGE', message, { hint });
}

/** One option as a word for our command line, or undefined when it means nothing to us. */
function translate(option: string, isSloppy: boolean): string | undefined {
  const equals = option.indexOf('=');
  const name = equals < 0 ? option : option.slice(0, equals);
  const value = equals < 0 ? '' : option.slice(equals);
  if (option === '' || PASSED_OVER.has(name) || /^(x-|X-)/.test(name)) return undefined;
  const meaning = MEANINGS[name];
  if (meaning !== undefined) return meaning + value;
  const setting = name.replace(/^no-/, '');
  const known: readonly string[] = SETTING_NAMES;
  if (!known.includes(setting)) {
    if (isSloppy) return undefined;
    throw usage(`unknown mount option '${name}'`, `Known: ro, config, ${known.join(', ')}.`);
  }
  if (hasPassword(value)) {
    throw usage(
      'the options of a mount are no place for a password: everybody can read them',
      'Write the URL into a file of mode 600, and give metadata-file=PATH.',
    );
  }
  return `--${name}${value}`;
}

interface Parsed {
  readonly positionals: string[];
  readonly flags: Set<string>;
  options: string;
}

function parse(words: readonly string[]): Parsed {
  const parsed: Parsed = { positionals: [], flags: new Set(), options: '' };
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (!word.startsWith('-') || word === '-') parsed.positionals.push(word);
    else if (word === '-o' || word === '-t') {
      const value = words[++i] ?? '';
      if (word === '-o') parsed.options = [parsed.options, value].filter(Boolean).join(',');
    } else if ([...word.slice(1)].every((letter) => FLAGS.has(letter))) {
      for (const letter of word.slice(1)) parsed.flags.add(letter);
    } else throw usage(`unknown flag '${word}'`, 'This is called by mount(8), see its manual.');
  }
  return parsed;
}

/** Throws USAGE. */
export function parseHelperWords(words: readonly string[]): HelperRequest {
  const { positionals, flags, options } = parse(words);
  const [, directory, ...rest] = positionals;
  if (directory === undefined || rest.length > 0) {
    throw usage(
      'a source and a directory are needed',
      'mount -t fuse.openduck openduck-fuse /mnt/duck -o data-dir=/var/lib/openduck',
    );
  }
  const translated = options
    .split(',')
    .map((option) => translate(option, flags.has('s')))
    .filter((word) => word !== undefined);
  return {
    // An absolute path is never taken for a flag.
    words: ['mount', resolve(directory), ...translated],
    isFake: flags.has('f'),
    isVerbose: flags.has('v'),
  };
}
