/**
 * Waiting for requests and for the event loop at once: neither keeps the other waiting. A socket
 * plays the kernel.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';
import { suite, test } from 'node:test';
import { FuseDevice } from '../../fs/session/device.js';
import { findLoopDescriptor } from '../../layers/os/loopDescriptor.js';
import { closeDescriptor, makeNonBlocking, socketPair } from '../../layers/os/syscalls.js';
import { silentLogger } from '../../proto/ports.js';
import { sleep } from '../harness/testRun.js';

interface Kernel {
  /** Texts of the requests so far. */
  readonly seen: string[];
  ask(text: string): void;
  /** Resolves when so many requests were seen. */
  until(count: number): Promise<void>;
}

async function withDevice(
  loop: number | undefined,
  work: (kernel: Kernel) => Promise<void>,
): Promise<void> {
  const [ours, theirs] = socketPair();
  makeNonBlocking(ours);
  const device = new FuseDevice(ours, loop, silentLogger);
  const seen: string[] = [];
  device.start((request, length) => {
    // A stream ends with nothing to read; the kernel's device ends with an error.
    if (length > 0) seen.push(request.toString('utf8', 0, length));
    return false;
  });
  const ask = (text: string): void => void writeSync(theirs, text);
  const until = async (count: number): Promise<void> => {
    while (seen.length < count) await sleep(1);
  };
  try {
    await work({ seen, ask, until });
  } finally {
    closeDescriptor(ours); // the next read fails, which ends the device
    await device.ended;
    closeDescriptor(theirs);
  }
}

async function echo(): Promise<{ ask(): Promise<void>; close(): void }> {
  const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const socket: Socket = createConnection(port, '127.0.0.1');
  await once(socket, 'connect');
  const ask = async (): Promise<void> => {
    socket.write('x');
    await once(socket, 'data');
  };
  const close = (): void => {
    socket.destroy();
    server.close();
  };
  return { ask, close };
}

for (const known of [true, false]) {
  suite(`device, with the loop's descriptor ${known ? 'known' : 'unknown'}`, () => {
    test('requests, pool work, sockets and timers all get their turn', async () => {
      const loop = known ? await findLoopDescriptor() : undefined;
      assert.equal(loop !== undefined, known);
      const sockets = await echo();
      await withDevice(loop, async ({ seen, ask, until }) => {
        for (let i = 0; i < 50; i++) {
          ask(`${i}`);
          await until(i + 1);
          if (i % 5 === 0) await readFile(new URL(import.meta.url));
          if (i % 7 === 0) await sockets.ask();
          if (i % 10 === 0) await sleep(2);
          if (i % 25 === 24) await sleep(150); // long enough to fall asleep
        }
        assert.deepEqual(
          seen,
          Array.from({ length: 50 }, (_, i) => `${i}`),
        );
      });
      sockets.close();
    });
  });
}
