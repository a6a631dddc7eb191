// The page: the feed keeps the model, and at the chosen pace the view that is open is painted.
//
// A view is a module, fetched when it is first opened:
//
//   export const view = {
//     open(root, context) {},   fill 'root', an empty element that is thrown away after close()
//     update(picture) {},       paint: after open(), at each repaint, after each change of a setting
//     close() {},               end timers and requests of one's own; may be left out
//   };
//
// context.settings  its part of the address (address.js); what can be set is read from there at each
//                   update(), so that the address alone says what is shown
// context.get       (path) => JSON of /api/v1/PATH; fails with an Error
// context.now       () => the server's time in milliseconds
// context.pace      () => milliseconds between repaints: 0 live, Infinity paused
// picture           {model, people, palette, standing, baseline, rate, past, jumps}: the model as it was at
//                   the repaint, or at a moment of the past; its candidates, their colours, who leads; what
//                   they are compared with, or null; votes a second, null while it cannot be said; of the
//                   past {asOfMs, jumps}, else null; another number when the reader asked for another moment
//
// To add one: a line in VIEWS; its title in words.views; its files in www/meson.build and www/js/meson.build. It
// brings its markup by dom.js:fill, its rules in a style sheet of its own.

import { addAccount, send, signIn } from './account.js';
import {
  Settings, momentOf, viewOf, withMoment,
} from './address.js';
import { Display } from './display.js';
import {
  byId, make, setText, translate,
} from './dom.js';
import { Feed } from './feed.js';
import { Model } from './model.js';
import { Palette } from './palette.js';
import { standing } from './shares.js';
import { Status } from './status.js';
import { moment, words } from './words.js';

const VIEWS = [
  { id: 'results', load: () => import('./results.js') },
  { id: 'places', load: () => import('./places.js'), style: '/places.css' },
  { id: 'time', load: () => import('./time.js'), style: '/time.css' },
  { id: 'breakdowns', load: () => import('./breakdowns.js'), style: '/breakdowns.css' },
  { id: 'pipeline', load: () => import('./pipeline.js'), style: '/pipeline.css' },
];

const LIVE_MS = 1000; // at most one repaint in this time
const ANSWER_MS = 10000; // what takes longer has failed

translate(document.body);

const model = new Model();
const status = new Status();

const feed = new Feed({
  origin: window.location.origin,
  socketOrigin: window.location.origin.replace(/^http/, 'ws'),
  WebSocket: window.WebSocket,
  fetch: window.fetch.bind(window),
  setTimeout: window.setTimeout.bind(window),
  clearTimeout: window.clearTimeout.bind(window),
  now: () => performance.now(),
  random: Math.random,
  signIn,
}, model, () => changed());

const now = () => feed.serverNow() ?? Date.now();

const display = new Display(() => {
  feed.setInterval(feedMs());
  pace();
});

let wanted = null; // of VIEWS: the one that the address names
let shown = null; // the view that is open
let picture = null;
let replay = null; // the bar of the past, once it was asked for
let replaying = null; // on its way
let past = null; // what it shows instead of the newest picture; see replay.js
let leaves = 0; // how often the reader came back from the past
let led = null; // what an operator says of the past that this page follows; see heed()
let heeded; // what was said last, as text
let left = null; // the replay that the reader does not follow, by its beginning
let mayLead = false;
let paintedAt = -Infinity;
let timer = null;
let isDue = false;

// ---- repaints ----

// The past is shown where the address has a moment, which is the reader's own, or an operator leads.
const isOwn = () => momentOf(window.location.hash) !== null;
const isPast = () => isOwn() || led !== null;

// Who is led hears of it at once, however seldom he wants new numbers.
const feedMs = () => (led === null ? display.ms : 0);

function paint() {
  isDue = false;
  if (model.seq === 0 || (isPast() && past === null)) {
    return; // what was asked for is on its way
  }
  const held = past?.model ?? model.copy();
  const people = held.candidates();
  picture = {
    model: held,
    people,
    palette: new Palette(people),
    standing: standing(people),
    baseline: held.baseline(people),
    rate: past === null ? status.rate() : null,
    past,
    jumps: past === null ? -leaves : past.jumps,
  };
  paintedAt = performance.now();
  status.paint(picture, display.ms);
  setTitle();
  fillView();
  byId('replay').disabled = past === null && model.about.as_of_ms === 0;
  byId('json').href = past === null ? '/api/v1/snapshot' : `/api/v1/snapshot?as_of_ms=${past.asOfMs}`;
  if (past !== null) {
    status.past(past.asOfMs);
  } else if (display.isPaused) {
    status.pause();
  }
}

// The past has nothing for the view, which is hidden then.
const isLacking = ({ id }) => past !== null && past.lack(id) !== '';

