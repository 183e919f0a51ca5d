/**
 * What systemd is to a service: a Unix datagram socket that collects what is said there. Node has
 * no such sockets, so this one is made by system calls.
 */
import { sleep } from './testRun.js';

const { default: koffi } = await import('koffi');
const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, void *address, uint32_t length)');
const recv = libc.func('int64_t recv(int fd, void *data, uint64_t n, int flags)');
const close = libc.func('int close(int fd)');

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const MSG_DONTWAIT = 0x40;

export class NotifyReceiver {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(4096);
  /** One element per datagram. */
  readonly received: string[] = [];

  /** `name`: as NOTIFY_SOCKET has it. The address is written here by hand, as the kernel has it. */
  constructor(name: string) {
    const path = name.startsWith('@') ? `\0${name.slice(1)}` : `${name}\0`;
    const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), Buffer.from(path)]);
    this.#fd = socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0) as number;
    if (this.#fd < 0 || bind(this.#fd, address, address.length) !== 0) {
      throw new Error(`cannot bind ${name}: errno ${koffi.errno()}`);
    }
  }

  #take(): void {
    for (;;) {
      const n = Number(recv(this.#fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT));
      if (n < 0) return;
      this.received.push(this.#buffer.toString('utf8', 0, n));
    }
  }

  /** All lines of all datagrams so far. */
  lines(): string[] {
    this.#take();
    return this.received.flatMap((text) => text.split('\n'));
  }

  /** Resolves when `line` came at least `times` times. */
  async until(line: string, times = 1, limitMs = 20_000): Promise<void> {
    const deadline = Date.now() + limitMs;
    for (;;) {
      const lines = this.lines();
      if (lines.filter((one) => one === line).length >= times) return;
      if (Date.now() > deadline) {
        throw new Error(`no ${line} (${times}) in ${limitMs} ms, only: ${lines.join(' | ')}`);
      }
      await sleep(20);
    }
  }

  close(): void {
    close(this.#fd);
  }
}
