/** Random bytes and damaged messages to the control socket; it answers good requests afterwards. */
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { Client, credentials } from '@grpc/grpc-js';
import { connectDaemon } from '../../daemon/control/connect.js';
import { CONTROL_SERVICE } from '../../daemon/control/protocol.js';
import { startControlServer } from '../../daemon/control/server.js';
import { dataPaths } from '../../daemon/dataDirectory.js';
import { silentLogger, systemClock } from '../../proto/ports.js';
import { fakeCommands } from '../daemon/fakeCommands.js';
import type { SeededRandom } from '../harness/seeds.js';
import { within } from '../harness/testRun.js';
import { count, damagedBytes, type Findings } from './fuzzWorld.js';

const ANSWER_MS = 5_000;
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const EMPTY_SETTINGS = Buffer.from('000000040000000000', 'hex');

/** Bytes on a connection of its own, which the server may close. */
function sendBytes(path: string, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const timer = setTimeout(() => socket.destroy(), 15);
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.resume();
    socket.write(bytes);
  });
}

function rawBytes(random: SeededRandom): Buffer {
  const noise = random.bytes(random.int(1, 400));
  const valid = Buffer.concat([PREFACE, EMPTY_SETTINGS, noise]);
  return random.pick([noise, valid, damagedBytes(valid, noise, random).bytes]);
}

/** A call whose message is damaged. Resolves when it is answered, in whatever way. */
function sendMessage(client: Client, random: SeededRandom): Promise<void> {
  const methods = Object.values(CONTROL_SERVICE).filter((m) => !m.path.endsWith('/Shutdown'));
  const encode = (path: string): Buffer => {
    const { requestSerialize } = methods.find((m) => m.path === path)!;
    return requestSerialize({ database: 'mydb', when: '~3', name: 'before' });
  };
  const { path } = random.pick(methods);
  const full = encode(random.pick(methods).path);
  const whole = full.length > 0 ? full : Buffer.from('0a046d796462', 'hex');
  const { bytes } = damagedBytes(whole, random.bytes(60), random);
  const same = (buffer: Buffer): Buffer => buffer;
  return new Promise((resolve) => {
    const options = { deadline: Date.now() + ANSWER_MS };
    client.makeUnaryRequest(path, same, same, bytes, options, () => resolve());
  });
}

/** One server; each damaged input is followed by a good request now and then. */
export async function fuzzControl(
  random: SeededRandom,
  directory: string,
  times: number,
  findings: Findings,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  const { socket } = dataPaths(directory);
  const daemon = {
    mountpoint: '/mnt/fuzz',
    dataDir: directory,
    version: '1.2.3',
    uptimeSeconds: () => 1,
    memoryBytes: () => 1,
    worker: () => undefined,
    http: () => undefined,
    logLevel: () => 'info',
    shutdown: async () => {},
    handOver: async () => {},
  };
  const ports = { clock: systemClock, logger: silentLogger };
  const server = await startControlServer({
    socketPath: socket,
    commands: fakeCommands,
    daemon,
    ...ports,
  });
  const raw = new Client(`unix:${socket}`, credentials.createInsecure());
  const good = await connectDaemon(directory, systemClock);
  try {
    for (let i = 0; i < times; i++) {
      if (random.int(0, 3) === 0) await sendBytes(socket, rawBytes(random));
      else await within(2 * ANSWER_MS, 'a damaged message', sendMessage(raw, random));
      count(findings, 'control messages');
      if (i % 8 !== 7) continue;
      const status = await within(ANSWER_MS, 'status', good!.status());
      if (status.version !== '1.2.3') findings.failures.push('control: a wrong status');
      count(findings, 'control: good answers');
    }
  } finally {
    raw.close();
    await good?.close();
    await server.stop();
  }
}
