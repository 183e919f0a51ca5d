// Everything that goes to the server. The token stands in a header and in this tab's memory only.

const KEY = 'openduck-token';
const HIDDEN_MS = 60_000;
const LONGEST_PAUSE_MS = 15_000;

/** The server refused: its words, and what one can do. */
export class Refused extends Error {
  constructor(status, text) {
    const [message = '', hint = ''] = text.trim().split('\n');
    super(message || `HTTP ${status}`);
    this.status = status;
    this.hint = hint;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY) ?? '',
  set: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};

function headers(more = {}) {
  const text = token.get();
  return text === '' ? more : { ...more, Authorization: `Bearer ${text}` };
}

async function refusal(answer) {
  return new Refused(answer.status, await answer.text().catch(() => ''));
}

/** Throws Refused, TypeError (no connection). */
export async function look(what, params = {}) {
  const query = new URLSearchParams(params);
  const answer = await fetch(`api/${what}?${query}`, { headers: headers() });
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

/** Throws the same. */
export async function act(action, body) {
  const answer = await fetch(`api/actions/${action}`, {
    method: 'POST',
    headers: headers({ 'Content-Type': 'application/json' }),
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

/** Events as they come; each is `{ event, data }`. */
async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    for (;;) {
      const end = text.indexOf('\n\n');
      if (end < 0) break;
      const lines = text.slice(0, end).split('\n');
      text = text.slice(end + 2);
      const field = (name) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field('data');
      if (data !== undefined) yield { event: field('event'), data: JSON.parse(data) };
    }
  }
}

/**
 * The event stream, opened again whenever it ends, and closed while nobody sees the page. What
 * browsers have for it, EventSource, could not send the token in a header.
 */
export class Stream {
  #onEvent;
  #onStatus;
  #search = '';
  #abort;
  #timer;
  #failures = 0;

  /** `onStatus`: 'connecting', 'live', 'paused', 'token', or 'lost' with the error. */
  constructor(onEvent, onStatus) {
    this.#onEvent = onEvent;
    this.#onStatus = onStatus;
    document.addEventListener('visibilitychange', () => this.#seen());
  }

  /** Opens it, or opens it anew. */
  open(search = this.#search) {
    this.#search = search;
    this.close();
    const abort = new AbortController();
    this.#abort = abort;
    this.#run(abort).catch((error) => this.#ended(abort, error));
  }

  close() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = undefined;
  }

  async #run(abort) {
    const { signal } = abort;
    const query = new URLSearchParams({ search: this.#search });
    const answer = await fetch(`api/events?${query}`, { headers: headers(), signal });
    if (!answer.ok) throw await refusal(answer);
    this.#failures = 0;
    this.#onStatus('live');
    for await (const { event, data } of eventsOf(answer.body)) {
      if (signal.aborted) return;
      this.#onEvent(event, data);
    }
    throw new TypeError('the server ended the connection');
  }

  #ended(abort, error) {
    if (this.#abort !== abort) return; // it was closed here
    if (error instanceof Refused && error.status === 401) return this.#onStatus('token', error);
    this.#onStatus('lost', error);
    const pause = Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** this.#failures++);
    this.#timer = setTimeout(() => this.open(), pause);
  }

  #seen() {
    clearTimeout(this.#timer);
    if (document.hidden) {
      this.#timer = setTimeout(() => {
        this.close();
        this.#onStatus('paused');
      }, HIDDEN_MS);
    } else if (this.#abort === undefined || this.#failures > 0) {
      this.#onStatus('connecting');
      this.open();
    }
  }
}
