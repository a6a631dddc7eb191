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
// context.pace      () => milliseconds between repaints: 0 live, Infinity paused
// picture           {model, people, palette, standing, baseline, rate}: the model as it was at the repaint;
//                   its candidates, their colours, who leads; what they are compared with, or null; votes a
//                   second, null while it cannot be said
//
// To add one: a line in VIEWS; its title in words.views; its files in www/meson.build and www/js/meson.build. It
// brings its markup by dom.js:fill, its rules in a style sheet of its own.

import { addAccount, signIn } from './account.js';
import { Settings, viewOf } from './address.js';
import { Display } from './display.js';
import { byId, make, translate } from './dom.js';
import { Feed } from './feed.js';
import { Model } from './model.js';
import { Palette } from './palette.js';
import { standing } from './shares.js';
import { Status } from './status.js';
import { words } from './words.js';

const VIEWS = [
  { id: 'results', load: () => import('./results.js') },
  { id: 'places', load: () => import('./places.js'), style: '/places.css' },
  { id: 'time', load: () => import('./time.js'), style: '/time.css' },
  { id: 'breakdowns', load: () => import('./breakdowns.js'), style: '/breakdowns.css' },
  { id: 'pipeline', load: () => import('./pipeline.js'), style: '/pipeline.css' },
];

const LIVE_MS = 1000; // at most one repaint in this time

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

const display = new Display(() => {
  feed.setInterval(display.ms);
  pace();
});

let wanted = null; // of VIEWS: the one that the address names
let shown = null; // the view that is open
let picture = null;
let paintedAt = -Infinity;
let timer = null;
let isDue = false;

// ---- repaints ----

function paint() {
  isDue = false;
  if (model.seq === 0) {
    return;
  }
  const people = model.candidates();
  picture = {
    model: model.copy(),
    people,
    palette: new Palette(people),
    standing: standing(people),
    baseline: model.baseline(people),
    rate: status.rate(),
  };
  paintedAt = performance.now();
  status.paint(picture, display.ms);
  setTitle();
  shown?.update(picture);
  if (display.isPaused) {
    status.pause();
  }
}

function askForPaint() {
  timer = null;
  if (document.hidden) {
    isDue = true; // painted when the page is looked at again
    return;
  }
  window.requestAnimationFrame(paint);
}

// Paused, nothing moves but the first picture and what is asked for.
function isStill() {
  return display.isPaused && paintedAt > -Infinity;
}

function watch() {
  if (!isStill()) {
    status.watch(feed, model);
  }
}

// Something is new: when live, it is painted at once, or when a second has passed.
function changed() {
  watch();
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
  if (display.isPaused) {
    status.pause();
  } else if (display.ms > 0) {
    pacer = window.setInterval(askForPaint, display.ms);
    askForPaint();
  } else {
    changed();
  }
}

// ---- views ----

function setTitle() {
  if (wanted === null) {
    return; // no view could be had
  }
  const name = model.election()?.name;
  const title = words.views[wanted.id];
  document.title = name ? words.title(title, name) : title;
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

async function getJson(path) {
  const response = await fetch(`/api/v1/${path}`, { cache: 'no-store' });
  if (response.status === 401) {
    signIn();
  }
  if (!response.ok) {
    throw new Error(`${path}: ${response.status}`);
  }
  return response.json();
}

async function open(entry) {
  const [{ view }] = await Promise.all([entry.load(), addStyle(entry.style)]);
  if (wanted !== entry) {
    return; // another was asked for meanwhile
  }
  const root = make('div', { class: 'view', id: `view-${entry.id}` });
  shown?.close?.();
  byId('main').replaceChildren(root);
  shown = view;
  view.open(root, {
    settings: new Settings(entry.id, () => picture && view.update(picture)),
    get: getJson,
    pace: () => (display.isPaused ? Infinity : display.ms),
  });
  if (picture !== null) {
    view.update(picture);
  }
}

function follow() {
  const id = viewOf(window.location.hash);
  const entry = VIEWS.find((one) => one.id === id) ?? VIEWS[0];

  if (entry === wanted) {
    if (picture !== null) {
      shown?.update(picture); // other settings of the same view
    }
    return;
  }
  wanted = entry;
  for (const link of byId('views').children) {
    if (link.hash === `#/${entry.id}`) {
      link.setAttribute('aria-current', 'page');
    } else {
      link.removeAttribute('aria-current');
    }
  }
  setTitle();
  open(entry).catch(() => {
    if (wanted !== entry) {
      return; // another was asked for meanwhile
    }
    shown?.close?.();
    shown = null;
    wanted = null; // following the link again tries again
    byId('main').replaceChildren(make('p', { class: 'empty', role: 'alert' }, words.viewFailed));
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
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && isDue && !isStill()) {
    window.requestAnimationFrame(paint);
  }
});
window.addEventListener('hashchange', follow);
window.setInterval(watch, 1000);
follow();
feed.intervalMs = display.ms;
pace();
feed.start();
addAccount(document.querySelector('.tools')).catch(() => {}); // the feed tells what is wrong
