/** The objects of the S3 double: what the requests that we make mean, in memory. */
import { createHash } from 'node:crypto';

export interface StoredObject {
  readonly bytes: Buffer;
  readonly etag: string;
  /** x-amz-meta-… as sent. */
  readonly metadata: Readonly<Record<string, string>>;
}

interface Upload {
  readonly key: string;
  readonly began: Date;
  readonly metadata: Readonly<Record<string, string>>;
  readonly parts: Map<number, StoredObject>;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

export interface DoubleRequest {
  readonly method: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** How much of S3 the double does; some servers do less. */
export interface Manners {
  /** If-None-Match of a write: honoured, ignored, or answered with 501. */
  conditional: 'honoured' | 'ignored' | 'refused';
  /** Whether x-amz-meta-… is kept. */
  keepsMetadata: boolean;
}

export function s3ErrorAnswer(status: number, code: string, message = code): Answer {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  return { status, headers: { 'content-type': 'application/xml' }, body };
}

const xml = (name: string, inner: string): Answer => ({
  status: 200,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?><${name}>${inner}</${name}>`,
});

const escapeXml = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const etagOf = (bytes: Buffer) => `"${createHash('md5').update(bytes).digest('hex')}"`;

export class DoubleObjects {
  readonly bucket: string;
  readonly manners: Manners = { conditional: 'honoured', keepsMetadata: true };
  readonly objects = new Map<string, StoredObject>();
  readonly uploads = new Map<string, Upload>();
  #uploadCount = 0;

  constructor(bucket: string) {
    this.bucket = bucket;
  }

  put(key: string, bytes: Buffer, metadata: Record<string, string> = {}): void {
    this.objects.set(key, { bytes, etag: etagOf(bytes), metadata });
  }

  /** An upload in parts that somebody began at `began`. */
  addUpload(key: string, began: Date, metadata: Record<string, string> = {}): string {
    const id = `upload-${++this.#uploadCount}`;
    this.uploads.set(id, { key, began, metadata, parts: new Map() });
    return id;
  }

  answer(request: DoubleRequest): Answer {
    const { method, bucket, key, query } = request;
    if (bucket !== this.bucket) return s3ErrorAnswer(404, 'NoSuchBucket');
    if (key === '') {
      return query.has('uploads') ? this.#listUploads(request) : this.#list(request);
    }
    const uploadId = query.get('uploadId');
    if (method === 'POST' && query.has('uploads')) {
      const id = this.addUpload(key, new Date(), this.#metadata(request));
      return xml('InitiateMultipartUploadResult', `<UploadId>${id}</UploadId>`);
    }
    if (uploadId !== null) return this.#multipart(request, uploadId);
    if (method === 'PUT') return this.#put(request);
    if (method === 'GET' || method === 'HEAD') return this.#get(request);
    if (method === 'DELETE') {
      this.objects.delete(key);
      return { status: 204 };
    }
    return s3ErrorAnswer(405, 'MethodNotAllowed');
  }

  #metadata({ headers }: DoubleRequest): Record<string, string> {
    if (!this.manners.keepsMetadata) return {};
    const own = Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-'));
    return Object.fromEntries(own);
  }

  /** As S3: nothing is stored that did not arrive as it was sent. */
  #damage({ headers, body }: DoubleRequest): Answer | undefined {
    const md5 = headers['content-md5'];
    const isMd5 = md5 === createHash('md5').update(body).digest('base64');
    if (md5 !== undefined && !isMd5) return s3ErrorAnswer(400, 'BadDigest');
    const sha256 = headers['x-amz-content-sha256'];
    const isSha256 = sha256 === createHash('sha256').update(body).digest('hex');
    if (sha256 === 'UNSIGNED-PAYLOAD' || isSha256) return undefined;
    return s3ErrorAnswer(400, 'XAmzContentSHA256Mismatch');
  }

  #refusal({ headers, key }: DoubleRequest): Answer | undefined {
    if (headers['if-none-match'] === undefined) return undefined;
    const { conditional } = this.manners;
    if (conditional === 'refused') return s3ErrorAnswer(501, 'NotImplemented');
    if (conditional === 'ignored' || !this.objects.has(key)) return undefined;
    return s3ErrorAnswer(412, 'PreconditionFailed');
  }

