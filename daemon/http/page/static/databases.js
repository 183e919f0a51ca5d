// The databases as a table: one line each, the newest hundred, and a search for the others.
import { byId, h, setText } from './dom.js';
import { age, lag, moment, shortId, size, whole } from './format.js';

const LEASES = { held: 'held', free: 'free', lost: 'lost' };

/** Title, class, text of a database. */
const COLUMNS = [
  ['Size', 'number', ({ size: bytes }) => size(bytes)],
  [
    'Committed',
    'number',
    ({ committedAt }) => (committedAt === null ? '–' : `${age(committedAt)} ago`),
  ],
  ['Head', 'id', ({ head }) => shortId(head)],
  ['Writer', '', ({ writerPid }) => (writerPid === null ? '–' : `pid ${writerPid}`)],
  ['Readers', 'number', ({ readers }) => whole(readers)],
  ['Unpublished', 'number', (d) => unpublished(d)],
  ['Layers', 'number', ({ depth }) => whole(depth)],
  ['Lease', 'lease', ({ lease, epoch }) => `${LEASES[lease]} · ${epoch}`],
];

function unpublished({ version, publishedVersion, publishLagMs }) {
  const commits = Math.max(0, version - publishedVersion);
  return commits === 0 ? '–' : `${whole(commits)} · ${lag(publishLagMs)}`;
}

export const hrefOf = (name) => `#${encodeURIComponent(name)}`;

class Row {
  element;
  #link = h('a', { class: 'name' });
  #mark = h('span', { class: 'tag' });
  #cells;

  constructor(name) {
    this.#link.href = hrefOf(name);
    setText(this.#link, name);
    this.#cells = COLUMNS.map(([title, kind]) => h('td', { class: kind, 'data-title': title }));
    const head = h('th', { scope: 'row' }, this.#link, this.#mark);
    this.element = h('tr', { data: { name } }, head, ...this.#cells);
    this.element.addEventListener('click', (event) => {
      if (!event.target.closest('a') && String(getSelection()) === '') location.hash = hrefOf(name);
    });
  }

  update(database, isSelected) {
    for (const [i, [, , text]] of COLUMNS.entries()) setText(this.#cells[i], text(database));
    this.#cells[1].title = database.committedAt === null ? '' : moment(database.committedAt);
    this.#cells[2].title = database.head ?? '';
    const { damage, writerPid } = database;
    setText(this.#mark, damage !== null ? 'damaged' : writerPid !== null ? 'writing' : '');
    this.#mark.className = `tag ${damage !== null ? 'error' : 'good'}`;
    this.#mark.hidden = this.#mark.textContent === '';
    this.#mark.title = damage ?? '';
    if (isSelected) this.#link.setAttribute('aria-current', 'true');
    else this.#link.removeAttribute('aria-current');
    this.element.classList.toggle('selected', isSelected);
  }

  focus() {
    this.#link.focus();
  }
}

export class Databases {
  #rows = new Map();
  #body = h('tbody');
  #count = h('span', { class: 'muted' });
  #empty = h('p', { class: 'muted panel', hidden: true });
  #table;
  search = h('input', {
    type: 'search',
    id: 'search',
    placeholder: 'Search',
    'aria-label': 'Search databases',
    autocomplete: 'off',
    spellcheck: 'false',
  });

  /** `onSearch`: called with what is searched for, a moment after the last key. */
  constructor(onSearch, collectButton) {
    const titles = COLUMNS.map(([title, kind]) => h('th', { scope: 'col', class: kind }, title));
    this.#table = h(
      'table',
      { class: 'databases', 'aria-labelledby': 'databases-title' },
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Database'), ...titles)),
      this.#body,
    );
    const heading = h('h2', { id: 'databases-title' }, 'Databases ', this.#count);
    byId('databases').append(
      h(
        'div',
        { class: 'bar' },
        heading,
        h('div', { class: 'buttons' }, collectButton, this.search),
      ),
      h('div', { class: 'panel flush' }, this.#table),
      this.#empty,
    );
    let timer;
    this.search.addEventListener('input', () => {
      clearTimeout(timer);
      timer = setTimeout(() => onSearch(this.search.value), 250);
    });
    this.#body.addEventListener('keydown', (event) => this.#onKey(event));
  }

  /** Up and down go from one database to the next. */
  #onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target.closest('tr');
    if (step === undefined || row === null) return;
    event.preventDefault();
    const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    this.#rows.get(next?.dataset.name)?.focus();
  }

  update({ databases, found }, selected, isShared) {
    this.#table.classList.toggle('shared', isShared);
    const names = new Set(databases.map(({ name }) => name));
    for (const [name, row] of this.#rows) {
      if (names.has(name)) continue;
      row.element.remove();
      this.#rows.delete(name);
    }
    let before = null;
    for (const database of databases) {
      const { name } = database;
      const row = this.#rows.get(name) ?? new Row(name);
      this.#rows.set(name, row);
      row.update(database, name === selected);
      const place = before === null ? this.#body.firstElementChild : before.nextElementSibling;
      if (place !== row.element) this.#body.insertBefore(row.element, place);
      before = row.element;
    }
    const rest =
      found > databases.length ? `the newest ${databases.length} of ${whole(found)}` : whole(found);
    setText(this.#count, rest);
    this.#table.parentElement.hidden = databases.length === 0;
    this.#empty.hidden = databases.length > 0;
    const none = 'No databases yet: open NAME.duckdb in the mounted directory with DuckDB.';
    setText(this.#empty, this.search.value === '' ? none : 'No database has that in its name.');
  }
}
