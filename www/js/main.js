// The page: the feed keeps the model, and at the chosen pace the model is painted.

import { Breakdowns } from './breakdowns.js';
import { Candidates } from './candidates.js';
import { byId } from './dom.js';
import { Feed } from './feed.js';
import { Model } from './model.js';
import { Palette } from './palette.js';
import { Places } from './places.js';
import { standing } from './shares.js';
import { Interval, Status } from './status.js';

const LIVE_MS = 1000; // at most one repaint in this time

const model = new Model();
const status = new Status();
const candidates = new Candidates();
const places = new Places(() => {});
const breakdowns = new Breakdowns();

const feed = new Feed({
  origin: window.location.origin,
  socketOrigin: window.location.origin.replace(/^http/, 'ws'),
  WebSocket: window.WebSocket,
  fetch: window.fetch.bind(window),
  setTimeout: window.setTimeout.bind(window),
  clearTimeout: window.clearTimeout.bind(window),
  now: () => performance.now(),
  random: Math.random,
}, model, () => changed());

const interval = new Interval((ms) => {
  feed.setInterval(ms);
  pace();
});

let paintedAt = -Infinity;
let timer = null;
let isDue = false;

function paint() {
  const people = model.candidates();
  const palette = new Palette(people);
  const now = standing(people);

  isDue = false;
  if (model.seq === 0) {
    return;
  }
  paintedAt = performance.now();
  status.paint(model, now);
  candidates.paint(now, palette);
  places.paint(model.rows('state'), model.rows('state_candidate'), people, palette);
  breakdowns.paint(model, palette);
  status.painted(new Date());
  document.body.classList.remove('is-waiting');
}

function askForPaint() {
  timer = null;
  if (document.hidden) {
    isDue = true; // painted when the page is looked at again
    return;
  }
  window.requestAnimationFrame(paint);
}

// Something is new: when live, it is painted at once, or when a second has passed.
function changed() {
  status.watch(feed, model);
  const isFirst = paintedAt === -Infinity && model.seq > 0;
  if (timer === null && (interval.ms === 0 || isFirst)) {
    const wait = isFirst ? 0 : Math.max(0, paintedAt + LIVE_MS - performance.now());
    timer = window.setTimeout(askForPaint, wait);
  }
}

let pacer = null;

function pace() {
  window.clearInterval(pacer);
  pacer = interval.ms > 0 ? window.setInterval(askForPaint, interval.ms) : null;
  if (interval.ms === 0) {
    changed();
  }
}

byId('refresh').addEventListener('click', async () => {
  await feed.refresh();
  paint();
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && isDue) {
    window.requestAnimationFrame(paint);
  }
});
window.setInterval(() => status.watch(feed, model), 1000);
feed.intervalMs = interval.ms;
pace();
feed.start();