  #put(request: DoubleRequest): Answer {
    const bad = this.#damage(request) ?? this.#refusal(request);
    if (bad !== undefined) return bad;
    this.put(request.key, request.body, this.#metadata(request));
    return { status: 200, headers: { etag: etagOf(request.body) } };
  }

  #get({ key, headers }: DoubleRequest): Answer {
    const object = this.objects.get(key);
    if (object === undefined) return s3ErrorAnswer(404, 'NoSuchKey');
    const { bytes, etag, metadata } = object;
    const match = headers['if-match'];
    if (match !== undefined && match !== etag) return s3ErrorAnswer(412, 'PreconditionFailed');
    const range = /^bytes=(\d+)-(\d+)$/.exec(headers['range'] ?? '');
    if (range === null) return { status: 200, headers: { etag, ...metadata }, body: bytes };
    const [from, to] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)];
    if (from >= bytes.length) return s3ErrorAnswer(416, 'InvalidRange');
    const contentRange = `bytes ${from}-${to}/${bytes.length}`;
    const all = { etag, ...metadata, 'content-range': contentRange };
    return { status: 206, headers: all, body: bytes.subarray(from, to + 1) };
  }

  #list({ query }: DoubleRequest): Answer {
    const prefix = query.get('prefix') ?? '';
    const after = query.get('continuation-token') ?? '';
    const count = Number(query.get('max-keys') ?? 1000);
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after);
    const page = keys.sort().slice(0, count);
    const isTruncated = page.length < keys.length;
    const contents = page.map((key) => `<Contents><Key>${escapeXml(key)}</Key></Contents>`);
    const next = isTruncated
      ? `<NextContinuationToken>${escapeXml(page.at(-1)!)}</NextContinuationToken>`
      : '';
    const truncated = `<IsTruncated>${isTruncated}</IsTruncated>`;
    return xml('ListBucketResult', `${truncated}${next}${contents.join('')}`);
  }

  #listUploads({ query }: DoubleRequest): Answer {
    const prefix = query.get('prefix') ?? '';
    const uploads = [...this.uploads].filter(([, { key }]) => key.startsWith(prefix));
    const items = uploads.map(([id, { key, began }]) => {
      const when = `<Initiated>${began.toISOString()}</Initiated>`;
      return `<Upload><Key>${escapeXml(key)}</Key><UploadId>${id}</UploadId>${when}</Upload>`;
    });
    return xml('ListMultipartUploadsResult', `<IsTruncated>false</IsTruncated>${items.join('')}`);
  }

  #multipart(request: DoubleRequest, id: string): Answer {
    const upload = this.uploads.get(id);
    if (upload === undefined) return s3ErrorAnswer(404, 'NoSuchUpload');
    if (request.method === 'DELETE') {
      this.uploads.delete(id);
      return { status: 204 };
    }
    if (request.method === 'PUT') {
      const damage = this.#damage(request);
      if (damage !== undefined) return damage;
      const etag = etagOf(request.body);
      const part = { bytes: request.body, etag, metadata: {} };
      upload.parts.set(Number(request.query.get('partNumber')), part);
      return { status: 200, headers: { etag } };
    }
    return this.#refusal(request) ?? this.#complete(request, id, upload);
  }

  #complete(request: DoubleRequest, id: string, upload: Upload): Answer {
    const named = [...request.body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)];
    const parts = named.map(([, number]) => upload.parts.get(Number(number)));
    if (parts.some((part) => part === undefined)) return s3ErrorAnswer(400, 'InvalidPart');
    this.put(upload.key, Buffer.concat(parts.map((part) => part!.bytes)), upload.metadata);
    this.uploads.delete(id);
    return xml('CompleteMultipartUploadResult', `<Key>${escapeXml(upload.key)}</Key>`);
  }
}
