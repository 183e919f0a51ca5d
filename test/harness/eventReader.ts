/** Reads server-sent events over a connection of its own. */
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { within } from './testRun.js';

const EVENT_LIMIT_MS = 20_000;

export interface ServerEvent {
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: what the page gets, as it comes
  readonly data: any;
}

export class EventReader {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly events: ServerEvent[] = [];
  readonly ended: Promise<void>;
  readonly #request: ClientRequest;
  #next = 0;
  #tell: () => void = () => {};

  private constructor(sent: ClientRequest, answer: IncomingMessage) {
    this.#request = sent;
    this.status = answer.statusCode ?? 0;
    this.headers = answer.headers;
    let text = '';
    answer.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const parts = text.split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) this.#take(part);
    });
    answer.on('error', () => {}); // it is closed
    this.ended = new Promise((resolve) => answer.once('close', resolve));
  }

  static open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<EventReader> {
    return new Promise((resolve, reject) => {
      const sent = request(url, { headers, agent: false });
      sent.once('response', (answer) => resolve(new EventReader(sent, answer)));
      sent.on('error', reject);
      sent.end();
    });
  }

  #take(part: string): void {
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}: (.*)$`, 'm').exec(part)?.[1];
    const [event, data] = [field('event'), field('data')];
    if (event === undefined || data === undefined) return;
    this.events.push({ event, data: JSON.parse(data) });
    this.#tell();
  }

  /** The next one of that kind for which `holds`; those before it are passed over. */
  // biome-ignore lint/suspicious/noExplicitAny: what the page gets, as it comes
  async until(event: string, holds: (data: any) => boolean = () => true): Promise<any> {
    const search = async () => {
      for (;;) {
        while (this.#next < this.events.length) {
          const { event: kind, data } = this.events[this.#next++]!;
          if (kind === event && holds(data)) return data;
        }
        await new Promise<void>((resolve) => {
          this.#tell = resolve;
        });
      }
    };
    return within(EVENT_LIMIT_MS, `event ${event}`, search());
  }

  close(): void {
    this.#request.destroy();
  }
}
