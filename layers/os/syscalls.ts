/**
 * System calls that Node does not offer, made through koffi: FUSE device, flock, descriptors and
 * datagrams over a socket, adjtimex. Those about the page cache are in pageCacheCalls.ts; nobody
 * else makes any. All others go through node:fs.
 *
 * Each function names its man page; a failing call throws a SystemCallError with `errno`, except
 * on the hot path, where −errno is returned instead.
 */
import koffi from 'koffi';
import { OpenduckError } from '../../proto/errors.js';

const libc = koffi.load('libc.so.6');
const call = {
  open: libc.func('int open(const char *path, int flags, int mode)'),
  close: libc.func('int close(int fd)'),
  dup2: libc.func('int dup2(int from, int to)'),
  read: libc.func('int64_t read(int fd, void *buf, uint64_t n)'),
  write: libc.func('int64_t write(int fd, void *buf, uint64_t n)'),
  fdatasync: libc.func('int fdatasync(int fd)'),
  pwrite: libc.func('int64_t pwrite(int fd, void *buf, uint64_t n, int64_t offset)'),
  poll: libc.func('int poll(void *fds, unsigned long n, int timeout)'),
  fcntl: libc.func('int fcntl(int fd, int command, int argument)'),
  ioctl: libc.func('int ioctl(int fd, unsigned long request, void *argument)'),
  flock: libc.func('int flock(int fd, int operation)'),
  socketpair: libc.func('int socketpair(int domain, int type, int protocol, void *fds)'),
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  sendto: libc.func(
    'int64_t sendto(int fd, void *data, uint64_t n, int flags, void *address, uint32_t length)',
  ),
  mount: libc.func(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, ' +
      'const char *data)',
  ),
  umount2: libc.func('int umount2(const char *target, int flags)'),
  recvmsg: libc.func('int64_t recvmsg(int fd, void *message, int flags)'),
  adjtimex: libc.func('int adjtimex(void *settings)'),
};

const O_RDWR = 2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const POLLIN = 1;
const EINTR = 4;
const EAGAIN = 11;

/**
 * Memory that stays where it is. V8 keeps arrays of up to 64 bytes on its own heap, where the
 * garbage collector moves them under the feet of a call on another thread.
 */
export function nativeMemory(bytes: number): Buffer {
  return Buffer.alloc(Math.max(bytes, 128));
}

const procBuffer = nativeMemory(4096);

export class SystemCallError extends OpenduckError {
  readonly errno: number;

  constructor(name: string, errno: number) {
    super('IO', `${name}: errno ${errno}`);
    this.errno = errno;
  }
}

function checked(result: number, name: string): number {
  if (result < 0) throw new SystemCallError(name, koffi.errno());
  return result;
}

/** open(2) of a device, read-write, non-blocking, close-on-exec. Returns the descriptor. */
export function openDevice(path: string): number {
  return checked(call.open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0), `open ${path}`);
}

/**
 * The first 4 KiB of a small file of /proc, or undefined when it is not there. Synchronous: only
 * for /proc, which answers from memory.
 */
