/** The requests that the store makes, typed as we need them; calls.ts repeats them. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { errorCode, OpenduckError } from '../../proto/errors.js';
import type { S3Calls } from './calls.js';
import type { Body, Content } from './digest.js';
import { failureOf } from './failure.js';
import type { S3Limits } from './limits.js';
import { bucketKey, ownKey, type S3Location } from './location.js';
import { type ObjectHead, receive } from './receive.js';

export interface ServerSideEncryption {
  readonly algorithm: 'AES256' | 'aws:kms';
  /** Undefined: the key that AWS keeps for S3. */
  readonly kmsKeyId?: string;
}

export interface RequestPorts {
  readonly client: S3Client;
  readonly calls: S3Calls;
  readonly location: S3Location;
  readonly serverSideEncryption: ServerSideEncryption | undefined;
  readonly limits: S3Limits;
}

/** A part that was stored. */
export interface StoredPart {
  readonly number: number;
  readonly etag: string;
}

export interface PendingUpload {
  readonly key: string;
  readonly id: string;
  /** Wall time; undefined when the server does not say. */
  readonly began: number | undefined;
}

interface UploadMarkers {
  readonly KeyMarker?: string | undefined;
  readonly UploadIdMarker?: string | undefined;
}

/** `taken`: something lies there already (If-None-Match). `gone`: there is no such upload. */
export type PutAnswer = 'stored' | 'taken' | 'gone';

const XXH64_NAME = 'openduck-xxh64';
/** Only where nothing is yet. */
const IF_ABSENT = { IfNoneMatch: '*' } as const;

export class S3Requests {
  readonly #ports: RequestPorts;

