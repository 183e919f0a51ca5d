// The snapshots of a database as a list, page by page, and the one that is selected.
import { cloneSnapshot, nameSnapshot, restoreSnapshot } from './actions.js';
import { look } from './connection.js';
import { copy, h } from './dom.js';
import { age, moment, size } from './format.js';

const PAGE = 12;

/** One snapshot with what can be done with it. `mayClone`: under some name; the server knows. */
export function snapshotCard(snapshot, { mayChange, mayClone }, onChange) {
  const { name, id, committedAt, path, reason, version, size: bytes, count = 1 } = snapshot;
  const fact = (title, text) => h('div', {}, h('dt', {}, title), h('dd', {}, text));
  const button = (title, isAllowed, work, kind = '') =>
    h('button', { type: 'button', class: kind, disabled: !isAllowed, on: { click: work } }, title);
  return h(
    'div',
    { class: 'card', id: 'snapshot', data: { id } },
    h(
      'h4',
      {},
      name ?? moment(committedAt),
      count > 1 ? h('span', { class: 'muted' }, ` the newest of ${count} here`) : null,
    ),
    h(
      'dl',
      { class: 'facts' },
      fact('Committed', `${moment(committedAt)} (${age(committedAt)} ago)`),
      fact('Size', size(bytes)),
      fact('Version', String(version)),
      fact('Made by', reason),
      fact('Id', h('code', {}, id)),
    ),
    h(
      'div',
      { class: 'path' },
      h('code', {}, path),
      h('button', { type: 'button', class: 'small', on: { click: () => copy(path) } }, 'Copy path'),
    ),
    h(
      'div',
      { class: 'buttons' },
      button(name === null ? 'Name…' : 'Rename…', mayChange, () =>
        nameSnapshot(snapshot, onChange),
      ),
      button('Clone…', mayClone, () => cloneSnapshot(snapshot, onChange)),
      button('Restore…', mayChange, () => restoreSnapshot(snapshot, onChange), 'quiet-danger'),
    ),
  );
}

export class SnapshotList {
  element;
  #database;
  #onSelect;
  #selected;
  #pages = [undefined];
  #shown = [];
  #asked = 0;
  #body = h('tbody');
  #named = h('input', { type: 'checkbox' });
  #newer = h('button', { type: 'button', class: 'small' }, 'Newer');
  #older = h('button', { type: 'button', class: 'small' }, 'Older');

  constructor(database, onSelect) {
    this.#database = database;
    this.#onSelect = onSelect;
    const title = (text, kind) => h('th', { scope: 'col', class: kind }, text);
    this.element = h(
      'div',
      {},
      h(
        'div',
        { class: 'bar' },
        h('h3', {}, 'Snapshots'),
        h('label', { class: 'check' }, this.#named, 'only named'),
      ),
      h(
        'table',
        { class: 'snapshots' },
        h(
          'thead',
          {},
          h('tr', {}, title('Committed'), title('Name'), title('Size', 'number'), title('Made by')),
        ),
        this.#body,
      ),
      h('div', { class: 'buttons end' }, this.#newer, this.#older),
    );
    this.#named.addEventListener('change', () => {
      this.#pages = [undefined];
      this.refresh();
    });
    this.#older.addEventListener('click', () => {
      this.#pages.push(this.#shown.at(-1).sequence);
      this.refresh();
    });
    this.#newer.addEventListener('click', () => {
      this.#pages.pop();
      this.refresh();
    });
  }

  async refresh() {
    const asked = ++this.#asked;
    const below = this.#pages.at(-1);
    const params = { database: this.#database, limit: PAGE };
    if (below !== undefined) params.below = below;
    if (this.#named.checked) params.named = 1;
    const { snapshots, more } = await look('snapshots', params);
    if (asked !== this.#asked) return;
    this.#shown = snapshots;
    this.#older.disabled = !more;
    this.#newer.disabled = this.#pages.length === 1;
    this.#draw();
  }

  #draw() {
    const focused = document.activeElement?.closest('tr')?.dataset.id;
    const rows = this.#shown.map((snapshot) => {
      const { id, name, committedAt, size: bytes, reason } = snapshot;
      const button = h('button', { type: 'button', class: 'link' }, moment(committedAt));
      const isSelected = id === this.#selected;
      if (isSelected) button.setAttribute('aria-current', 'true');
      const row = h(
        'tr',
        {
          data: { id },
          class: isSelected ? 'selected' : '',
          on: { click: () => this.#onSelect(snapshot) },
        },
        h('td', {}, button),
        h('td', {}, name === null ? '' : h('strong', {}, name)),
        h('td', { class: 'number' }, size(bytes)),
        h('td', { class: 'muted' }, reason),
      );
      return row;
    });
    const none = h('tr', {}, h('td', { colspan: 4, class: 'muted' }, 'None.'));
    this.#body.replaceChildren(...(rows.length === 0 ? [none] : rows));
    if (focused !== undefined) {
      rows
        .find((row) => row.dataset.id === focused)
        ?.querySelector('button')
        .focus();
    }
  }

  show(id) {
    if (this.#selected === id) return;
    this.#selected = id;
    this.#draw();
  }
}