export function readProcFile(path: string): string | undefined {
  const fd = call.open(path, O_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const n = Number(call.read(fd, procBuffer, procBuffer.length));
  call.close(fd);
  return n < 0 ? undefined : procBuffer.toString('latin1', 0, n);
}

const MS_RDONLY = 1; // <linux/mount.h>
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MNT_DETACH = 2;

export interface MountCall {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly readOnly: boolean;
  /** Options of the file system itself. */
  readonly data: string;
}

/**
 * umount2(2) with MNT_DETACH, then at once mount(2), without setuid and devices: as good as nobody
 * sees what is under the two. Neither asks the daemon of a dead or new mount anything. Throws a
 * SystemCallError.
 */
export function remountDetached({ source, target, type, readOnly, data }: MountCall): void {
  const flags = MS_NOSUID | MS_NODEV | (readOnly ? MS_RDONLY : 0);
  checked(call.umount2(target, MNT_DETACH), `umount2 ${target}`);
  checked(call.mount(source, target, type, flags, data), `mount ${target}`);
}

export function closeDescriptor(fd: number): void {
  call.close(fd);
}

/** dup2(2): `to` is from now on what `from` is. Throws a SystemCallError. */
export function duplicateDescriptor(from: number, to: number): void {
  checked(call.dup2(from, to), 'dup2');
}

/** read(2). Returns the number of bytes, or −errno. */
export function readDescriptor(fd: number, buffer: Buffer): number {
  const n = Number(call.read(fd, buffer, buffer.length));
  return n < 0 ? -koffi.errno() : n;
}

/** write(2) of the first `length` bytes. Returns the number of bytes, or −errno. */
export function writeDescriptor(fd: number, buffer: Buffer, length: number): number {
  const n = Number(call.write(fd, buffer, length));
  return n < 0 ? -koffi.errno() : n;
}

/**
 * The same on a pool thread; the buffer must not move or change meanwhile (nativeMemory). Resolves
 * also when it failed.
 */
export function writeDescriptorLater(fd: number, buffer: Buffer, length: number): Promise<void> {
  return new Promise((resolve) => call.write.async(fd, buffer, length, () => resolve()));
}

/** struct pollfd { int fd; short events; short revents } */
const POLLFD_BYTES = 8;
const REVENTS = 6;
/**
 * Looks before a wait that sleeps, some 25 µs in all: the next request mostly comes at once, and a
 * sleeping thread takes longer than that to wake up.
 */
const LOOKS = 30;

/** poll(2) for reading; one wait at a time. */
export class Poller {
  readonly #pollfds: Buffer;
  readonly #count: number;

  /** `also`: a second descriptor, for `waitHere` only. */
  constructor(fd: number, also?: number) {
    const fds = also === undefined ? [fd] : [fd, also];
    this.#count = fds.length;
    this.#pollfds = nativeMemory(fds.length * POLLFD_BYTES);
    for (const [i, each] of fds.entries()) {
      this.#pollfds.writeInt32LE(each, i * POLLFD_BYTES);
      this.#pollfds.writeInt16LE(POLLIN, i * POLLFD_BYTES + 4);
    }
  }

  /** On a pool thread: calls back when the descriptor is readable or `timeoutMs` passed. */
  wait(timeoutMs: number, callback: () => void): void {
    call.poll.async(this.#pollfds, 1, timeoutMs, () => callback());
  }

  /**
   * On this thread, which does nothing else meanwhile: which descriptor has something to read, or
   * an error to tell. 'none' also when a signal came.
   */
  waitHere(timeoutMs: number): 'first' | 'second' | 'none' {
    let ready = 0;
    for (let i = 0; i < LOOKS && ready === 0; i++) ready = call.poll(this.#pollfds, this.#count, 0);
    if (ready === 0) ready = call.poll(this.#pollfds, this.#count, timeoutMs);
    if (ready <= 0) return 'none';
    return this.#pollfds.readInt16LE(REVENTS) !== 0 ? 'first' : 'second';
  }
}

/** pwrite(2) until all is written. Returns 0, or errno. Blocks only on dirty-page throttling. */
export function writeAt(
  fd: number,
  buffer: Buffer,
  at: number,
  length: number,
  position: number,
): number {
  for (let done = 0; done < length; ) {
    const piece = at + done === 0 ? buffer : buffer.subarray(at + done);
    const n = Number(call.pwrite(fd, piece, length - done, position + done));
    if (n < 0 && koffi.errno() === EINTR) continue;
    if (n < 0) return koffi.errno();
    done += n;
  }
  return 0;
}

/** fdatasync(2), on this thread. Returns 0, or errno. */
export function dataSyncHere(fd: number): number {
  return call.fdatasync(fd) === 0 ? 0 : koffi.errno();
}

// _IOW(229, 1, struct fuse_backing_map), _IOW(229, 2, uint32_t): <linux/fuse.h>
const FUSE_DEV_IOC_BACKING_OPEN = 0x4010e501;
const FUSE_DEV_IOC_BACKING_CLOSE = 0x4004e502;

/** Names an open file to a FUSE connection for passthrough; returns the kernel's number of it. */
export function backingOpen(device: number, fd: number): number {
  // struct fuse_backing_map { int32 fd; uint32 flags; uint64 padding }
  const map = nativeMemory(16);
  map.writeInt32LE(fd, 0);
  return checked(call.ioctl(device, FUSE_DEV_IOC_BACKING_OPEN, map), 'FUSE_DEV_IOC_BACKING_OPEN');
}

/** Open handles keep the file nevertheless. No error: the connection may be gone. */
export function backingClose(device: number, id: number): void {
  const argument = nativeMemory(4);
  argument.writeUInt32LE(id, 0);
  call.ioctl(device, FUSE_DEV_IOC_BACKING_CLOSE, argument);
}

/** Sets O_NONBLOCK on a descriptor that somebody else opened. */
export function makeNonBlocking(fd: number): void {
  const F_SETFL = 4;
  checked(call.fcntl(fd, F_SETFL, O_NONBLOCK), 'fcntl');
}

/** flock(2), exclusive, without waiting. False when somebody else holds it. */
export function tryLock(fd: number): boolean {
  const LOCK_EX_NB = 2 | 4;
  if (call.flock(fd, LOCK_EX_NB) === 0) return true;
  if (koffi.errno() === EAGAIN) return false;
  throw new SystemCallError('flock', koffi.errno());
}

/** socketpair(2), Unix stream. */
export function socketPair(): [number, number] {
  const fds = nativeMemory(8);
  checked(call.socketpair(1, 1, 0, fds), 'socketpair');
  return [fds.readInt32LE(0), fds.readInt32LE(4)];
}

const CONTROL_BYTES = 64;

/**
 * recvmsg(2) of one byte with one descriptor in SCM_RIGHTS, as fusermount3 sends it. Blocks until
 * it comes: call it only after the sender has ended. 64-bit layouts of msghdr and cmsghdr.
 */
export function receiveDescriptor(socket: number): number {
  const data = nativeMemory(8);
  const vector = nativeMemory(16);
  const control = nativeMemory(CONTROL_BYTES);
  const message = nativeMemory(56);
  vector.writeBigUInt64LE(BigInt(koffi.address(data)), 0);
  vector.writeBigUInt64LE(1n, 8);
  message.writeBigUInt64LE(BigInt(koffi.address(vector)), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(BigInt(koffi.address(control)), 32);
  message.writeBigUInt64LE(BigInt(CONTROL_BYTES), 40);
  const n = Number(call.recvmsg(socket, message, 0));
  checked(n, 'recvmsg');
  const SOL_SOCKET = 1;
  const SCM_RIGHTS = 1;
  if (n === 0 || control.readInt32LE(8) !== SOL_SOCKET || control.readInt32LE(12) !== SCM_RIGHTS) {
    throw new OpenduckError('IO', 'fusermount3 sent no descriptor');
  }
  return control.readInt32LE(16);
}

/**
 * socket(2) and sendto(2): one datagram to the Unix socket at `address` (a struct sockaddr_un),
 * never waiting for a receiver that is slow. Returns 0, or errno.
 */
export function sendDatagram(address: Buffer, data: Buffer): number {
  const AF_UNIX = 1;
  const SOCK_DGRAM_CLOEXEC = 2 | O_CLOEXEC;
  const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
  const fd = call.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) return koffi.errno();
  const flags = MSG_DONTWAIT_NOSIGNAL;
  const n = Number(call.sendto(fd, data, data.length, flags, address, address.length));
  const errno = n < 0 ? koffi.errno() : 0;
  call.close(fd);
  return errno;
}

/** sizeof(struct timex) in <linux/timex.h>, 64 bits. Its first field, modes: 0 changes nothing. */
const TIMEX_SIZE = 208;
/** State of a clock that nothing keeps, see adjtimex(2). */
const TIME_ERROR = 5;

/** adjtimex(2): whether somebody keeps the kernel's clock right. Throws where that is forbidden. */
export function isClockKept(): boolean {
  return checked(call.adjtimex(nativeMemory(TIMEX_SIZE)), 'adjtimex') !== TIME_ERROR;
}
