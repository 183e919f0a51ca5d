/** A process of fileChild.ts, as the test talks to it. Every answer has a time limit. */
import type { ChildProcess } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { FileAnswer, FileRequest } from './fileChild.js';
import { killGroup, startProcess } from './proc.js';
import { cleanEnvironment, within } from './testRun.js';

const CHILD = fileURLToPath(new URL('./fileChild.js', import.meta.url));
const LIMIT_MS = 15_000;

export class FileProcess {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #gone: Promise<unknown>;

  constructor() {
    this.#child = startProcess(process.execPath, [CHILD], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: cleanEnvironment(),
    });
    this.#child.stdin!.on('error', () => {});
    this.#lines = createInterface({ input: this.#child.stdout! });
    this.#gone = new Promise((resolve) => this.#child.once('close', resolve));
  }

  async #ask(request: FileRequest): Promise<FileAnswer> {
    const answered = new Promise<string>((resolve, reject) => {
      this.#lines.once('line', resolve);
      this.#gone.then(() => reject(new Error(`the process ended at ${request[0]}`)));
    });
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    return JSON.parse(await within(LIMIT_MS, request.join(' '), answered)) as FileAnswer;
  }

  /** Throws with what the system answered when it is an error. */
  async do(...request: FileRequest): Promise<FileAnswer> {
    const answer = await this.#ask(request);
    if (typeof answer !== 'string' || !answer.startsWith('!')) return answer;
    throw new Error(`${request.join(' ')}: ${answer.slice(1)}`);
  }

  /** Whether the write lock was granted. Throws on another error than that it is held. */
  async lock(slot: number): Promise<boolean> {
    const answer = await this.#ask(['lock', slot]);
    if (answer !== 0 && answer !== '!EAGAIN') throw new Error(`lock: ${answer}`);
    return answer === 0;
  }

  /** Closes everything; also its child is gone then. */
  async end(): Promise<void> {
    this.#child.stdin!.end();
    try {
      await within(LIMIT_MS, 'the end of a process', this.#gone);
    } catch (error) {
      killGroup(this.#child);
      throw error;
    }
  }
}
