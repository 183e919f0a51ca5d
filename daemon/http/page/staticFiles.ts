/** The files of the status page, held in memory; they tell nothing of any database. */
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { readText } from '../../../layers/os/textFile.js';
import { assert } from '../../../proto/errors.js';
import { type Exchange, sendText } from '../answers.js';
import { verdictOf } from '../conditions.js';

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

const MODULES = [
  ...['actions', 'app', 'charts', 'connection', 'databases', 'detail', 'dialogs', 'dom'],
  ...['format', 'layers', 'overview', 'problems', 'snapshots', 'theme', 'timeline'],
];

const NAMES = ['index.html', 'page.css', 'icon.svg', ...MODULES.map((name) => `${name}.js`)];

/**
 * Scripts and styles from here only, none in the page itself; nothing is sent elsewhere, nobody
 * puts the page into a frame, and a text can never become markup (Trusted Types).
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const HEADERS = {
  'Content-Security-Policy': POLICY,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Frame-Options': 'DENY',
  'Cache-Control': 'no-cache',
} as const;

interface StaticFile {
  readonly text: string;
  readonly type: string;
  readonly tag: string;
}

export class StaticFiles {
  /** By path. */
  readonly #files: ReadonlyMap<string, StaticFile>;

  private constructor(files: ReadonlyMap<string, StaticFile>) {
    this.#files = files;
  }

  /** Throws IO; INTERNAL when the package lacks one. */
  static async load(): Promise<StaticFiles> {
    const files = new Map<string, StaticFile>();
    for (const name of NAMES) {
      const text = await readText(fileURLToPath(new URL(`static/${name}`, import.meta.url)));
      assert(text !== undefined, `the package has no ${name} for the status page`);
      const hash = createHash('sha256').update(text).digest('base64url');
      const type = TYPES[name.slice(name.lastIndexOf('.') + 1)]!;
      const path = name === 'index.html' ? '/' : `/page/${name}`;
      files.set(path, { text, type, tag: `"${hash}"` });
    }
    return new StaticFiles(files);
  }

  has(path: string): boolean {
    return this.#files.has(path);
  }

  send(exchange: Exchange, path: string): void {
    const { text, type, tag } = this.#files.get(path)!;
    const headers = { ...HEADERS, 'Content-Type': type, ETag: tag };
    if (verdictOf(exchange.request.headers, tag) === 'unchanged') {
      exchange.response.writeHead(304, headers).end();
      return;
    }
    sendText(exchange, 200, text, headers);
  }
}
