// How fresh the numbers are, which times they stand for, and how often the page repaints.

import { byId, setFill, setText } from './dom.js';
import { progress } from './shares.js';
import {
  NONE, age, count, percent, time, timeZone, words,
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
  paint(model, standing) {
    const totals = model.totals();
    const election = model.election();
    const { about } = model;
    const isComplete = about.status === 'complete';

    this.totals = totals;
    if (election) {
      setText(byId('title'), election.name);
      document.title = election.name;
      byId('kind').hidden = !words.kind[election.kind];
      setText(byId('kind'), words.kind[election.kind] ?? '');
      byId('kind').title = words.kindHelp[election.kind] ?? '';
    }
    setText(byId('status'), words.status[about.status] ?? about.status);
    setText(byId('as-of'), time(about.as_of_ms));
    setText(byId('received'), time(about.received_ms));
    setText(byId('changed'), time(about.changed_ms));
    setText(byId('counted'), count(totals.counted));
    setText(byId('voters'), count(totals.voters));
    setText(byId('candidates-total'), count(totals.candidates));
    setText(byId('stored'), count(totals.stored));
    this.#progress(totals, isComplete);
    this.#database(about.database);
    setText(byId('point'), model.seq > 0 ? model.point() : NONE);
    this.#speak(standing);
  }

  #progress(totals, isComplete) {
    const done = progress(totals.counted, totals.voters, isComplete);
    const isBeyond = !isComplete && totals.voters !== null && totals.voters > 0
      && totals.counted >= totals.voters;
    setText(byId('progress'), `${isBeyond ? words.beyond : ''}${percent(done)}`);
    setText(byId('progress-note'), totals.voters === null
      ? words.registeredUnknown
      : words.ofRegistered(count(totals.counted), count(totals.voters)));
    setFill(byId('progress-fill'), done === null ? 0 : done / 1000);
  }

  #database({ state, as_of_ms: asOf }) {
    const text = { absent: words.databaseAbsent, old: words.databaseOld(time(asOf)) }[state] ?? '';
    for (const node of document.querySelectorAll('.database-note')) {
      setText(node, text);
      node.hidden = text === '';
    }
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
    this.#rate(feed, model);
  }

  #rate(feed, model) {
    const now = performance.now();
    const counted = model.totals().counted ?? 0;
    if (model.seq === 0) {
      return;
    }
    this.samples.push({ at: now, counted });
    while (this.samples.length > 2 && now - this.samples[0].at > RATE_MS) {
      this.samples.shift();
    }
    const [first] = this.samples;
    const seconds = (now - first.at) / 1000;
    const rate = seconds > 0.5 ? Math.round((counted - first.counted) / seconds) : 0;
    const since = model.about.changed_ms;
    setText(byId('rate'), rate > 0
      ? words.perSecond(count(rate))
      : since ? words.noChangeSince(time(since)) : '');
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
