// How fresh the numbers are, and which times they stand for.

import { byId, setAttributes, setText } from './dom.js';
import {
  NONE, age, count, isolate, moment, time, timeZone, words,
} from './words.js';

const RATE_MS = 5000; // votes a second are taken over this long
const SPEAK_MS = 30000; // the live region speaks at most this often
const OLD_MS = 2000; // a connection that is made again sooner is not worth a notice

// A moment, or since when there was none: nothing is known of what the daemon had before its start.
function since(about, ms) {
  return ms || !about.started_ms ? time(ms) : words.notSinceStart(time(about.started_ms));
}

export class Status {
  constructor() {
    this.samples = []; // {at, counted} of the last seconds
    this.spokenAt = -Infinity;
    this.spoken = {}; // what was said last, by its matter
    setText(byId('zone'), timeZone());
  }

  // What moves with each repaint. 'nextMs': the wait for the next one, 0 if it comes by itself.
  paint({ model, standing }, nextMs) {
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
    setText(byId('received'), since(about, about.received_ms));
    setText(byId('changed'), since(about, about.changed_ms));
    setText(byId('point'), model.seq > 0 ? model.point() : NONE);
    this.standing = standing;
    const now = Date.now();
    this.painted = time(now);
    setText(byId('refreshed'), this.painted);
    setText(byId('next'), nextMs > 0 ? time(now + nextMs) : words.nextLive);
  }

  // Once a second and with each frame: ages, rate and the state of the feed. Touches only what is other.
  watch(feed, model) {
    const freshness = feed.freshness();
    const silence = feed.silence();
    const isOld = model.seq > 0 && silence >= OLD_MS && freshness in words.notice;

    this.#show(freshness, feed.isPolling && freshness === 'fresh' ? words.polling : words.freshness[freshness]);
    setText(byId('source'), freshness === 'fresh' || silence === null
      ? words.source[model.about.source]
      : words.old(age(silence)));
    document.body.classList.toggle('is-old', isOld);
    if (byId('notice').hidden === isOld) {
      byId('notice').hidden = !isOld;
    }
    setText(byId('notice'), isOld ? words.notice[freshness](age(silence)) : '');
    this.#sample(model);
    this.#speak(freshness, model.about.status);
  }

  // The picture is one of the past: its moment stands where else is said how fresh the numbers are.
  past(asOfMs) {
    this.#show('past', words.replay.asOf(moment(asOfMs)));
    setText(byId('source'), words.replay.notNow);
    setText(byId('next'), NONE);
    setText(byId('point'), NONE);
    byId('notice').hidden = true;
    document.body.classList.remove('is-old');
  }

  // Once a second in the past, in place of watch().
  watchPast(model) {
    this.#sample(model);
    this.#say({ ...this.spoken, past: words.say.past });
  }

  // Nothing moves from here on: said once, in place of how fresh the numbers are.
  pause() {
    this.#show('paused', words.freshness.paused);
    setText(byId('source'), words.pausedSince(this.painted ?? time(Date.now())));
    setText(byId('next'), words.nextPaused);
  }

  // Votes a second over the last seconds, or null while it cannot be said.
  rate() {
    const [first] = this.samples;
    const last = this.samples[this.samples.length - 1];
    return this.samples.length > 1 && last.at - first.at > 500
      ? Math.round(((last.counted - first.counted) * 1000) / (last.at - first.at))
      : null;
  }

  #show(state, text) {
    setAttributes(byId('freshness'), { 'data-state': state });
    setText(byId('freshness-name'), text);
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

  // Aloud: who leads, whether the feed is there, that the count is complete; only what is new of it.
  #speak(freshness, status) {
    this.#say({
      status: status === 'complete' ? words.say.complete : '',
      feed: { stale: words.say.stale, disconnected: words.say.disconnected }[freshness] ?? '',
      leader: (this.standing?.leaders ?? []).map((one) => one.id).join(' '),
      past: '',
    });
  }

  #say(matters) {
    const now = performance.now();
    if (this.standing === undefined || now - this.spokenAt < SPEAK_MS) {
      return;
    }
    const news = Object.keys(matters).filter((name) => matters[name] !== (this.spoken[name] ?? ''));
    if (news.length === 0) {
      return;
    }
    const isBack = news.includes('feed') && matters.feed === '';
    const isLive = news.includes('past') && matters.past === '';
    setText(byId('voice'), news.map((name) => (name === 'leader' ? this.#sayLeader() : matters[name]))
      .concat(isBack ? words.say.back : [], isLive ? words.say.live : [])
      .filter((text) => text !== '').join(' '));
    this.spoken = matters;
    this.spokenAt = now;
  }

  #sayLeader() {
    const { leaders } = this.standing;
    const names = leaders.map((one) => isolate(one.name)).join(words.and);
    if (leaders.length === 0) {
      return '';
    }
    return leaders.length === 1
      ? words.say.leader(names, count(leaders[0].votes))
      : words.say.tie(names);
  }
}
