/** What the background daemon tells the command that started it, over Node's IPC channel. */
import { describeError, type ErrorCode, errorCode, OpenduckError } from '../proto/errors.js';

export interface ReadyMessage {
  readonly ready: true;
  readonly pid: number;
  /** Without symbolic links. */
  readonly mountpoint: string;
  /** Sentences for the user. */
  readonly notes: readonly string[];
}

export interface FailedMessage {
  readonly failed: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly database: string | undefined;
    readonly hint: string | undefined;
  };
}

export type ReadinessMessage = ReadyMessage | FailedMessage;

/** Whether somebody waits for a message. */
export function hasParent(): boolean {
  return process.connected === true;
}

/** Sends and hangs up. A parent that is gone does not matter: the daemon is nobody's child. */
export function tellParent(message: ReadinessMessage): Promise<void> {
  return new Promise((resolve) => {
    if (!hasParent()) return resolve();
    process.send?.(message, undefined, undefined, () => {
      if (process.connected) process.disconnect();
      resolve();
    });
  });
}

export function failedMessage(error: unknown): FailedMessage {
  const { database, hint } = error instanceof OpenduckError ? error : {};
  return { failed: { code: errorCode(error), message: describeError(error), database, hint } };
}

/** The error that a failed child had. */
export function errorOf({ failed }: FailedMessage): OpenduckError {
  return new OpenduckError(failed.code, failed.message, {
    ...(failed.database === undefined ? {} : { database: failed.database }),
    ...(failed.hint === undefined ? {} : { hint: failed.hint }),
  });
}
