/**
 * The socket of a service manager, as sd_notify(3) describes it: a Unix datagram socket named by
 * NOTIFY_SOCKET, a path or, with @ in front, a name outside of the file system.
 */
import { sendDatagram } from './syscalls.js';

const AF_UNIX = 1;
/** struct sockaddr_un { uint16 family; char path[108] } */
const FAMILY_BYTES = 2;
const LONGEST_NAME = 107;

/** The struct sockaddr_un, as long as the name is; undefined: no name of a Unix socket. */
export function notifyAddress(name: string): Buffer | undefined {
  if (!/^[/@]./.test(name)) return undefined;
  const bytes = Buffer.from(name);
  if (bytes.length > LONGEST_NAME) return undefined;
  const isAbstract = name.startsWith('@');
  if (isAbstract) bytes[0] = 0;
  // A path ends with a zero; in an abstract name every byte counts.
  const address = Buffer.alloc(FAMILY_BYTES + bytes.length + (isAbstract ? 0 : 1));
  address.writeUInt16LE(AF_UNIX, 0);
  bytes.copy(address, FAMILY_BYTES);
  return address;
}

/** Sends lines like `READY=1`. Returns 0, or the errno of a receiver that is not there or slow. */
export function notify(address: Buffer, lines: readonly string[]): number {
  return sendDatagram(address, Buffer.from(lines.join('\n')));
}
