// The page as a whole: what comes from the server, and which part shows it.
import { collect } from './actions.js';
import { Stream, token } from './connection.js';
import { Databases } from './databases.js';
import { Detail } from './detail.js';
import { byId, h, setText } from './dom.js';
import { duration, now, setNow } from './format.js';
import { Overview } from './overview.js';
import { Problems } from './problems.js';

const STATUS = {
  connecting: ['connecting', ''],
  live: ['live', 'good'],
  paused: ['paused', ''],
  lost: ['no connection', 'error'],
  token: ['token needed', 'warn'],
};

const collectButton = h('button', { type: 'button', hidden: true }, 'Collect garbage…');
const overview = new Overview();
const databases = new Databases((search) => stream.open(search), collectButton);
const problems = new Problems();
const stream = new Stream(onEvent, onStatus);

let hello;
let state;
let startedAt = 0;
let detail;

function selected() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return '';
  }
}

function onStatus(status, error) {
  const [text, kind] = STATUS[status];
  const place = byId('connection');
  setText(place, text);
  place.className = `pill ${kind}`;
  place.title = error?.message ?? '';
  if (status === 'token') askForToken(error);
}

function askForToken(error) {
  const had = token.get() !== '';
  token.forget();
  closeDetail();
  byId('content').hidden = true;
  byId('token-button').hidden = true;
  byId('token-form').hidden = false;
  setText(byId('token-error'), had ? error.message : '');
  byId('token').value = '';
  byId('token').focus();
}

byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = byId('token').value.trim();
  if (!/^[!-~]+$/.test(text)) {
    setText(byId('token-error'), 'the token is not valid');
    return;
  }
  token.set(text);
  byId('token').value = '';
  onStatus('connecting');
  stream.open();
});

byId('token-button').addEventListener('click', () => {
  token.forget();
  location.reload();
});

collectButton.addEventListener('click', () => collect(undefined, () => detail?.refresh()));

function onEvent(event, data) {
  if (event === 'hello') begin(data);
  else if (event === 'history') overview.begin(data.points);
  else if (event === 'point') overview.step(data, hello.steps);
  else if (event === 'state') {
    state = data;
    draw();
  }
}

function begin(data) {
  hello = data;
  setNow(data.now);
  startedAt = data.now - data.uptimeMs;
  byId('token-form').hidden = true;
  byId('content').hidden = false;
  if (!data.seesAll) overview.hide();
  collectButton.hidden = !data.mayCollectAll;
  const button = byId('token-button');
  button.hidden = !data.isGuarded;
  setText(button, `Forget token '${data.grant}'`);
  const notice = byId('notice');
  notice.hidden = data.isGuarded;
  notice.replaceChildren(
    'Read-only: no token is configured, so nothing can be changed here. Start the mount with ',
    h('code', {}, '--token'),
    ' or ',
    h('code', {}, '--tokens'),
    ', or use the command line.',
  );
  document.title = `${data.mountpoint} – openduck-fuse`;
}

function drawAbout() {
  if (hello === undefined) return;
  setText(
    byId('about'),
    `${hello.mountpoint} · ${hello.version} · up ${duration(now() - startedAt)}`,
  );
}

function closeDetail() {
  detail?.close();
  detail = undefined;
  byId('detail').hidden = true;
  byId('detail').replaceChildren();
}

/** The database that the address names, else the first one. */
function drawDetail() {
  const wanted = selected();
  const database = state.databases.find(({ name }) => name === wanted);
  if (database === undefined) {
    // While one searches, the one that is open stays.
    const isSearching = databases.search.value !== '';
    if (
      detail !== undefined &&
      !isSearching &&
      !state.databases.some(({ name }) => name === detail.name)
    )
      closeDetail();
    return;
  }
  if (detail?.name !== wanted) {
    closeDetail();
    byId('detail').hidden = false;
    detail = new Detail(wanted, hello);
    byId('detail').append(...detail.element);
    detail.refresh();
  }
  detail.update(database);
}

function draw() {
  if (state === undefined || hello === undefined) return;
  drawAbout();
  if (hello.seesAll) overview.update(state.rates, now());
  databases.update(state, selected(), hello.isShared);
  drawDetail();
  problems.update(state.problems, state.aside);
}

addEventListener('hashchange', () => {
  if (selected() === 'main') return; // the link that skips the heading
  draw();
  const title = byId('detail-title');
  title?.focus({ preventScroll: true });
  title?.scrollIntoView({ block: 'start' });
});

byId('skip').addEventListener('click', (event) => {
  event.preventDefault();
  byId('main').focus();
});

/** Ages go on without events. */
setInterval(draw, 5000);

stream.open();
