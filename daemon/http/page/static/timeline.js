// The snapshots of a database over time. The server thins them out to what there is room for.
import { look } from './connection.js';
import { h, s, setText } from './dom.js';
import { moment, now, size, whole } from './format.js';

const HEIGHT = 96;
const BASE = 68;
/** From one mark to the next, pixels. */
const ROOM = 5;
const MARGIN = 10;
/** From one label to the next, pixels. */
const LABEL_ROOM = 110;
const RANGES = [
  ['10 min', 600_000],
  ['1 h', 3_600_000],
  ['24 h', 86_400_000],
  ['7 d', 7 * 86_400_000],
  ['All', undefined],
];

export class Timeline {
  element;
  #database;
  #onSelect;
  #marks = [];
  #range;
  /** undefined: all; else so long until now. */
  #span;
  /** Where one has looked closer. */
  #window;
  #selected;
  #asked = 0;
  #width = 0;
  #svg = s('svg', { height: HEIGHT, 'aria-hidden': 'true' });
  #list = h('div', { class: 'visually-hidden', role: 'presentation' });
  #tip = h('div', { class: 'tip', hidden: true });
  #summary = h('p', { class: 'muted small' });
  #box;
  #buttons;

  /** `onSelect`: called with the mark that is selected. */
  constructor(database, onSelect) {
    this.#database = database;
    this.#onSelect = onSelect;
    this.#buttons = RANGES.map(([title, span]) =>
      h(
        'button',
        { type: 'button', 'aria-pressed': 'false', on: { click: () => this.#choose(span) } },
        title,
      ),
    );
    this.#box = h(
      'div',
      {
        class: 'timeline',
        role: 'listbox',
        tabindex: '0',
        'aria-label': 'Snapshots over time; arrow keys go from one to the next, Enter looks closer',
      },
      this.#svg,
      this.#list,
      this.#tip,
    );
    const ranges = h(
      'div',
      { class: 'segments', role: 'group', 'aria-label': 'Range' },
      ...this.#buttons,
    );
    this.element = h(
      'div',
      {},
      h('div', { class: 'bar' }, h('h3', {}, 'Timeline'), ranges),
      this.#box,
      this.#summary,
    );
    this.#box.addEventListener('keydown', (event) => this.#onKey(event));
    this.#svg.addEventListener('pointermove', (event) => this.#hover(event));
    this.#svg.addEventListener('pointerleave', () => {
      this.#tip.hidden = true;
    });
    this.#svg.addEventListener('click', (event) => this.#select(this.#nearest(event)));
    this.#svg.addEventListener('dblclick', () => this.#closer());
    this.#press();
    new ResizeObserver(() => {
      if (Math.abs(this.#box.clientWidth - this.#width) > 1) this.refresh();
    }).observe(this.#box);
  }

  #press() {
    for (const [i, button] of this.#buttons.entries()) {
      const isChosen = this.#window === undefined && RANGES[i][1] === this.#span;
      button.setAttribute('aria-pressed', String(isChosen));
    }
  }

  #choose(span) {
    this.#span = span;
    this.#window = undefined;
    this.#press();
    this.refresh();
  }

  /** The part of time that the selected mark stands for. */
  #closer() {
    const at = this.#marks.findIndex(({ id }) => id === this.#selected);
    const mark = this.#marks[at];
    if (mark === undefined || mark.count < 2) return;
    const slot = (this.#range.to - this.#range.from) / this.#slots;
    const time = Date.parse(mark.committedAt);
    this.#window = { from: Math.max(0, Math.floor(time - slot)), to: Math.ceil(time) };
    this.#press();
    this.refresh();
  }

  get #slots() {
    return Math.min(400, Math.max(20, Math.floor((this.#width - 2 * MARGIN) / ROOM)));
  }

  async refresh() {
    this.#width = this.#box.clientWidth;
    if (this.#width === 0) return;
    const asked = ++this.#asked;
    const end = Math.round(now());
    const recent = this.#span === undefined ? {} : { from: end - this.#span, to: end };
    const params = { database: this.#database, slots: this.#slots, ...(this.#window ?? recent) };
    const { marks, range, all } = await look('timeline', params);
    if (asked !== this.#asked) return; // a later one has been asked for
    this.#marks = marks;
    this.#range = { ...range, to: Math.max(range.to, range.from + 1) };
    this.#draw();
    const thinned =
      marks.length < range.total ? `, thinned out to ${whole(marks.length)} marks` : '';
    const shown =
      range.total === 0
        ? `No snapshots in this time, ${whole(all)} in all`
        : `${whole(range.total)} of ${whole(all)} snapshots${thinned} · ${moment(range.from)} to ${moment(range.to)}`;
    setText(this.#summary, shown);
  }

  #x(mark) {
    const { from, to } = this.#range;
    const part = (Date.parse(mark.committedAt) - from) / (to - from);
    return MARGIN + Math.min(1, Math.max(0, part)) * (this.#width - 2 * MARGIN);
  }

  #draw() {
    const axis = s('line', { class: 'axis', x2: this.#width, y1: BASE + 0.5, y2: BASE + 0.5 });
    // Those with a name are taller, and over the others.
    const isNamed = ({ name }) => name !== null;
    const shapes = [axis, ...this.#marks.filter((mark) => !isNamed(mark)).map((m) => this.#dot(m))];
    let labelled = -LABEL_ROOM;
    for (const mark of this.#marks.filter(isNamed)) {
      const hasRoom = this.#x(mark) - labelled >= LABEL_ROOM;
      if (hasRoom) labelled = this.#x(mark);
      shapes.push(this.#flag(mark, hasRoom));
    }
    const { from, to } = this.#range;
    const ends = [
      s('text', { class: 'end', x: 0, y: HEIGHT - 10 }, moment(from)),
      s('text', { class: 'end', x: this.#width, y: HEIGHT - 10, 'text-anchor': 'end' }, moment(to)),
    ];
    this.#svg.setAttribute('width', this.#width);
    this.#svg.replaceChildren(...shapes, ...ends);
    // What screen readers are told of.
    this.#list.replaceChildren(
      ...this.#marks.map((mark) =>
        h(
          'div',
          {
            role: 'option',
            id: `mark-${mark.id}`,
            'aria-selected': String(mark.id === this.#selected),
          },
          textOf(mark),
        ),
      ),
    );
    this.#point();
  }

  #group(mark, kind, top, ...more) {
    const isSelected = mark.id === this.#selected;
    const x = this.#x(mark);
    const line = s('line', { x1: x, x2: x, y1: BASE, y2: top });
    return s('g', { class: `mark ${kind} ${isSelected ? 'selected' : ''}` }, line, ...more);
  }

  /** The more snapshots it stands for, the higher. */
  #dot(mark) {
    const top = BASE - 10 - Math.min(20, 5 * Math.log2(mark.count));
    const r = mark.count > 1 ? 3 : 2.5;
    return this.#group(mark, '', top, s('circle', { cx: this.#x(mark), cy: top, r }));
  }

  #flag(mark, hasLabel) {
    const x = this.#x(mark);
    const top = BASE - 40;
    const diamond = s('path', { d: `M${x} ${top - 6}l5 5-5 5-5-5z` });
    const anchor = x > this.#width - 60 ? 'end' : x < 60 ? 'start' : 'middle';
    const place = { x, y: top - 12, 'text-anchor': anchor };
    const label = hasLabel ? s('text', place, short(mark.name)) : null;
    return this.#group(mark, 'named', top, diamond, label);
  }

  #point() {
    const isShown = this.#marks.some(({ id }) => id === this.#selected);
    if (isShown) this.#box.setAttribute('aria-activedescendant', `mark-${this.#selected}`);
    else this.#box.removeAttribute('aria-activedescendant');
  }

  #nearest({ clientX }) {
    const x = clientX - this.#svg.getBoundingClientRect().left;
    const distance = (mark) => Math.abs(this.#x(mark) - x);
    return this.#marks.reduce(
      (best, mark) => (best === undefined || distance(mark) <= distance(best) ? mark : best),
      undefined,
    );
  }

  #hover(event) {
    const mark = this.#nearest(event);
    if (mark === undefined) return;
    setText(this.#tip, textOf(mark));
    this.#tip.hidden = false;
    const most = Math.max(0, this.#width - this.#tip.offsetWidth);
    const left = Math.min(most, Math.max(0, this.#x(mark) - this.#tip.offsetWidth / 2));
    this.#tip.style.left = `${left}px`;
  }

  #onKey(event) {
    const last = this.#marks.length - 1;
    if (last < 0) return;
    const at = this.#marks.findIndex(({ id }) => id === this.#selected);
    const next = {
      ArrowLeft: at < 0 ? last : Math.max(0, at - 1),
      ArrowRight: at < 0 ? last : Math.min(last, at + 1),
      Home: 0,
      End: last,
    }[event.key];
    if (next !== undefined) this.#select(this.#marks[next]);
    else if (event.key === 'Enter') this.#closer();
    else if (event.key === 'Escape' && this.#window !== undefined) this.#choose(this.#span);
    else return;
    event.preventDefault();
  }

  #select(mark) {
    if (mark !== undefined) this.#onSelect(mark);
  }

  /** Marks what was selected, here or in the list. */
  show(id) {
    if (this.#selected === id) return;
    this.#selected = id;
    if (this.#range !== undefined) this.#draw();
  }
}

const short = (name) => (name.length > 16 ? `${name.slice(0, 15)}…` : name);

function textOf({ name, committedAt, size: bytes, count, reason }) {
  const title = name === null ? '' : `${name} · `;
  const more = count > 1 ? ` · and ${whole(count - 1)} more` : '';
  return `${title}${moment(committedAt)} · ${size(bytes)} · ${reason}${more}`;
}
