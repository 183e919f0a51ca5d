// The newest warnings and errors of the daemon's log, and what it has set aside.
import { byId, h } from './dom.js';
import { age, moment } from './format.js';

const WORDS = { warn: 'warning', error: 'error' };

function asideItem({ id, database, commits }) {
  const text = `${commits} commits of ${database} are only on this host: openduck-fuse recover ${id} NEW_NAME`;
  return h(
    'li',
    { class: 'problem' },
    h('span', { class: 'tag warn' }, 'set aside'),
    h('p', {}, text),
  );
}

function item({ at, level, message, error, database, code }) {
  return h(
    'li',
    { class: 'problem' },
    h('span', { class: `tag ${level}` }, WORDS[level]),
    h(
      'div',
      {},
      h('p', {}, database === null ? '' : h('strong', {}, `${database}: `), message),
      error === null ? null : h('p', { class: 'muted small wrap' }, error),
    ),
    h(
      'span',
      { class: 'muted small', title: moment(at) },
      `${code === null ? '' : `${code} · `}${age(at)} ago`,
    ),
  );
}

export class Problems {
  #section = byId('problems');
  #list = h('ul', { class: 'panel list' });
  #shown = '';

  constructor() {
    this.#section.append(h('h2', { id: 'problems-title' }, 'Warnings and errors'), this.#list);
  }

  update(problems, aside) {
    const key = JSON.stringify([problems.map(({ number }) => number), aside]);
    if (this.#shown === key) return;
    this.#shown = key;
    const items = [...aside.map(asideItem), ...problems.map(item)];
    const none = h('li', { class: 'muted' }, 'None since the daemon started.');
    this.#list.replaceChildren(...(items.length === 0 ? [none] : items));
  }
}
