// How fresh the numbers are, which times they stand for, and how often the page repaints.

import { byId, setText } from './dom.js';
import {
  NONE, age, count, time, timeZone, words,
} from './words.js';

const RATE_MS = 5000; // votes a second are taken over this long
const SPEAK_MS = 30000; // the live region speaks at most this often

export class Status {
  constructor() {
    this.samples = []; // {at, counted} of the last seconds
    this.spokenAt = -Infinity;
    this.spoken = '';
    setText(byId('zone'), timeZone());
  }

  // What moves with each repaint.
  paint({ model, standing }) {
    const election = model.election();
    const { about } = model;

    if (election) {
      setText(byId('title'), election.name);
      byId('kind').hidden = !words.kind[election.kind];
      setText(byId('kind'), words.kind[election.kind] ?? '');
      byId('kind').title = words.kindHelp[election.kind] ?? '';
    }
    setText(byId('status'), words.status[about.status] ?? about.status);
    setText(byId('as-of'), time(about.as_of_ms));
    setText(byId('received'), time(about.received_ms));
    setText(byId('changed'), time(about.changed_ms));
    setText(byId('point'), model.seq > 0 ? model.point() : NONE);
    this.#speak(standing);
  }

  painted(now) {
    setText(byId('refreshed'), time(now.getTime()));
  }

  // Once a second, whether anything came or not: ages, rate and the state of the feed.
  watch(feed, model) {
    const freshness = feed.freshness();
    const silence = feed.silence();
    const { about } = model;
    const chip = byId('freshness');
    const isOld = freshness === 'stale' || freshness === 'disconnected';

    chip.dataset.state = freshness;
    document.body.classList.toggle('is-old', isOld && model.seq > 0);
    setText(byId('freshness-name'), feed.isPolling && freshness === 'fresh'
      ? words.polling
      : words.freshness[freshness]);
    setText(byId('source'), freshness === 'fresh' || silence === null
      ? words.source[about.source]
      : words.old(age(silence)));
    this.#sample(model);
  }

  // Votes a second over the last seconds, or null while it cannot be said.
  rate() {
    const [first] = this.samples;
    const last = this.samples[this.samples.length - 1];
    return this.samples.length > 1 && last.at - first.at > 500
      ? Math.round(((last.counted - first.counted) * 1000) / (last.at - first.at))
      : null;
  }

  #sample(model) {
    const now = performance.now();
    if (model.seq === 0) {
      return;
    }
    this.samples.push({ at: now, counted: model.totals().counted ?? 0 });
    while (this.samples.length > 2 && now - this.samples[0].at > RATE_MS) {
      this.samples.shift();
    }
  }

  #speak({ leaders }) {
    const now = performance.now();
    if (leaders.length === 0 || now - this.spokenAt < SPEAK_MS) {
      return;
    }
    const who = leaders.map((one) => one.id).join(' ');
    if (who === this.spoken) {
      return;
    }
    this.spoken = who;
    this.spokenAt = now;
    setText(byId('voice'), leaders.length === 1
      ? words.say(leaders[0].name, count(leaders[0].votes))
      : words.sayTie(leaders.map((one) => one.name).join(words.and)));
  }
}

// The slider: 0 is live, 1 to 12 are 5 to 60 seconds; remembered where the browser allows it.
export class Interval {
  constructor(onChange) {
    const slider = byId('interval');
    slider.value = String(remembered());
    const change = () => {
      const step = Number(slider.value);
      const text = step === 0 ? words.refreshLive : words.refreshEvery(step * 5);
      setText(byId('interval-text'), text);
      slider.setAttribute('aria-valuetext', text);
      this.ms = step * 5000;
    };
    change();
    slider.addEventListener('input', change);
    slider.addEventListener('change', () => {
      change();
      remember(slider.value);
      onChange(this.ms);
    });
  }
}

function remembered() {
  try {
    const step = Number(window.localStorage.getItem('interval'));
    return Number.isInteger(step) && step >= 0 && step <= 12 ? step : 0;
  } catch {
    return 0;
  }
}

function remember(step) {
  try {
    window.localStorage.setItem('interval', step);
  } catch {
    // Not allowed here: it is live again next time.
  }
}
