// Elements without markup: texts only ever become text.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) {
        element.addEventListener(event, listener);
      }
    } else if (name === 'data') {
      for (const [key, text] of Object.entries(value)) element.dataset[key] = text;
    } else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return element;
}

/** An HTML element; `props` are attributes, `on` has listeners, `data` the data attributes. */
export const h = (tag, props = {}, ...children) =>
  fill(document.createElement(tag), props, children);

/** The same of SVG. */
export const s = (tag, props = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), props, children);

export const byId = (id) => document.getElementById(id);

/** Leaves alone what is the same: selections and screen readers are not disturbed. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

let hideToast;

/** Says shortly what has happened. */
export function toast(text) {
  const place = byId('toast');
  setText(place, text);
  place.classList.add('shown');
  clearTimeout(hideToast);
  hideToast = setTimeout(() => place.classList.remove('shown'), 5000);
}

/** Also where browsers keep the clipboard from pages without TLS. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h('textarea', { readonly: true, class: 'visually-hidden' });
    area.value = text;
    (document.querySelector('dialog[open]') ?? document.body).append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    if (!copied) return toast(`Copy it by hand: ${text}`);
  }
  toast(`Copied ${text}`);
}
