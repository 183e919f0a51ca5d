/** `s3://BUCKET/PREFIX` and the endpoint, checked before anything is asked for. */
import { OpenduckError } from '../../proto/errors.js';
import { keyParts } from '../localObjectStore.js';

/** Bytes of UTF-8 that S3 allows in a key, our prefix included. */
const MAX_KEY_BYTES = 1024;
/** The rule of today's S3; third-party servers are no wider. */
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

export interface S3Location {
  readonly bucket: string;
  /** Empty, or ends in '/'. */
  readonly prefix: string;
  /** As given, without a slash at the end. */
  readonly url: string;
}

/**
 * Throws INVALID_ARGUMENT. Says nothing of a text that might hold a secret (`s3://KEY:SECRET@…`).
 */
export function parseS3Url(text: string): S3Location {
  const match = /^s3:\/\/([^/]*)(?:\/(.*))?$/s.exec(text);
  const bucket = match?.[1] ?? '';
  const prefix = (match?.[2] ?? '').replace(/\/$/, '');
  if (match === null || !BUCKET.test(bucket)) {
    const shown = /[@:]/.test(bucket) ? 's3://…' : text;
    throw new OpenduckError('INVALID_ARGUMENT', `not a place for objects: ${shown}`, {
      hint: 'Write s3://BUCKET or s3://BUCKET/PREFIX; credentials do not belong into it.',
    });
  }
  if (prefix === '') return { bucket, prefix, url: `s3://${bucket}` };
  keyParts(prefix);
  return { bucket, prefix: `${prefix}/`, url: `s3://${bucket}/${prefix}` };
}

/** Throws INVALID_ARGUMENT when it is no http(s) URL of a host, or holds a secret. */
export function checkEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url !== undefined && url.username === '' && url.password === '';
  if (isPlain && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '') {
    return url.href.replace(/\/$/, '');
  }
  throw new OpenduckError('INVALID_ARGUMENT', 'the S3 endpoint is not a plain http or https URL', {
    hint: 'Write https://HOST or https://HOST:PORT; credentials do not belong into it.',
  });
}

/** The key in the bucket. Throws INVALID_ARGUMENT. */
export function bucketKey(location: S3Location, key: string): string {
  keyParts(key);
  const full = location.prefix + key;
  if (Buffer.byteLength(full) <= MAX_KEY_BYTES) return full;
  const message = `the key ${JSON.stringify(key)} is too long below ${location.url}`;
  throw new OpenduckError('INVALID_ARGUMENT', message);
}

/**
 * Our key, or undefined for what is no object of ours: folder markers, and whatever others put
 * below the prefix under a name that we would refuse.
 */
export function ownKey(location: S3Location, full: string): string | undefined {
  if (!full.startsWith(location.prefix)) return undefined;
  const key = full.slice(location.prefix.length);
  try {
    keyParts(key);
    return key;
  } catch {
    return undefined;
  }
}
