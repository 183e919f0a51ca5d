/**
 * A text that must not be seen: JSON, logs, `String(…)` and Node's inspection show none of it.
 */
export class SecretText {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** Only for whoever connects with it, or hands it to another process. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return '(secret)';
  }

  toJSON(): string {
    return String(this);
  }
}
