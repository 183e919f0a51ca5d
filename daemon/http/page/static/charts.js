// Small charts of the last hour: lines over time, with a reading under the pointer.
import { h, s, setText } from './dom.js';
import { timeOfDay } from './format.js';

const HOUR_MS = 3_600_000;
const [WIDTH, HEIGHT] = [360, 64];

/** Runs of points between which something is known. */
function pathOf(points, value, x, y) {
  let path = '';
  let isOpen = false;
  for (const point of points) {
    const v = value(point);
    if (!isKnown(v)) {
      isOpen = false;
      continue;
    }
    const place = `${x(point.at).toFixed(1)} ${y(v).toFixed(1)}`;
    path += isOpen ? `L${place}` : `M${place}h0`; // a point alone is a dot
    isOpen = true;
  }
  return path;
}

/** What is under the line of `pathOf`. */
function areaOf(points, value, x, y) {
  const runs = pathOf(points, value, x, y).split('M').slice(1);
  return runs
    .map((run) => {
      const places = run.split('L');
      const xOf = (place) => place.split(' ')[0];
      return `M${run}L${xOf(places.at(-1))} ${HEIGHT}L${xOf(places[0])} ${HEIGHT}Z`;
    })
    .join('');
}

/** The elements of a chart, before anything is known. */
function elementsOf(title, series) {
  const lines = series.map((_, i) => s('path', { class: `line line-${i}`, fill: 'none' }));
  const cursor = s('line', { class: 'cursor', y1: 0, y2: HEIGHT, visibility: 'hidden' });
  const area = s('path', { class: 'area' });
  const base = s('line', { class: 'base', x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 });
  const shape = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' };
  const picture = s('svg', shape, area, base, ...lines, cursor);
  const figures = series.map(() => h('strong', {}, '–'));
  const legend = series.map(({ name }, i) =>
    h('span', { class: `figure figure-${i}` }, h('span', { class: 'key' }, name), figures[i]),
  );
  const time = h('span', { class: 'muted when' }, 'now');
  const element = h(
    'figure',
    { class: 'panel chart' },
    h('figcaption', {}, h('h3', {}, title), time),
    h('div', { class: 'figures' }, ...legend),
    picture,
  );
  return { element, picture, area, lines, cursor, figures, time };
}

const isKnown = (value) => value !== null && value !== undefined;

/** For who does not see the picture. */
function description(title, series, points, current) {
  const most = series.flatMap(({ name, value, format }) => {
    const values = points.map(value).filter(isKnown);
    return values.length === 0 ? [] : [`${name} at most ${format(Math.max(...values))}`];
  });
  const facts = series.map(({ name }, i) => `${name} ${current[i]}`);
  const hour = most.length === 0 ? 'nothing yet' : most.join(', ');
  return `${title}: now ${facts.join(', ')}; in the last hour ${hour}`;
}

/**
 * `series`: { name, value(point), format, least }; `least`: what the top means at least. They have
 * one scale, unless `ownScales`. `update` gets the points, when the hour ends, and what each series
 * is at the moment, as a text.
 */
export function chart({ title, series, ownScales = false }) {
  const { element, picture, area, lines, cursor, figures, time } = elementsOf(title, series);
  let shown = { points: [], end: 0, current: [] };
  const x = (at) => ((at - shown.end) / HOUR_MS + 1) * WIDTH;
  const show = (texts, when) => {
    for (const [i, text] of texts.entries()) setText(figures[i], text);
    setText(time, when);
  };
  picture.addEventListener('pointermove', (event) => {
    const { left, width } = picture.getBoundingClientRect();
    const at = shown.end - HOUR_MS + ((event.clientX - left) / width) * HOUR_MS;
    const distance = (point) => Math.abs(point.at - at);
    const nearest = shown.points.reduce(
      (best, point) => (best === undefined || distance(point) < distance(best) ? point : best),
      undefined,
    );
    if (nearest === undefined) return;
    cursor.setAttribute('x1', x(nearest.at));
    cursor.setAttribute('x2', x(nearest.at));
    cursor.setAttribute('visibility', 'visible');
    const texts = series.map(({ value, format }) => format(value(nearest)));
    show(texts, timeOfDay(nearest.at));
  });
  picture.addEventListener('pointerleave', () => {
    cursor.setAttribute('visibility', 'hidden');
    show(shown.current, 'now');
  });

  const update = (points, end, current) => {
    shown = { points, end, current };
    const tops = series.map(({ value, least }) =>
      Math.max(least, ...points.map((point) => value(point) ?? 0)),
    );
    for (const [i, { value }] of series.entries()) {
      const top = (ownScales ? tops[i] : Math.max(...tops)) * 1.05;
      const y = (v) => HEIGHT - 1 - (v / top) * (HEIGHT - 4);
      lines[i].setAttribute('d', pathOf(points, value, x, y));
      if (i === 0) area.setAttribute('d', areaOf(points, value, x, y));
    }
    picture.setAttribute('aria-label', description(title, series, points, current));
    if (cursor.getAttribute('visibility') === 'hidden') show(current, 'now');
  };
  return { element, update };
}

/** A strip of states over the hour: each point colours the step before it. */
export function strip({ title, stateOf, words, stepMs }) {
  const picture = s('svg', {
    viewBox: `0 0 ${WIDTH} 10`,
    preserveAspectRatio: 'none',
    role: 'img',
    class: 'strip',
  });
  const legend = h('p', { class: 'muted small' });
  const element = h('div', { class: 'strip-row' }, picture, legend);
  const update = (points, end) => {
    const steps = points.map((point) => {
      const state = stateOf(point);
      const x = ((point.at - stepMs - end) / HOUR_MS + 1) * WIDTH;
      const width = (stepMs / HOUR_MS) * WIDTH + 0.3;
      return s('rect', { x, width, y: 0, height: 10, class: `state-${state}` });
    });
    picture.replaceChildren(...steps);
    const states = [...new Set(points.map(stateOf))];
    const last = points.at(-1);
    const text =
      last === undefined
        ? 'nothing is known yet'
        : `now ${words[stateOf(last)]}` +
          (states.length > 1
            ? `; in the last hour also ${states
                .filter((one) => one !== stateOf(last))
                .map((one) => words[one])
                .join(', ')}`
            : '');
    setText(legend, `${title}: ${text}`);
    picture.setAttribute('aria-label', `${title}: ${text}`);
  };
  return { element, update };
}
