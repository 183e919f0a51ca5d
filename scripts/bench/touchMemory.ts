/**
 * touchMemory BYTES: uses so much memory once, and ends. The hypervisor of a virtual machine may
 * have taken free memory back ("free page reporting"); to get it again costs a second for a GB, and
 * would be charged to the side that has its bytes in two page caches.
 */
const { default: koffi } = await import('koffi');

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MADV_HUGEPAGE = 14;
const MADV_POPULATE_WRITE = 23;

const libc = koffi.load('libc.so.6');
const mmap = libc.func(
  'int64_t mmap(int64_t at, uint64_t n, int prot, int flags, int fd, int64_t)',
);
const madvise = libc.func('int madvise(int64_t at, uint64_t n, int advice)');

const bytes = Number(process.argv[2]);
const address = mmap(0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0) as number;
if (!(address > 0)) throw new Error(`mmap of ${bytes} bytes: errno ${koffi.errno()}`);
madvise(address, bytes, MADV_HUGEPAGE);
const failed = madvise(address, bytes, MADV_POPULATE_WRITE) as number;
// Before Linux 5.14 there is no such advice; free page reporting is about as old.
if (failed !== 0 && koffi.errno() !== koffi.os.errno['EINVAL']) {
  throw new Error(`madvise: errno ${koffi.errno()}`);
}
