/** Ctrl-C, once, as an AbortSignal; the second one ends the process as it would any other. */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Interrupt {
  readonly signal: AbortSignal;
  /** Signals do again what they did before. */
  release(): void;
}

export function catchInterrupt(): Interrupt {
  const controller = new AbortController();
  const release = (): void => {
    for (const name of SIGNALS) process.off(name, abort);
  };
  const abort = (): void => {
    release();
    controller.abort();
  };
  for (const name of SIGNALS) process.on(name, abort);
  return { signal: controller.signal, release };
}
