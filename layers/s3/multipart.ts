/**
 * Uploads in parts: for files that are too large for one request. Parts are invisible until the
 * upload is completed, and lie there (and are paid for) until it is aborted: so a failed upload is
 * aborted, and what crashes left is aborted when the store is opened the next time.
 */
import { describeError, errorCode } from '../../proto/errors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import { inLanes } from '../lanes.js';
import type { DiskFile } from '../os/disk.js';
import { type Content, readBody } from './digest.js';
import { failureOf } from './failure.js';
import type { Gate } from './gate.js';
import { MAX_PARTS, type S3Limits } from './limits.js';
import type { PutAnswer, S3Requests, StoredPart } from './requests.js';

export interface MultipartPorts {
  readonly requests: S3Requests;
  readonly limits: S3Limits;
  /** Bytes of uploads in memory. */
  readonly memory: Gate;
  /** Whether the signature has to cover the bodies. */
  readonly signed: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The size of a part of a file: MAX_PARTS of them must do. */
export function partBytesFor(size: number, limits: S3Limits): number {
  return Math.max(limits.partBytes, Math.ceil(size / MAX_PARTS));
}

/**
 * Stores `file`, whose content is known already. Throws what the requests throw, after it has
 * aborted the upload as far as the store lets it.
 */
export async function putInParts(
  ports: MultipartPorts,
  key: string,
  file: DiskFile,
  content: Content,
  onlyIfAbsent: boolean,
): Promise<PutAnswer> {
  const { requests } = ports;
  const id = await requests.createUpload(key, content);
  try {
    const parts = await putParts(ports, key, id, file, content.size);
    const answer = await requests.completeUpload(key, id, parts, content.size, onlyIfAbsent);
    if (answer === 'taken') await abort(ports, key, id);
    return answer;
  } catch (error) {
    await abort(ports, key, id);
    throw error;
  }
}

async function putParts(
  ports: MultipartPorts,
  key: string,
  id: string,
  file: DiskFile,
  size: number,
): Promise<readonly StoredPart[]> {
  const { requests, limits, memory, signed } = ports;
  const partBytes = partBytesFor(size, limits);
  const parts: StoredPart[] = new Array(Math.ceil(size / partBytes));
  await inLanes(parts.length, limits.partsAtOnce, (index) => {
    const position = index * partBytes;
    const length = Math.min(partBytes, size - position);
    return memory.hold(length, async () => {
      const body = await readBody(file, position, length, { signed });
      parts[index] = await requests.putPart(key, id, index + 1, body);
    });
  });
  return parts;
}

/** What does not succeed is done by a later abortLeftovers, or by the bucket's lifecycle rule. */
async function abort({ requests, logger }: MultipartPorts, key: string, id: string): Promise<void> {
  try {
    await requests.abortUpload(key, id);
  } catch (error) {
    if (failureOf(error)?.status === 404) return; // completed or aborted already
    logger.warn(
      { code: errorCode(error), error: describeError(error), key },
      'an upload in parts failed and its parts could not be removed; the next start tries again',
    );
  }
}

/**
 * Aborts the uploads that began before `limits.leftoverMs`: nobody works that long on one. Never
 * throws: whoever may only read, or a server that cannot list them, leaves them to others.
 */
export async function abortLeftovers(ports: MultipartPorts): Promise<void> {
  const { requests, limits, clock, logger } = ports;
  try {
    const uploads = await requests.listUploads();
    const oldest = clock.now() - limits.leftoverMs;
    for (const { key, id, began } of uploads) {
      if (began === undefined || began > oldest) continue;
      await requests.abortUpload(key, id).catch((error: unknown) => {
        if (failureOf(error)?.status !== 404) throw error; // another host was quicker
      });
      logger.info({ key }, 'removed the parts of an upload that a crash had left');
    }
  } catch (error) {
    logger.debug(
      { code: errorCode(error), error: describeError(error) },
      'did not look for uploads that crashes left',
    );
  }
}
