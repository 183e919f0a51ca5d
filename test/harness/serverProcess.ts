/** The commands `worker` and `gateway` as processes of their own. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { MAIN } from './mountFixture.js';
import { startProcess } from './proc.js';
import { cleanEnvironment, within } from './testRun.js';

const START_LIMIT_MS = 30_000;
const END_LIMIT_MS = 20_000;

export interface ServerProcess {
  readonly child: ChildProcess;
  readonly endpoint: string;
}

/** Resolves when it serves. `home`: its HOME. Rejects when it ends before. */
export async function startServerProcess(
  home: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<ServerProcess> {
  const child = startProcess(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: cleanEnvironment({ HOME: home, OPENDUCK_LOG_LEVEL: 'error', ...environment }),
  });
  let text = '';
  const said = new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${args[0]} ended with ${code}`)));
    child.stdout!.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const endpoint = /Serving at (\S+)\n/.exec(text)?.[1];
      if (endpoint !== undefined) resolve(endpoint);
    });
  });
  return { child, endpoint: await within(START_LIMIT_MS, `start of ${args[0]}`, said) };
}

/** Resolves to its exit code. */
export async function endServerProcess(
  child: ChildProcess,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<number | null> {
  const exited = once(child, 'exit');
  child.kill(signal);
  const [code] = (await within(END_LIMIT_MS, 'end of the process', exited)) as [number | null];
  return code;
}
