// One database: its timeline and snapshots, its layers, its last hour.
import { collect, takeSnapshot } from './actions.js';
import { chart, strip } from './charts.js';
import { look } from './connection.js';
import { copy, h, setText } from './dom.js';
import { count, lag, now } from './format.js';
import { layerStack } from './layers.js';
import { SnapshotList, snapshotCard } from './snapshots.js';
import { Timeline } from './timeline.js';

const REFRESH_MS = 10_000;
/** After a commit, so that a busy writer does not make the page busy too. */
const SOON_MS = 1500;
const LEASES = {
  held: 'held by this host',
  free: 'not held by this host',
  lost: 'lost to another host',
};

const button = (text, click, kind = '') =>
  h('button', { type: 'button', class: kind, on: { click } }, text);

export class Detail {
  name;
  element;
  #timeline;
  #list;
  #card = h('div', { class: 'panel' });
  #layers = h('div', { class: 'panel' });
  #path = h('code');
  #holder = h('p', { class: 'muted small' });
  #error = h('p', { class: 'error', role: 'alert' });
  #buttons;
  #why = h('p', { class: 'muted small' });
  #lag;
  #lease;
  #points = [];
  #database;
  #snapshot;
  #timer;
  #isClosed = false;
  #isGuarded;
  #refreshedAt = 0;

  constructor(name, { stepMs, isGuarded }) {
    this.name = name;
    this.#isGuarded = isGuarded;
    const select = (snapshot) => this.#select(snapshot);
    this.#timeline = new Timeline(name, select);
    this.#list = new SnapshotList(name, select);
    this.#lag = chart({
      title: 'Publish lag in the last hour',
      series: [{ name: 'lag', least: 1000, value: (point) => point.publishLagMs, format: lag }],
    });
    this.#lease = strip({ title: 'Lease', stateOf: ({ lease }) => lease, words: LEASES, stepMs });
    const changed = () => this.refresh();
    this.#buttons = [
      button('Take snapshot…', () => takeSnapshot(name, changed)),
      button('Collect garbage…', () => collect(name, changed)),
    ];
    setText(
      this.#why,
      isGuarded
        ? 'This token may only read this database, and clone it under a name that it may write.'
        : '',
    );
    this.#card.append(
      h(
        'p',
        { class: 'muted' },
        'Choose a snapshot: its path, and what can be done with it, are shown here.',
      ),
    );
    this.element = this.#elements();
  }

  #elements() {
    const hour = [this.#lag.element, this.#lease.element, this.#holder];
    const list = h('div', { class: 'panel' }, this.#list.element);
    const copyPath = button('Copy path', () => copy(this.#path.textContent), 'small');
    return [
      h(
        'div',
        { class: 'bar' },
        h('h2', { id: 'detail-title', tabindex: '-1' }, this.name),
        h('div', { class: 'buttons' }, ...this.#buttons),
      ),
      h('div', { class: 'path' }, this.#path, copyPath),
      this.#why,
      this.#error,
      h('div', { class: 'panel' }, this.#timeline.element),
      h(
        'div',
        { class: 'columns' },
        h('div', { class: 'stack' }, list, h('div', { class: 'panel hour' }, ...hour)),
        h('div', { class: 'stack chosen' }, this.#card, this.#layers),
      ),
    ];
  }

  #select(snapshot) {
    this.#snapshot = snapshot;
    this.#timeline.show(snapshot.id);
    this.#list.show(snapshot.id);
    this.#drawCard();
  }

  #drawCard() {
    if (this.#snapshot === undefined) return;
    const mayChange = this.#database?.mayChange === true;
    const rights = { mayChange, mayClone: this.#isGuarded };
    this.#card.replaceChildren(
      snapshotCard(this.#snapshot, rights, () => {
        this.#reselect = this.#snapshot.id;
        this.refresh();
      }),
    );
  }

  /** The snapshot whose name may have changed. */
  #reselect;

  /** The database as the newest event has it. */
  update(database) {
    const before = this.#database;
    this.#database = database;
    for (const button of this.#buttons) button.disabled = !database.mayChange;
    this.#why.hidden = database.mayChange || this.#why.textContent === '';
    if (before === undefined || before.mayChange !== database.mayChange) this.#drawCard();
    const isNew = before !== undefined && before.head !== database.head;
    if (isNew || now() - this.#refreshedAt > REFRESH_MS) this.#soon();
    this.#drawHour();
  }

  #soon() {
    this.#timer ??= setTimeout(() => this.refresh(), SOON_MS);
  }

  async refresh() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isClosed) return;
    this.#refreshedAt = now();
    try {
      const [detail] = await Promise.all([
        look('database', { database: this.name }),
        this.#timeline.refresh(),
        this.#list.refresh(),
      ]);
      if (this.#isClosed) return;
      await this.#look();
      this.#show(detail);
      setText(this.#error, '');
    } catch (error) {
      if (!this.#isClosed)
        setText(this.#error, [error.message, error.hint].filter(Boolean).join(' '));
    }
  }

  /** The card again, when its snapshot got another name. */
  async #look() {
    if (this.#reselect === undefined) return;
    const id = this.#reselect;
    this.#reselect = undefined;
    if (this.#snapshot?.id !== id) return;
    const below = this.#snapshot.sequence + 1;
    const { snapshots } = await look('snapshots', { database: this.name, below, limit: 1 });
    if (snapshots[0]?.id === id && this.#snapshot.id === id) {
      this.#snapshot = snapshots[0];
      this.#drawCard();
    }
  }

  #show({ path, layers, history, leaseHolder }) {
    setText(this.#path, path);
    this.#points = history;
    this.#layers.replaceChildren(h('h3', {}, 'Layers'), layerStack(layers));
    setText(this.#holder, leaseHolder === null ? '' : `The last one who had it: ${leaseHolder}`);
    this.#drawHour();
  }

  #drawHour() {
    const { publishLagMs = 0 } = this.#database ?? {};
    const last = this.#points.at(-1);
    const commits = last === undefined ? '' : ` · ${count(last.commits)} commits/s`;
    this.#lag.update(this.#points, now(), [`${lag(publishLagMs)}${commits}`]);
    this.#lease.update(this.#points, now());
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }
}