  constructor(ports: RequestPorts) {
    this.#ports = ports;
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    const target = this.#target(key);
    try {
      const answer = await this.#ports.calls.run({
        what: `looking at ${this.#name(key)}`,
        attempt: (abortSignal) =>
          this.#ports.client.send(new HeadObjectCommand(target), { abortSignal }),
      });
      const size = answer.ContentLength;
      if (size === undefined || !Number.isSafeInteger(size) || size < 0) {
        throw new OpenduckError('IO', `${this.#name(key)}: the server does not tell its size`);
      }
      return { size, etag: answer.ETag, xxh64: answer.Metadata?.[XXH64_NAME] };
    } catch (error) {
      if (errorCode(error) === 'NOT_FOUND' && failureOf(error)?.code !== 'NoSuchBucket') return;
      throw error;
    }
  }

  /** Exactly these bytes of exactly this object; CORRUPT when the server gives others. */
  async read(
    key: string,
    object: ObjectHead,
    buffer: Buffer,
    at: number,
    length: number,
    position: number,
  ): Promise<void> {
    const range = `bytes=${position}-${position + length - 1}`;
    const what = `reading ${range.replace('=', ' ')} of ${this.#name(key)}`;
    const command = { ...this.#target(key), Range: range, IfMatch: object.etag };
    try {
      await this.#ports.calls.run({
        what,
        bytes: length,
        attempt: async (abortSignal) => {
          const answer = await this.#ports.client.send(new GetObjectCommand(command), {
            abortSignal,
          });
          await receive(answer, { what, object, buffer, at, length, abortSignal });
        },
      });
    } catch (error) {
      const status = failureOf(error)?.status;
      if (status !== 412 && status !== 416) throw error;
      const message = `${what}: it is not the object any more that was opened`;
      throw new OpenduckError('CORRUPT', message, { cause: failureOf(error) });
    }
  }

  /** All our keys that begin with `prefix`, in the server's order. */
  async list(prefix: string): Promise<string[]> {
    const keys: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.#listPage(prefix, token, this.#ports.limits.keysPerPage);
      keys.push(...page.keys);
      if (page.next !== undefined && page.next === token) {
        const { url } = this.#ports.location;
        throw new OpenduckError('IO', `listing ${url}: the server gives the same page for ever`);
      }
      token = page.next;
    } while (token !== undefined);
    return keys;
  }

  /** Asks for as little as tells whether the bucket is there and may be listed. */
  async probe(): Promise<void> {
    await this.#listPage('', undefined, 1, this.#ports.limits.probeMs);
  }

  async #listPage(
    prefix: string,
    token: string | undefined,
    count: number,
    deadlineMs?: number,
  ): Promise<{ readonly keys: readonly string[]; readonly next: string | undefined }> {
    const { client, calls, location } = this.#ports;
    const command = {
      Bucket: location.bucket,
      Prefix: location.prefix + prefix,
      MaxKeys: count,
      ContinuationToken: token,
    };
    const answer = await calls.run({
      what: `listing ${location.url}`,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      attempt: (abortSignal) => client.send(new ListObjectsV2Command(command), { abortSignal }),
    });
    const own = (answer.Contents ?? []).map(({ Key }) => ownKey(location, Key ?? ''));
    const next = answer.IsTruncated === true ? answer.NextContinuationToken : undefined;
    return { keys: own.filter((key) => key !== undefined), next };
  }

  async delete(key: string): Promise<void> {
    const command = this.#target(key);
    try {
      await this.#ports.calls.run({
        what: `deleting ${this.#name(key)}`,
        attempt: (abortSignal) =>
          this.#ports.client.send(new DeleteObjectCommand(command), { abortSignal }),
      });
    } catch (error) {
      if (errorCode(error) !== 'NOT_FOUND' || failureOf(error)?.code === 'NoSuchBucket') {
        throw error;
      }
    }
  }

  /** `onlyIfAbsent`: the server is asked to refuse when something lies there. */
  put(key: string, body: Body, content: Content, onlyIfAbsent: boolean): Promise<PutAnswer> {
    const command = new PutObjectCommand({
      ...this.#newObject(key, content),
      ...(onlyIfAbsent ? IF_ABSENT : {}),
      Body: body.bytes,
      ContentLength: body.bytes.length,
      ContentMD5: body.md5,
    });
    command.middlewareStack.add(signedAs(body), { step: 'build', name: 'signedAs' });
    return this.#putting(key, body.bytes.length, (abortSignal) =>
      this.#ports.client.send(command, { abortSignal }),
    );
  }

  async createUpload(key: string, content: Content): Promise<string> {
    const command = this.#newObject(key, content);
    const answer = await this.#ports.calls.run({
      what: `storing ${this.#name(key)}`,
      attempt: (abortSignal) =>
        this.#ports.client.send(new CreateMultipartUploadCommand(command), { abortSignal }),
    });
    if (answer.UploadId !== undefined) return answer.UploadId;
    throw new OpenduckError('IO', `storing ${this.#name(key)}: the server gave no upload id`);
  }

  async putPart(key: string, uploadId: string, number: number, body: Body): Promise<StoredPart> {
    const command = new UploadPartCommand({
      ...this.#target(key),
      UploadId: uploadId,
      PartNumber: number,
      Body: body.bytes,
      ContentLength: body.bytes.length,
      ContentMD5: body.md5,
    });
    command.middlewareStack.add(signedAs(body), { step: 'build', name: 'signedAs' });
    const answer = await this.#ports.calls.run({
      what: `storing part ${number} of ${this.#name(key)}`,
      bytes: body.bytes.length,
      attempt: (abortSignal) => this.#ports.client.send(command, { abortSignal }),
    });
    if (answer.ETag !== undefined) return { number, etag: answer.ETag };
    throw new OpenduckError('IO', `storing ${this.#name(key)}: the server gave a part no ETag`);
  }

  completeUpload(
    key: string,
    uploadId: string,
    parts: readonly StoredPart[],
    size: number,
    onlyIfAbsent: boolean,
  ): Promise<PutAnswer> {
    const command = {
      ...this.#target(key),
      ...(onlyIfAbsent ? IF_ABSENT : {}),
      UploadId: uploadId,
      MultipartUpload: {
        Parts: parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag })),
      },
    };
    return this.#putting(key, size, (abortSignal) =>
      this.#ports.client.send(new CompleteMultipartUploadCommand(command), { abortSignal }),
    );
  }

  async abortUpload(key: string, uploadId: string): Promise<void> {
    const command = { ...this.#target(key), UploadId: uploadId };
    await this.#ports.calls.run({
      what: `giving up the upload of ${this.#name(key)}`,
      attempt: (abortSignal) =>
        this.#ports.client.send(new AbortMultipartUploadCommand(command), { abortSignal }),
    });
  }

  /** Every upload in parts below our prefix that was neither completed nor aborted. */
  async listUploads(): Promise<PendingUpload[]> {
    const { client, calls, location } = this.#ports;
    const uploads: PendingUpload[] = [];
    let after: UploadMarkers | undefined = {};
    while (after !== undefined) {
      const command = { Bucket: location.bucket, Prefix: location.prefix, ...after };
      const answer: ListMultipartUploadsCommandOutput = await calls.run({
        what: `listing the unfinished uploads of ${location.url}`,
        attempt: (abortSignal) =>
          client.send(new ListMultipartUploadsCommand(command), { abortSignal }),
      });
      for (const { Key, UploadId, Initiated } of answer.Uploads ?? []) {
        const key = ownKey(location, Key ?? '');
        if (key === undefined || UploadId === undefined) continue;
        uploads.push({ key, id: UploadId, began: Initiated?.getTime() });
      }
      const { IsTruncated, NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = answer;
      const goesOn: boolean = IsTruncated === true && KeyMarker !== after.KeyMarker;
      after = goesOn ? { KeyMarker, UploadIdMarker } : undefined;
    }
    return uploads;
  }

  #target(key: string): { readonly Bucket: string; readonly Key: string } {
    const { location } = this.#ports;
    return { Bucket: location.bucket, Key: bucketKey(location, key) };
  }

  #name(key: string): string {
    return `object ${key} in ${this.#ports.location.url}`;
  }

  #newObject(key: string, content: Content) {
    const encryption = this.#ports.serverSideEncryption;
    return {
      ...this.#target(key),
      ContentType: 'application/octet-stream',
      Metadata: { [XXH64_NAME]: content.xxh64 },
      ...(encryption === undefined ? {} : { ServerSideEncryption: encryption.algorithm }),
      ...(encryption?.kmsKeyId === undefined ? {} : { SSEKMSKeyId: encryption.kmsKeyId }),
    };
  }

  async #putting(
    key: string,
    bytes: number,
    attempt: (signal: AbortSignal) => Promise<unknown>,
  ): Promise<PutAnswer> {
    try {
      await this.#ports.calls.run({ what: `storing ${this.#name(key)}`, bytes, attempt });
      return 'stored';
    } catch (error) {
      const failure = failureOf(error);
      if (failure?.status === 412) return 'taken';
      if (failure?.code === 'NoSuchUpload') return 'gone';
      throw error;
    }
  }
}

/** For a command's middleware: the signature takes the hash that is there, the SDK does not hash. */
function signedAs({ sha256 }: Body) {
  return <Args extends { request: unknown }, Result>(next: (args: Args) => Result) =>
    (args: Args): Result => {
      const { headers } = args.request as { headers: Record<string, string> };
      headers['x-amz-content-sha256'] = sha256;
      return next(args);
    };
}
