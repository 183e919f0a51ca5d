/**
 * System calls about what the page cache has of a file, made through koffi: reading it, filling it
 * ahead of a reader, having it written. None of them fails; what the disk cannot do shows when the
 * bytes are read or synced.
 */
import koffi from 'koffi';
import { nativeMemory } from './syscalls.js';

const libc = koffi.load('libc.so.6');
const call = {
  preadv2: libc.func('int64_t preadv2(int fd, void *iov, int n, int64_t offset, int flags)'),
  posix_fadvise: libc.func('int posix_fadvise(int fd, int64_t offset, int64_t n, int advice)'),
  sync_file_range: libc.func('int sync_file_range(int fd, int64_t at, int64_t n, uint flags)'),
  // Addresses as numbers: nothing here looks at what is there.
  mmap: libc.func(
    'int64_t mmap(int64_t at, uint64_t n, int protection, int flags, int fd, int64_t)',
  ),
  munmap: libc.func('int munmap(int64_t at, uint64_t n)'),
  madvise: libc.func('int madvise(int64_t at, uint64_t n, int advice)'),
};

const RWF_NOWAIT = 8; // <linux/fs.h>
const POSIX_FADV_WILLNEED = 3;
const SYNC_FILE_RANGE_WRITE = 2;
const PROT_READ = 1;
const MAP_SHARED = 1;
const MADV_RANDOM = 1;
const MADV_HUGEPAGE = 14;
const MADV_POPULATE_READ = 22;
const PAGE_BYTES = 4096;

const addresses = new WeakMap<Buffer, bigint>();
const iovec = nativeMemory(16); // struct iovec { void *base; size_t length }
const oneByte = nativeMemory(1);

function addressOf(buffer: Buffer): bigint {
  let address = addresses.get(buffer);
  if (address === undefined) {
    address = BigInt(koffi.address(buffer));
    addresses.set(buffer, address);
  }
  return address;
}

/**
 * preadv2(2) with RWF_NOWAIT: what the page cache has, never waiting for the disk. Returns the
 * number of bytes, −1 when it would have to wait or the file system cannot tell.
 */
export function readCached(
  fd: number,
  buffer: Buffer,
  at: number,
  length: number,
  position: number,
): number {
  if (length <= 0 || at < 0 || at + length > buffer.length) return -1;
  iovec.writeBigUInt64LE(addressOf(buffer) + BigInt(at), 0);
  iovec.writeBigUInt64LE(BigInt(length), 8);
  return Number(call.preadv2(fd, iovec, 1, position, RWF_NOWAIT));
}

/** posix_fadvise(2), on a pool thread: the kernel begins to read the range, in single pages. */
export function adviseNeeded(fd: number, position: number, length: number): void {
  call.posix_fadvise.async(fd, position, length, POSIX_FADV_WILLNEED, () => {});
}

/** What the kernel reads at once for a mapping that wants huge pages (x86-64: HPAGE_PMD_SIZE). */
export const HUGE_PAGE_BYTES = 2 << 20;

/**
 * Reads the HUGE_PAGE_BYTES at `position`, a multiple of them, into the page cache as one folio,
 * waiting for the disk on a pool thread. Resolves to whether the page cache has them then.
 *
 * Only a fault in a mapping that wants huge pages makes the kernel do so (do_sync_mmap_readahead in
 * mm/filemap.c); MADV_RANDOM keeps it from going on by itself. MADV_POPULATE_READ is such a fault
 * (Linux 5.14), and where a fault by hand would be a signal, it is an error.
 */
export async function readHugePage(fd: number, position: number): Promise<boolean> {
  const address = call.mmap(0, HUGE_PAGE_BYTES, PROT_READ, MAP_SHARED, fd, position) as number;
  if (address < 0) return false;
  try {
    call.madvise(address, HUGE_PAGE_BYTES, MADV_HUGEPAGE);
    call.madvise(address, HUGE_PAGE_BYTES, MADV_RANDOM);
    const failed = await new Promise<number>((resolve) => {
      const done = (_: unknown, result: number): void => resolve(result);
      call.madvise.async(address, PAGE_BYTES, MADV_POPULATE_READ, done);
    });
    if (failed !== 0) return false;
  } finally {
    call.munmap(address, HUGE_PAGE_BYTES);
  }
  return readCached(fd, oneByte, 0, 1, position + HUGE_PAGE_BYTES - 1) >= 0;
}

/** sync_file_range(2), on a pool thread, without waiting for the disk; whether it began. */
export function beginWriteback(fd: number, position: number, length: number): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (_: unknown, result: number): void => resolve(result === 0);
    call.sync_file_range.async(fd, position, length, SYNC_FILE_RANGE_WRITE, done);
  });
}
