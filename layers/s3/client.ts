/** The SDK's client, set up once: endpoint, region, agents, trust. Credentials: its default chain. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { rootCertificates } from 'node:tls';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { OpenduckError } from '../../proto/errors.js';
import { readText } from '../os/textFile.js';

export interface ClientOptions {
  /** Checked; undefined: that of AWS. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  /** Undefined: path style when there is an endpoint. */
  readonly pathStyle: boolean | undefined;
  readonly caFile: string | undefined;
  readonly connections: number;
}

/**
 * The SDK warns whoever runs it on Node 20 of its own later versions. Ours is pinned, and its users
 * cannot do anything about it.
 */
const NO_VERSION_WARNING = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED';

/** What servers that have no regions call theirs. */
const ANY_REGION = 'us-east-1';

/** Throws INVALID_ARGUMENT (no region), NOT_FOUND (no CA file), IO. */
export async function makeClient(options: ClientOptions): Promise<S3Client> {
  const { endpoint, connections, caFile } = options;
  process.env[NO_VERSION_WARNING] ??= 'true';
  // Sockets left over from a time-out are still closing while their successors open.
  const agent = { keepAlive: true, maxSockets: connections * 2, maxFreeSockets: connections };
  const trust = caFile === undefined ? {} : { ca: await trustedCertificates(caFile) };
  const config: S3ClientConfig = {
    region: await regionOf(options),
    forcePathStyle: options.pathStyle ?? endpoint !== undefined,
    maxAttempts: 1, // see calls.ts
    // Third-party servers refuse or, worse, store the framing of the SDK's own checksums; ours is
    // Content-MD5 (requests.ts), which they all know.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // It costs a round trip, and 6 s where the server does not know it.
    expectContinueHeader: false,
    requestHandler: {
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent({ ...agent, ...trust }),
    },
  };
  return new S3Client(endpoint === undefined ? config : { ...config, endpoint });
}

/** The certificates that Node trusts, and those of the file. */
async function trustedCertificates(caFile: string): Promise<string[]> {
  const text = await readText(caFile);
  if (text === undefined) throw new OpenduckError('NOT_FOUND', `no CA file ${caFile}`);
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw new OpenduckError('INVALID_ARGUMENT', `${caFile} holds no certificate in PEM form`);
  }
  return [...rootCertificates, text];
}

async function regionOf({ region, endpoint }: ClientOptions): Promise<string> {
  if (region !== undefined) return region;
  try {
    // The environment, else the profile.
    return await new S3Client({}).config.region();
  } catch (cause) {
    if (endpoint !== undefined) return ANY_REGION;
    throw new OpenduckError('INVALID_ARGUMENT', 'the region of the bucket is not known', {
      cause,
      hint: 'Set AWS_REGION, or region in the profile of ~/.aws/config, or give it as an option.',
    });
  }
}
