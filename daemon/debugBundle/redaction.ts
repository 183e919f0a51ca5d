/**
 * Takes out of a text what must not leave the machine: secrets that are known by their value, what
 * looks like one, and of log lines what may quote a statement. When in doubt, more goes.
 */

export const HIDDEN = '(secret)';

/** Names of settings, variables and fields whose values are hidden as a whole. */
const SECRET_NAME = /token|secret|passw|credential|metadata$|authorization|cookie|init[-_]sql/i;
/** Names of what only says where a secret is, or that there is one. */
const PLACE_NAME = /[-_]file$|(^|[-_])tokens$/i;
const KEY_NAME = /access[-_]key|api[-_]key|private[-_]key|encryption[-_]key/i;

export function isSecretName(name: string): boolean {
  return (SECRET_NAME.test(name) && !PLACE_NAME.test(name)) || KEY_NAME.test(name);
}

/** Shorter values would take ordinary words along. */
const SHORTEST_VALUE = 4;

const NAMED = String.raw`(?:[\w-]*(?:token|secret|passw(?:or)?d|passwd|api[-_]?key|access[-_]?key))`;

/** What looks like a secret; `$1` stays. */
const PATTERNS: readonly RegExp[] = [
  // scheme://user:password@host, and a lone token before the @
  /([a-z][a-z0-9+.-]*:\/\/[^\s:@/"']*:)[^\s/"']+(?=@)/gi,
  // token=…, --token …, "token":"…", password: …
  new RegExp(String.raw`(\b${NAMED}["']?\s*[=:]\s*["']?)[^\s"',;&}]+`, 'gi'),
  new RegExp(String.raw`(--${NAMED}[ =])[^\s"',]+`, 'gi'),
  /(\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}/gi,
  /(\bauthorization["']?\s*[=:]\s*["']?)[^"'\r\n]+/gi,
  /([?&](?:X-Amz-[\w-]+|sig|signature|key)=)[^&\s"']+/gi,
  /()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /()-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
];

/** All texts inside of a value. */
function* textsIn(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'number') yield String(value);
  else if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) yield* textsIn(inner);
  }
}

/** A secret as it is, and the password in it when it is a URL, in both spellings. */
function spellings(secret: string): string[] {
  const text = secret.trim();
  const password = /^[a-z][a-z0-9+.-]*:\/\/[^\s@/]*?:([^\s]*)@/i.exec(text)?.[1];
  const found = [text, ...text.split('\n').map((line) => line.trim())];
  if (password !== undefined) found.push(password);
  for (const one of [...found]) {
    try {
      found.push(decodeURIComponent(one), encodeURIComponent(one));
    } catch {
      // a % that is none of an encoded character
    }
    found.push(JSON.stringify(one).slice(1, -1));
  }
  return found.filter((one) => one.length >= SHORTEST_VALUE);
}

export class Redaction {
  readonly #values = new Set<string>();

  /** From now on, `value` and every text in it is hidden wherever it stands. */
  know(value: unknown): void {
    for (const text of textsIn(value)) for (const one of spellings(text)) this.#values.add(one);
  }

  text(text: string): string {
    let out = text;
    // The longest first: one secret may be a part of another.
    for (const value of [...this.#values].sort((a, b) => b.length - a.length)) {
      out = out.replaceAll(value, HIDDEN);
    }
    for (const pattern of PATTERNS) out = out.replace(pattern, `$1${HIDDEN}`);
    return out;
  }

  /** Settings or variables by name: those with a secret name lose their value. */
  named(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
    return Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, this.#value(name, value)]),
    );
  }

  #value(name: string, value: unknown): unknown {
    if (isSecretName(name)) return HIDDEN;
    if (typeof value === 'string') return this.text(value);
    if (Array.isArray(value)) return value.map((inner) => this.#value('', inner));
    if (typeof value !== 'object' || value === null || value instanceof Date) return value;
    return this.named(value as Record<string, unknown>);
  }

  /** JSON lines, and whatever else a process says in its last moments. */
  log(text: string): string {
    return text
      .split('\n')
      .map((line) => this.#logLine(line))
      .join('\n');
  }

  #logLine(line: string): string {
    if (!line.startsWith('{')) return this.text(line);
    try {
      const record = JSON.parse(line) as Record<string, unknown>;
      return JSON.stringify(this.named(withoutStatements(record)));
    } catch {
      return this.text(line);
    }
  }
}

const STATEMENT_FIELD = /^(sql|query|statement|plan|parameters)$/i;

/** DuckDB's errors quote the statement, and with it maybe data. */
function withoutStatements(record: Record<string, unknown>): Record<string, unknown> {
  const kept = Object.entries(record).filter(([name]) => !STATEMENT_FIELD.test(name));
  const copy = Object.fromEntries(kept);
  if (copy['code'] === 'QUERY') copy['error'] = '(the error of a statement: left out)';
  return copy;
}
