/** What a check of `doctor` found. */
export interface Finding {
  /** Stable key, e.g. `fuse-device`. */
  readonly check: string;
  readonly level: 'ok' | 'warn' | 'fail';
  readonly message: string;
  /** What to do about it; undefined when nothing. */
  readonly advice: string | undefined;
}

export function ok(check: string, message: string): Finding {
  return { check, level: 'ok', message, advice: undefined };
}

/** Works, with a drawback. */
export function warn(check: string, message: string, advice: string): Finding {
  return { check, level: 'warn', message, advice };
}

/** `mount` will not work, or data are not safe. */
export function fail(check: string, message: string, advice: string): Finding {
  return { check, level: 'fail', message, advice };
}
