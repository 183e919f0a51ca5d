/**
 * One request on its way through a handler, and what a handler answers.
 */
import type { RequestHeader } from '../../proto/fuse/requests/header.js';

/** Where the body of an answer begins. */
export const BODY = 16;

/** Writes the body of an answer; returns its bytes. Called once, just before sending. */
export type Encoder = (out: Buffer, at: number) => number;

/** Two bodies, one after the other. */
export const joined =
  (first: Encoder, second: Encoder): Encoder =>
  (out, at) => {
    const n = first(out, at);
    return n + second(out, at + n);
  };

/** The body, or how many bytes of it stand in `call.out` already. */
export type Answer = Encoder | number;

/** An answer without a body: success. */
export const DONE = 0;
/** The kernel waits for no answer (FORGET), or gets it another way. */
export const NO_ANSWER = -1;

export interface Call {
  readonly header: Readonly<RequestHeader>;
  /** The whole request. Only valid until the handler returns, unless `keepRequest` was called. */
  readonly request: Buffer;
  /** Where a READ puts its bytes, from BODY on. Shared: only valid until the handler returns. */
  out: Buffer;
  /** Keeps `request` until the answer is sent. */
  keepRequest(): void;
  /** Replaces `out` by a buffer of its own that stays valid while the handler waits. */
  takeBuffer(): Promise<void>;
}

/** Throws OpenduckErrors; fs/errno.ts says what the kernel gets for them. */
export type Handler<Context> = (context: Context, call: Call) => Answer | Promise<Answer>;
