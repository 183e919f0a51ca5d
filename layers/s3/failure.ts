/**
 * What the SDK, the server or the socket said, reduced to what may be shown: errors of the SDK hold
 * signatures, key ids and whole requests, so that none of them goes any further than this file.
 */
import { type ErrorCode, OpenduckError } from '../../proto/errors.js';

/** Cause of the store's errors: never holds a credential. */
export class S3Failure extends Error {
  /** The server's code (`SlowDown`), the system's (`ECONNRESET`) or the SDK's. */
  readonly code: string;
  /** HTTP status, when there was an answer. */
  readonly status: number | undefined;
  /** Whether the same request may succeed later. */
  readonly isPassing: boolean;

  constructor(code: string, status: number | undefined, isPassing: boolean, text: string) {
    super(text);
    this.name = 'S3Failure';
    this.code = code;
    this.status = status;
    this.isPassing = isPassing;
  }
}

interface SdkError {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly Code?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
  readonly $response?: { readonly statusCode?: number };
}

/** Codes that come with a status that does not say it, or with none. */
const PASSING_CODES: ReadonlySet<string> = new Set([
  // the server
  'BadDigest', // damaged on the way
  'ConditionalRequestConflict',
  'IncompleteBody',
  'InternalError',
  'OperationAborted',
  'RequestTimeTooSkewed', // the SDK corrects its clock by the answer
  'RequestTimeout',
  'ServiceUnavailable',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  'XAmzContentSHA256Mismatch', // damaged on the way
  // the way to it
  'EADDRNOTAVAIL',
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ETIMEDOUT',
  'TimeoutError',
]);

const PASSING_STATUS: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

const CREDENTIAL_CODES: ReadonlySet<string> = new Set([
  'AuthorizationHeaderMalformed',
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidAccessKeyId',
  'InvalidToken',
  'SignatureDoesNotMatch',
  'TokenRefreshRequired',
]);

const TLS_CODES =
  /^(CERT_|DEPTH_ZERO_|ERR_TLS_|ERR_SSL_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH)/;
/** The other end does not speak TLS at all. */
const NO_TLS_CODES: ReadonlySet<string> = new Set(['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER']);

const MAX_TEXT = 300;

/** Throws nothing; gives failures back as they are. */
export function s3Failure(error: unknown): S3Failure {
  if (error instanceof S3Failure) return error;
  const sdk = (error ?? {}) as SdkError;
  const status = sdk.$metadata?.httpStatusCode ?? sdk.$response?.statusCode;
  const code = codeOf(sdk, status);
  const isPassing = PASSING_CODES.has(code) || PASSING_STATUS.has(status ?? 0);
  return new S3Failure(code, status, isPassing, textOf(sdk, code, status));
}

/** The failure that an error of the store came from. */
export function failureOf(error: unknown): S3Failure | undefined {
  const cause = error instanceof OpenduckError ? error.cause : error;
  return cause instanceof S3Failure ? cause : undefined;
}

function codeOf(sdk: SdkError, status: number | undefined): string {
  const { code, Code, name } = sdk;
  if (typeof code === 'string') return code;
  if (typeof Code === 'string') return Code;
  // An answer without a body or with one that is no XML: the SDK's names for that say nothing.
  const isNamed = typeof name === 'string' && /^[A-Z]\w+$/.test(name) && !/Error$/.test(name);
  if (status !== undefined && !isNamed && name !== 'InternalError') return `status ${status}`;
  return typeof name === 'string' ? name : 'Error';
}

/**
 * Servers repeat key ids and what was to be signed in their answers about credentials: of those
 * only the code is kept.
 */
function textOf(sdk: SdkError, code: string, status: number | undefined): string {
  const isSecret = status === 401 || status === 403 || CREDENTIAL_CODES.has(code);
  const message = typeof sdk.message === 'string' && !isSecret ? scrub(sdk.message) : '';
  const id = sdk.$metadata?.requestId;
  const notes = [
    ...(status === undefined || code === `status ${status}` ? [] : [`status ${status}`]),
    ...(id === undefined ? [] : [`request ${id}`]),
  ];
  const head = notes.length === 0 ? code : `${code} (${notes.join(', ')})`;
  return message === '' || message === code ? head : `${head}: ${message}`;
}

function scrub(text: string): string {
  return text
    .replace(/\b(AKIA|ASIA|AROA|AIDA)[A-Z0-9]{8,}/g, '…')
    .replace(/\b(X-Amz-[\w-]+|Credential|Signature|AWSAccessKeyId)=[^&\s,"']+/gi, '$1=…')
    .replace(/\/\/[^/\s@]*@/g, '//…@')
    .slice(0, MAX_TEXT);
}

const LOOKED_FOR =
  'They are looked for in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in the profile AWS_PROFILE ' +
  'of ~/.aws/config and ~/.aws/credentials (SSO, web identity, a program), and in the roles of ' +
  'ECS and EC2.';

interface Verdict {
  readonly code: ErrorCode;
  readonly text: string;
  readonly hint?: string;
}

function verdictOf(failure: S3Failure): Verdict {
  const { code, status } = failure;
  if (code === 'CredentialsProviderError') {
    return { code: 'NOT_PERMITTED', text: 'there are no credentials for it', hint: LOOKED_FOR };
  }
  if (code === 'NoSuchBucket') {
    const hint = 'Create the bucket, or correct its name and the endpoint.';
    return { code: 'NOT_FOUND', text: 'there is no such bucket', hint };
  }
  if (code === 'PermanentRedirect' || code === 'AuthorizationHeaderMalformed' || status === 301) {
    const hint = 'Give the region of the bucket, as AWS_REGION or as an option.';
    return { code: 'INVALID_ARGUMENT', text: 'the bucket is in another region', hint };
  }
  if (CREDENTIAL_CODES.has(code)) {
    const hint = `The server does not accept the credentials. ${LOOKED_FOR}`;
    return { code: 'NOT_PERMITTED', text: 'the credentials are refused', hint };
  }
  if (code === 'InvalidObjectState') {
    const hint = 'Take it back from the archive, and see that no lifecycle rule moves objects.';
    return { code: 'IO', text: 'it was moved to an archive', hint };
  }
  if (status === 401 || status === 403) {
    const hint = 'docs/objects-s3.md has the policy that the credentials need.';
    return { code: 'NOT_PERMITTED', text: 'the credentials do not allow it', hint };
  }
  if (NO_TLS_CODES.has(code)) {
    const hint = 'Write http:// instead of https://, if that is meant.';
    return { code: 'IO', text: 'the endpoint does not speak TLS', hint };
  }
  if (TLS_CODES.test(code)) {
    const hint = 'Give the certificate of its CA as a file, if it is one of your own.';
    return { code: 'IO', text: 'its certificate is not trusted', hint };
  }
  if (code === 'NoSuchUpload') {
    return { code: 'IO', text: 'its upload in parts vanished before it was completed' };
  }
  if (status === 404) return { code: 'NOT_FOUND', text: 'it is not there' };
  return { code: 'IO', text: 'it failed' };
}

/** The error of a request that is not repeated. `what`: `reading db/x of s3://bucket`. */
export function s3Error(failure: S3Failure, what: string): OpenduckError {
  const { code, text, hint } = verdictOf(failure);
  const details = hint === undefined ? {} : { hint };
  return new OpenduckError(code, `${what}: ${text}`, { cause: failure, ...details });
}