// The open view shows the picture, or nothing where the past has nothing for it.
function fillView() {
  const isLate = picture === null && leaves > 0; // back from the past, before there is anything newer
  const lack = past?.lack(wanted?.id) ?? (isLate ? words.fetching : '');
  const root = document.querySelector('#main > .view');
  setText(byId('lack'), lack);
  byId('lack').hidden = lack === '';
  if (root !== null) {
    root.hidden = lack !== '';
  }
  replay?.look(wanted?.id);
  if (picture !== null && lack === '') {
    shown?.update(picture);
  }
}

function askForPaint() {
  if (isPast()) {
    timer = null; // what is shown does not change by what comes in
  } else if (document.hidden) {
    timer = null;
    isDue = true; // painted when the page is looked at again
  } else {
    window.requestAnimationFrame(() => {
      timer = null; // what came meanwhile asked for no other repaint: paused, the first one is the only one
      paint();
    });
  }
}

// Paused, nothing moves but the first picture and what is asked for.
function isStill() {
  return display.isPaused && paintedAt > -Infinity;
}

function watch() {
  if (past !== null) {
    status.watchPast(model);
  } else if (!isStill()) {
    status.watch(feed, model);
  }
}

// Something is new: when live, it is painted at once, or when a second has passed.
function changed() {
  watch();
  heed();
  replay?.changed();
  const isFirst = paintedAt === -Infinity && model.seq > 0;
  if (timer === null && !isStill() && (display.ms === 0 || isFirst)) {
    const wait = isFirst ? 0 : Math.max(0, paintedAt + LIVE_MS - performance.now());
    timer = window.setTimeout(askForPaint, wait);
  }
}

let pacer = null;

function pace() {
  window.clearInterval(pacer);
  window.clearTimeout(timer);
  timer = null;
  pacer = null;
  if (past !== null) {
    return; // until the reader is back
  }
  if (display.isPaused) {
    status.pause();
  } else if (display.ms > 0) {
    pacer = window.setInterval(askForPaint, display.ms);
    askForPaint();
  } else {
    changed();
  }
}

// ---- the past ----

function showPast(given) {
  past = given;
  if (document.hidden) {
    isDue = true;
  } else {
    window.requestAnimationFrame(paint);
  }
}

// Put the moment into the address, in place, and into the links to the other views.
function writeMoment(at) {
  window.history.replaceState(null, '', withMoment(window.location.hash, at));
  linkViews();
}

// Go to a moment, or with null back to the newest picture: a step on the way back.
function goTo(at) {
  const { hash } = window.location;
  window.location.hash = withMoment(viewOf(hash) === '' ? `#/${wanted?.id ?? VIEWS[0].id}` : hash, at);
}

// The bar, fetched when it is first needed.
function loadReplay() {
  replaying ??= Promise.all([import('./replay.js'), addStyle('/replay.css')]).then(([{ Replay }]) => {
    setText(byId('trouble'), '');
    replay = new Replay({
      get: getJson,
      newest: () => model,
      show: showPast,
      write: writeMoment,
      leave,
      now,
      mayLead: () => mayLead,
      order: (body) => send('POST', 'replay', body),
      join,
    });
  });
  return replaying;
}

function endPast() {
  const wasInBar = byId('replay-bar').contains(document.activeElement);
  replay.end();
  past = null;
  picture = null; // what it shows is over, even where nothing newer is known yet
  leaves += 1;
  paintedAt = -Infinity;
  paint();
  if (picture === null) {
    fillView();
    setTitle();
  }
  pace();
  watch();
  if (wasInBar) {
    byId(byId('replay').disabled ? 'main' : 'replay').focus();
  }
}

// The moment that is wanted by now, if any is.
function replayMoment() {
  if (led !== null) {
    replay.follow(led);
  } else if (isOwn()) {
    replay.go(momentOf(window.location.hash));
  }
}

function followMoment() {
  if (isOwn()) {
    stray();
  }
  linkViews();
  byId('replay').setAttribute('aria-pressed', String(isPast()));
  byId('pause').disabled = isPast();
  byId('refresh').disabled = isPast();
  if (isPast()) {
    loadReplay().then(replayMoment).catch(() => {
      replaying = null; // following a link tries again
      setText(byId('trouble'), words.replay.missing);
      writeMoment(null);
      stray();
      followMoment();
      paint();
      pace();
    });
  } else if (replay?.isOn) {
    endPast();
  }
}

// ---- led by an operator ----

// 'lead' is what is said of it now: followed, or with an offer to do so.
function setLed(lead) {
  led = lead !== null && lead.began_ms !== left ? lead : null;
  byId('led').hidden = lead === null || led !== null;
  setText(byId('led-text'), lead === null ? '' : words.replay.leads(lead.by));
  if (feed.intervalMs !== feedMs()) {
    feed.setInterval(feedMs());
  }
}

