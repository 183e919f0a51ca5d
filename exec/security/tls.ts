/** Certificates and keys as PEM texts, checked before anything listens with them. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { OpenduckError } from '../../proto/errors.js';

/** Texts, and where they are from, for messages. */
export interface Pem {
  readonly text: string;
  readonly origin: string;
}

export interface ServerTls {
  /** The server's certificate first, then those between it and the root. */
  readonly certificate: Pem;
  readonly key: Pem;
  /** Mutual TLS: only clients with a certificate from one of these are let in. */
  readonly clientCa?: Pem | undefined;
}

/** How a client checks a server over TLS, and shows who it is. */
export interface ClientTls {
  /** Instead of the authorities that Node trusts. */
  readonly ca?: Pem | undefined;
  readonly certificate?: Pem | undefined;
  readonly key?: Pem | undefined;
}

const HINT = 'PEM files are expected; openssl x509 -in FILE -noout -text shows what one has.';

function wrong(pem: Pem, problem: string, cause?: unknown): OpenduckError {
  return new OpenduckError('USAGE', `${pem.origin}: ${problem}`, { cause, hint: HINT });
}

function certificateOf(pem: Pem): X509Certificate {
  try {
    return new X509Certificate(pem.text);
  } catch (cause) {
    throw wrong(pem, 'not a certificate', cause);
  }
}

function keyOf(pem: Pem): KeyObject {
  try {
    return createPrivateKey(pem.text);
  } catch (cause) {
    throw wrong(pem, 'not a private key without a passphrase', cause);
  }
}

function checkPair(certificate: Pem, key: Pem): void {
  if (certificateOf(certificate).checkPrivateKey(keyOf(key))) return;
  throw wrong(key, `is not the key of the certificate in ${certificate.origin}`);
}

/** Throws USAGE, naming what is wrong: not PEM, or key and certificate of different pairs. */
export function serverCredentials(tls: ServerTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const { certificate, key, clientCa } = tls;
  checkPair(certificate, key);
  if (clientCa !== undefined) certificateOf(clientCa);
  const ca = clientCa === undefined ? null : Buffer.from(clientCa.text);
  const pair = { cert_chain: Buffer.from(certificate.text), private_key: Buffer.from(key.text) };
  return ServerCredentials.createSsl(ca, [pair], clientCa !== undefined);
}

/** Throws as `serverCredentials`, also for a key or a certificate alone. */
export function channelCredentials({ ca, certificate, key }: ClientTls): ChannelCredentials {
  if (ca !== undefined) certificateOf(ca);
  const roots = ca === undefined ? null : Buffer.from(ca.text);
  if (certificate === undefined || key === undefined) {
    const alone = certificate ?? key;
    if (alone === undefined) return ChannelCredentials.createSsl(roots);
    throw wrong(alone, 'a certificate and its key belong together');
  }
  checkPair(certificate, key);
  const [chain, secret] = [Buffer.from(certificate.text), Buffer.from(key.text)];
  return ChannelCredentials.createSsl(roots, secret, chain);
}
