// The layers under a database's newest snapshot, as a stack: the newest on top.
import { h } from './dom.js';
import { shortId, size } from './format.js';

const share = (bytes, most) => `${((bytes / Math.max(1, most)) * 100).toFixed(2)}%`;

function barOf({ dataBytes, liveBytes }, most) {
  const live = h('span', { class: 'live' });
  const dead = h('span', { class: 'dead' });
  live.style.width = share(liveBytes, most);
  dead.style.width = share(Math.max(0, dataBytes - liveBytes), most);
  return h('span', { class: 'bar-track', 'aria-hidden': 'true' }, live, dead);
}

function rowOf(layer, number, most) {
  const { id, dataBytes, liveBytes, objectBytes } = layer;
  const dead = Math.max(0, dataBytes - liveBytes);
  return h(
    'li',
    { title: `${id}: ${size(objectBytes)} in the object store` },
    h('span', { class: 'layer-id' }, h('span', { class: 'muted' }, `${number} `), shortId(id)),
    barOf(layer, most),
    h(
      'span',
      { class: 'layer-figures' },
      `${size(liveBytes)} live`,
      h('span', { class: 'muted' }, dead === 0 ? '' : ` · ${size(dead)} dead`),
    ),
  );
}

/** `layers`: oldest first. */
export function layerStack(layers) {
  if (layers.length === 0) return h('p', { class: 'muted' }, 'No snapshot yet.');
  const most = Math.max(...layers.map(({ dataBytes }) => dataBytes));
  const sum = (key) => layers.reduce((bytes, layer) => bytes + layer[key], 0);
  const [live, all] = [sum('liveBytes'), sum('dataBytes')];
  const deep = `${layers.length} ${layers.length === 1 ? 'layer' : 'layers'}`;
  return h(
    'div',
    {},
    h(
      'p',
      { class: 'muted small' },
      `${deep} deep · ${size(live)} live · ${size(Math.max(0, all - live))} dead · ${size(sum('objectBytes'))} stored`,
    ),
    h(
      'ol',
      { class: 'layers', reversed: true, 'aria-label': 'Layers, the newest first' },
      ...layers.map((layer, i) => rowOf(layer, i + 1, most)).reverse(),
    ),
    h(
      'p',
      { class: 'legend muted small' },
      h('span', { class: 'swatch live' }),
      'read by the newest snapshot ',
      h('span', { class: 'swatch dead' }),
      'hidden by layers above',
    ),
  );
}
