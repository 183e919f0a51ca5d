// What the daemon did in the last hour, all databases together.
import { chart } from './charts.js';
import { byId, h } from './dom.js';
import { count, lag, percent, rate } from './format.js';

const orNone = (format) => (value) => (value === null || value === undefined ? '–' : format(value));

const CHARTS = [
  {
    title: 'Throughput',
    series: [
      { name: 'read', least: 1024, value: ({ readBytes }) => readBytes, format: orNone(rate) },
      {
        name: 'written',
        least: 1024,
        value: ({ writtenBytes }) => writtenBytes,
        format: orNone(rate),
      },
    ],
  },
  {
    title: 'Cache hits',
    series: [
      { name: 'memory', least: 1, value: ({ fromMemory }) => fromMemory, format: percent },
      { name: 'objects', least: 1, value: ({ cacheHits }) => cacheHits, format: percent },
    ],
  },
  {
    title: 'Publish lag',
    series: [
      {
        name: 'longest',
        least: 1000,
        value: ({ publishLagMs }) => publishLagMs,
        format: orNone(lag),
      },
    ],
  },
  {
    title: 'Activity',
    ownScales: true,
    series: [
      {
        name: 'operations/s',
        least: 1,
        value: ({ operations }) => operations,
        format: orNone(count),
      },
      { name: 'commits/s', least: 1, value: ({ commits }) => commits, format: orNone(count) },
    ],
  },
];

export class Overview {
  #charts = CHARTS.map((about) => ({ ...chart(about), about }));
  #points = [];
  #rates;

  constructor() {
    byId('charts').append(...this.#charts.map(({ element }) => element));
  }

  /** The steps so far, of at most `steps`. */
  begin(points) {
    this.#points = points;
  }

  step(point, steps) {
    this.#points.push(point);
    if (this.#points.length > steps) this.#points.shift();
  }

  hide() {
    byId('charts').replaceChildren(
      h(
        'p',
        { class: 'muted' },
        'Figures of the whole mount are for tokens that may read every database.',
      ),
    );
  }

  update(rates, now) {
    this.#rates = rates ?? this.#rates;
    for (const { update, about } of this.#charts) {
      const current = about.series.map(({ value, format }) => format(this.#now(value)));
      update(this.#points, now, current);
    }
  }

  /** What nobody did in the last second is told of the last step in which somebody did. */
  #now(value) {
    const isKnown = (part) => part !== undefined && part !== null;
    const known = this.#rates && value(this.#rates);
    if (isKnown(known)) return known;
    const last = this.#points.findLast((point) => isKnown(value(point)));
    return last && value(last);
  }
}