function take(lead) {
  setLed(lead);
  if (led !== null && isOwn()) {
    goTo(null); // a step: the way back leads to the reader's own moment
  } else {
    followMoment();
  }
}

// What the newest picture says of it. A replay that begins takes all pages along but those that are paused;
// who comes to a moment of his own while it lasts goes his own way.
function heed() {
  const { lead } = model.about;
  const text = JSON.stringify(lead);
  if (model.seq === 0 || text === heeded || display.isPaused) {
    return;
  }
  if (heeded === undefined && isOwn()) {
    left = lead?.began_ms ?? null;
  }
  heeded = text;
  take(lead);
}

function stray() {
  if (led !== null) {
    left = led.began_ms;
    setLed(led);
  }
}

function join() {
  left = null;
  take(model.about.lead);
}

function leave() {
  if (led === null) {
    goTo(null);
  } else {
    stray();
    followMoment();
  }
}

// ---- views ----

function setTitle() {
  if (wanted === null) {
    return; // no view could be had
  }
  const name = model.election()?.name;
  const title = name ? words.title(words.views[wanted.id], name) : words.views[wanted.id];
  document.title = past === null ? title : words.replay.documentTitle(moment(past.asOfMs), title);
}

// The view's style sheet, once it can be used; stays for the next time.
function addStyle(href) {
  if (!href || document.querySelector(`link[href="${href}"]`)) {
    return null;
  }
  return new Promise((resolve) => {
    const link = make('link', { rel: 'stylesheet', href });
    link.addEventListener('load', resolve);
    link.addEventListener('error', resolve);
    document.head.append(link);
  });
}

// What was asked for before is asked for by its tag. A connection that says nothing any more is a failure.
async function getJson(path) {
  const response = await fetch(`/api/v1/${path}`, { cache: 'no-cache', signal: AbortSignal.timeout(ANSWER_MS) });
  if (response.status === 401) {
    signIn();
  }
  if (!response.ok) {
    throw new Error(`${path}: ${response.status}`);
  }
  return response.json();
}

function fillMain(root) {
  byId('main').replaceChildren(byId('lack'), root);
}

async function open(entry) {
  const [{ view }] = await Promise.all([entry.load(), addStyle(entry.style)]);
  if (wanted !== entry) {
    return; // another was asked for meanwhile
  }
  const root = make('div', { class: 'view', id: `view-${entry.id}` });
  shown?.close?.();
  fillMain(root);
  shown = view;
  view.open(root, {
    settings: new Settings(entry.id, fillView),
    get: getJson,
    now,
    pace: () => (display.isPaused || isLacking(entry) ? Infinity : display.ms),
  });
  fillView();
}

// Links to the views keep the moment that is shown, and tell which view is open.
function linkViews() {
  const at = momentOf(window.location.hash);
  for (const link of byId('views').children) {
    const id = viewOf(link.hash);
    link.href = withMoment(`#/${id}`, at);
    if (id === wanted?.id) {
      link.setAttribute('aria-current', 'page');
    } else {
      link.removeAttribute('aria-current');
    }
  }
}

function follow() {
  const id = viewOf(window.location.hash);
  const entry = VIEWS.find((one) => one.id === id) ?? VIEWS[0];

  if (entry === wanted) {
    followMoment();
    fillView(); // other settings of the same view
    return;
  }
  wanted = entry;
  followMoment();
  setTitle();
  open(entry).catch(() => {
    if (wanted !== entry) {
      return; // another was asked for meanwhile
    }
    shown?.close?.();
    shown = null;
    wanted = null; // following the link again tries again
    fillMain(make('p', { class: 'empty', role: 'alert' }, words.viewFailed));
  });
}

// ---- begin ----

byId('views').append(...VIEWS.map(({ id }) => make('a', { href: `#/${id}` }, words.views[id])));
byId('skip').addEventListener('click', (event) => {
  event.preventDefault(); // the address is the view's
  byId('main').focus();
});
byId('refresh').addEventListener('click', async () => {
  await feed.refresh();
  paint();
});
byId('replay').addEventListener('click', () => (isPast() ? leave() : goTo(model.about.as_of_ms)));
byId('led-follow').addEventListener('click', () => {
  join();
  byId('replay').focus(); // what was clicked is gone
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && isDue && (past !== null || !isStill())) {
    window.requestAnimationFrame(paint);
  }
});
window.addEventListener('hashchange', follow);
window.setInterval(watch, 1000);
follow();
feed.intervalMs = display.ms;
pace();
feed.start();
addAccount(document.querySelector('.tools')).then((mayAct) => {
  mayLead = mayAct;
  replay?.changed();
}).catch(() => {}); // the feed tells what is wrong
