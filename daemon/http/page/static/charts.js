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
    if (v === null || v === undefined) {
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

/**
 * `series`: { name, value(point), format }; `least`: what the top of the chart means at least;
 * `now`: what each series is at the moment, as a text, given by `update`.
 */
export function chart({ title, series, least }) {
  const lines = series.map(({ name }, i) =>
    s('path', { class: `line line-${i}`, fill: 'none', 'data-series': name }),
  );
  const cursor = s('line', { class: 'cursor', y1: 0, y2: HEIGHT, visibility: 'hidden' });
  const area = s('path', { class: 'area' });
  const picture = s(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' },
    area,
    s('line', { class: 'base', x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }),
    ...lines,
    cursor,
  );
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
  let shown = { points: [], end: 0, current: [] };
  const show = (texts, when) => {
    for (const [i, text] of texts.entries()) setText(figures[i], text);
    setText(time, when);
  };
  const leave = () => {
    cursor.setAttribute('visibility', 'hidden');
    show(shown.current, 'now');
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
    const x = ((nearest.at - shown.end) / HOUR_MS + 1) * WIDTH;
    cursor.setAttribute('x1', x);
    cursor.setAttribute('x2', x);
    cursor.setAttribute('visibility', 'visible');
    show(
      series.map(({ value, format }) => format(value(nearest))),
      timeOfDay(nearest.at),
    );
  });
  picture.addEventListener('pointerleave', leave);

  const update = (points, end, current) => {
    shown = { points, end, current };
    const known = points.flatMap((point) => series.map(({ value }) => value(point) ?? 0));
    const top = Math.max(least, ...known) * 1.05;
    const x = (at) => ((at - end) / HOUR_MS + 1) * WIDTH;
    const y = (value) => HEIGHT - 1 - (value / top) * (HEIGHT - 4);
    for (const [i, { value }] of series.entries()) {
      lines[i].setAttribute('d', pathOf(points, value, x, y));
    }
    area.setAttribute('d', areaOf(points, series[0].value, x, y));
    const most = series.map(({ name, value, format }) => {
      const values = points.map(value).filter((v) => v !== null && v !== undefined);
      return values.length === 0 ? '' : `${name} at most ${format(Math.max(...values))}`;
    });
    const facts = series.map(({ name }, i) => `${name} ${current[i]}`);
    const text = `${title}: now ${facts.join(', ')}; in the last hour ${most.filter(Boolean).join(', ') || 'nothing yet'}`;
    picture.setAttribute('aria-label', text);
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
