/** Opens the object store on S3: checks what was given, asks the bucket once, cleans up. */
import { describeError, errorCode } from '../../proto/errors.js';
import type { Clock, Logger, Random } from '../../proto/ports.js';
import type { ObjectStore } from '../objectStore.js';
import type { Disk } from '../os/disk.js';
import { nodeDisk } from '../os/nodeDisk.js';
import { S3Calls } from './calls.js';
import { makeClient } from './client.js';
import { Gate } from './gate.js';
import { type S3Limits, STANDARD_LIMITS } from './limits.js';
import { checkEndpoint, parseS3Url } from './location.js';
import { abortLeftovers } from './multipart.js';
import { S3Requests, type ServerSideEncryption } from './requests.js';
import { S3ObjectStore } from './store.js';
import { S3Uploads, type UploadPorts } from './uploads.js';

export interface S3Options {
  /** `s3://BUCKET` or `s3://BUCKET/PREFIX`. */
  readonly url: string;
  /** `https://HOST[:PORT]` of a store that is not AWS. */
  readonly endpoint?: string;
  /** Else from the environment or the profile; with an endpoint, else `us-east-1`. */
  readonly region?: string;
  /** `ENDPOINT/BUCKET` instead of `BUCKET.ENDPOINT`; the default when there is an endpoint. */
  readonly pathStyle?: boolean;
  readonly serverSideEncryption?: ServerSideEncryption;
  /** PEM file with CAs to trust besides those of Node. */
  readonly caFile?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits?: Partial<S3Limits>;
  /** False: a store that is away at the moment is no error here. */
  readonly mustAnswer?: boolean;
  /** Where the files to be stored are. */
  readonly disk?: Disk;
}

/**
 * Credentials come from the SDK's default chain; they need not be allowed to write. Throws
 * INVALID_ARGUMENT (URL, endpoint, region), NOT_FOUND (bucket, CA file), NOT_PERMITTED (no
 * credentials, or not good enough to list the bucket), UNAVAILABLE, IO.
 */
export async function openS3ObjectStore(options: S3Options): Promise<ObjectStore> {
  const { clock, random, logger, disk = nodeDisk } = options;
  const location = parseS3Url(options.url);
  const endpoint = options.endpoint === undefined ? undefined : checkEndpoint(options.endpoint);
  const limits: S3Limits = { ...STANDARD_LIMITS, ...options.limits };
  const client = await makeClient({
    endpoint,
    region: options.region,
    pathStyle: options.pathStyle,
    caFile: options.caFile,
    connections: limits.connections,
  });
  const requests = new S3Requests({
    client,
    calls: new S3Calls({ clock, random, limits }),
    location,
    serverSideEncryption: options.serverSideEncryption,
    limits,
  });
  const ports: UploadPorts = {
    requests,
    limits,
    memory: new Gate(limits.uploadMemoryBytes),
    signed: endpoint?.startsWith('http:') ?? false,
    clock,
    logger,
    disk,
    url: location.url,
  };
  // Whoever can list can tell a wrong bucket, endpoint, region or credential from a missing object.
  try {
    await requests.probe();
  } catch (error) {
    if (options.mustAnswer !== false || errorCode(error) !== 'UNAVAILABLE') throw error;
    const fields = { code: 'UNAVAILABLE', error: describeError(error) };
    logger.warn(fields, 'the object store does not answer; what is cached can be read');
  }
  void abortLeftovers(ports);
  return new S3ObjectStore(location, requests, new S3Uploads(ports));
}
