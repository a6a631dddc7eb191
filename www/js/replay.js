// The bar of the past: what is shown is the picture of a moment instead of the newest one, until the
// reader goes back. The moment is his own, which is in the address, or that of an operator who leads all
// pages: then the bar's controls are the operators', and move all.

import {
  byId, fill, make, setAttributes, setText,
} from './dom.js';
import { knownFrom, modelAt } from './moment.js';
import { Player, SPEEDS } from './player.js';
import { isolate, moment, words } from './words.js';

const WRITE_MS = 2000; // between changes of the address while it plays: browsers allow only so many
const RETRY_MS = 2000;
const PAGE = 60; // steps

const MARKUP = `
<div class="replay-row">
  <strong class="replay-led" id="replay-led" hidden></strong>
  <button type="button" class="button" id="replay-play"></button>
  <select id="replay-speed" data-label="replay.speed"></select>
  <input type="range" class="replay-slider" id="replay-slider" step="1" data-label="replay.slider">
  <input type="datetime-local" id="replay-jump" step="1" data-label="replay.jump">
  <button type="button" class="button" id="replay-show" data-word="replay.show" hidden></button>
  <button type="button" class="button" id="replay-leave" data-word="replay.leave"></button>
  <button type="button" class="button" id="replay-end" data-word="replay.end" hidden></button>
</div>
<p class="replay-note" id="replay-note" hidden></p>`;

// As a field for a date and a time has it: of the page's zone.
function fieldOf(ms) {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}

export class Replay {
  // 'context':
  //   get             as views have it
  //   newest()        the model that the feed keeps
  //   show(past)      paint {model, asOfMs, jumps, lack(view)} in place of the newest picture
  //   write(ms)       put the moment into the address
  //   leave()         go back to the newest picture
  //   now()           the server's time in milliseconds
  //   mayLead()       whether the reader may move all pages
  //   order(body)     do so; fails with an Error
  //   join()          follow who leads
  constructor(context) {
    this.context = context;
    this.player = new Player({
      get: context.get,
      setTimeout: window.setTimeout.bind(window),
      clearTimeout: window.clearTimeout.bind(window),
      now: () => performance.now(),
    }, (answer, at) => this.#take(answer, at), () => this.#paint());
    this.isOn = false;
    this.lead = null; // what is followed: the picture's 'lead'; null: the reader goes his own way
    this.wanted = null; // the next order to all
    this.isOrdering = false;
    this.isSliding = false; // the slider is where the hand has it
    this.jumps = 0; // how often another moment than the next was asked for
    this.wroteAt = -Infinity;
    this.frame = null;
    this.#build();
  }

  // The address asks for this moment.
  go(at) {
    const isNew = !this.isOn || this.lead !== null;
    this.#begin();
    if (isNew) {
      this.lead = null;
      this.player.release();
    }
    if (isNew || at !== this.written) {
      this.#seek(at);
    }
    this.written = at;
    this.changed();
  }

  // An operator leads.
  follow(lead) {
    if (this.isOn && lead === this.lead) {
      return;
    }
    this.#begin();
    this.lead = lead;
    this.jumps += 1;
    this.player.follow(() => this.#due(), lead.is_running, lead.speed);
    this.changed();
  }

  #begin() {
    if (this.isOn) {
      return;
    }
    this.isOn = true;
    this.epoch = null; // that the moments are known of, or asked for
    this.isReady = false; // they are known
    this.isWaiting = false;
    this.from = null; // the first of them, if only of an earlier epoch
    this.past = null;
    this.answer = null;
    this.partial = []; // tables of which it does not know every row
    this.hasFailed = false;
    this.isRefused = false; // the last order to all
    this.bar.hidden = false;
    document.body.classList.add('is-past');
  }

  // The moment at which all pages are to be now.
  #due() {
    const { lead } = this;
    const elapsed = lead.is_running ? Math.max(0, this.context.now() - lead.since_ms) : 0;
    return lead.at_ms + elapsed * lead.speed;
  }

  // The newest picture is shown again.
  end() {
    this.isOn = false;
    this.lead = null;
    this.player.stop();
    window.clearTimeout(this.timer);
    this.bar.hidden = true;
    document.body.classList.remove('is-past');
  }

  // The feed brought something. Of another epoch everything is asked for anew: the past may be another.
  // A daemon that still reads what was counted knows no moment yet: the wanted one waits until then.
  changed() {
    const { epoch, seq, about } = this.context.newest();
    if (!this.isOn || seq === 0) {
      return;
    }
    const isWaiting = about.source === 'waiting';
    if (isWaiting || epoch !== this.epoch) {
      this.epoch = isWaiting ? null : epoch;
      this.isWaiting = isWaiting;
      this.isReady = false;
      this.player.hold(true);
      if (!isWaiting) {
        this.#findRange();
      }
    } else if (this.isReady) {
      this.player.setRange(this.from, about.as_of_ms);
    }
    this.#askForPaint();
  }

  // Another view is open.
  look(view) {
    this.view = view;
    this.#note();
  }

  // ---- what is known ----

  async #findRange() {
    const { epoch } = this;
    const { get, newest } = this.context;
    window.clearTimeout(this.timer);
    try {
      const answer = await get('history?table=totals');
      if (!this.isOn || epoch !== this.epoch) {
        return;
      }
      if (answer.epoch !== epoch) {
        throw new Error(`history of ${answer.epoch}, not of ${epoch}`);
      }
      const end = newest().about.as_of_ms;
      this.hasFailed = false;
      this.isReady = true;
      this.from = Math.min(knownFrom(answer) ?? end, end);
      this.player.setRange(this.from, end);
      this.#seek(Math.min(this.player.at, end));
      this.player.hold(document.hidden);
    } catch {
      if (epoch !== this.epoch) {
        return; // the newer question tells
      }
      this.hasFailed = true;
      this.timer = window.setTimeout(() => this.isOn && epoch === this.epoch && this.#findRange(), RETRY_MS);
    }
    this.#paint();
  }

  // Of a moment before all that is known the answer has none: then it is the one that was asked for.
  #take(given, at) {
    const newest = this.context.newest();
    if (given.epoch !== newest.epoch || newest.seq === 0) {
      return; // the feed will tell
    }
    const answer = { ...given, as_of_ms: given.as_of_ms || at };
    this.answer = answer;
    const { model, isWhole, partial } = modelAt(newest, answer);
    this.partial = partial;
    this.past = {
      model,
      asOfMs: answer.as_of_ms,
      jumps: this.jumps,
      lack: (view) => this.#lack(view, model, isWhole),
    };
    if (!this.player.isPlaying || performance.now() - this.wroteAt >= WRITE_MS) {
      this.#write(at);
    }
    this.#paint();
    this.context.show(this.past);
  }

  #write(at) {
    if (this.lead === null && at !== this.written) {
      this.wroteAt = performance.now();
      this.written = at;
      this.context.write(at);
    }
  }

  // Why a view cannot show this moment; '' if it can.
  #lack(view, model, isWhole) {
    const { without, as_of_ms: asOfMs } = this.answer;
    const { table, units } = model.preload.contests[0] ?? {};
    const lost = [table, ...(view === 'places' ? [units] : [])].find((name) => without.includes(name));
    if (view === 'pipeline') {
      return words.replay.noPipeline;
    }
    if (lost !== undefined) {
      return words.replay.tooLarge(this.#titleOf(lost));
    }
    return isWhole ? '' : words.replay.unknown(moment(asOfMs), moment(this.from));
  }

  #titleOf(name) {
    return isolate(this.context.newest().tables.get(name)?.title ?? name);
  }

  // ---- the bar ----

  #build() {
    this.bar = make('section', { class: 'replay', id: 'replay-bar', 'aria-label': words.replay.title, hidden: true });
    fill(this.bar, MARKUP);
    document.querySelector('header').after(this.bar);
    byId('replay-speed').append(...SPEEDS.map((speed) => make('option', { value: speed }, words.replay.times(speed))));
    byId('replay-speed').value = this.player.speed;
    this.#listen();
  }

  #listen() {
    const { player } = this;
    byId('replay-play').addEventListener('click', () => {
      if (this.lead !== null) {
        this.#playForAll();
      } else if (player.isPlaying) {
        player.pause();
        this.#write(player.at);
      } else {
        this.jumps += 1;
        player.play();
      }
    });
    byId('replay-speed').addEventListener('change', ({ target }) => this.#setSpeed(Number(target.value)));
    byId('replay-slider').addEventListener('input', ({ target }) => {
      this.isSliding = this.lead !== null;
      if (!this.isSliding) {
        this.#seek(Number(target.value) * 1000);
      }
    });
    byId('replay-slider').addEventListener('change', ({ target }) => {
      if (this.isSliding) {
        this.isSliding = false;
        this.#moveTo(Number(target.value) * 1000);
      }
    });
    byId('replay-slider').addEventListener('keydown', (event) => this.#key(event));
    byId('replay-jump').addEventListener('change', ({ target }) => {
      const at = new Date(target.value).getTime();
      if (at >= 0) {
        this.#moveTo(Math.min(at, player.to));
      }
    });
    byId('replay-jump').addEventListener('blur', () => this.#paint());
    byId('replay-leave').addEventListener('click', () => this.context.leave());
    byId('replay-end').addEventListener('click', () => this.#order({ action: 'stop' }));
    byId('replay-show').addEventListener('click', async () => {
      const action = player.isPlaying ? 'start' : 'pause';
      if (await this.#order({ action, at_ms: player.at, speed: player.speed })) {
        this.context.join();
      }
    });
    document.addEventListener('visibilitychange', () => {
      if (this.isOn && this.isReady) {
        player.hold(document.hidden);
      }
    });
  }

  // By what the past is known in there, so that each key shows another picture.
  #key(event) {
    const { at, from, to } = this.player;
    const step = Math.max(1000, this.answer?.step_ms ?? 0);
    const target = {
      ArrowLeft: at - step,
      ArrowDown: at - step,
      ArrowRight: at + step,
      ArrowUp: at + step,
      PageDown: at - PAGE * step,
      PageUp: at + PAGE * step,
      Home: from,
      End: to,
    }[event.key];
    if (target !== undefined) {
      event.preventDefault();
      this.#moveTo(Math.max(from, Math.min(target, to)));
    }
  }

  // ---- the controls, for this page or for all ----

  #moveTo(at) {
    if (this.lead === null) {
      this.#seek(at);
    } else {
      this.#order({ action: 'seek', at_ms: at });
    }
  }

  #setSpeed(speed) {
    if (this.lead === null) {
      this.player.setSpeed(speed);
    } else {
      this.#order({ action: this.player.isPlaying ? 'start' : 'pause', speed });
    }
  }

  // All stop at the moment that is seen here. At the end, from the beginning on.
  #playForAll() {
    const { at, from, to, isPlaying } = this.player;
    if (isPlaying) {
      this.#order({ action: 'pause', at_ms: at });
    } else {
      this.#order({ action: 'start', at_ms: at >= Math.floor(to / 1000) * 1000 ? from : at });
    }
  }

  // One order at a time; of those that come meanwhile the sum: the last word of each kind. True if all
  // were done.
  async #order(order) {
    const action = order.action === 'seek' ? this.wanted?.action ?? 'seek' : order.action;
    this.wanted = action === 'stop' ? { action } : { ...this.wanted, ...order, action };
    if (this.isOrdering) {
      return false;
    }
    this.isOrdering = true;
    this.isRefused = false;
    try {
      while (this.wanted !== null) {
        const next = this.wanted;
        this.wanted = null;
        await this.context.order(next);
      }
    } catch {
      this.wanted = null;
      this.isRefused = true;
    }
    this.isOrdering = false;
    this.#paint();
    return !this.isRefused;
  }

  #seek(at) {
    this.jumps += 1;
    this.player.seek(at);
  }

  #askForPaint() {
    this.frame ??= window.requestAnimationFrame(() => {
      this.frame = null;
      this.#paint();
    });
  }

  #paint() {
    const { player, past } = this;
    const slider = byId('replay-slider');
    const isKnown = this.from !== null;
    if (!this.isOn) {
      return;
    }
    this.#paintLead();
    setText(byId('replay-play'), player.isPlaying ? words.replay.pause : words.replay.play);
    for (const control of [slider, byId('replay-play'), byId('replay-jump')]) {
      control.disabled = !isKnown;
    }
    slider.disabled ||= this.lead !== null && !this.context.mayLead();
    if (isKnown) {
      slider.min = Math.floor(player.from / 1000);
      slider.max = Math.floor(player.to / 1000);
      if (!this.isSliding && !this.isOrdering) {
        slider.value = Math.floor(player.at / 1000);
      }
      if (!player.isPlaying || document.activeElement !== slider) { // else every picture would be read out
        setAttributes(slider, { 'aria-valuetext': moment(past?.asOfMs ?? player.at) });
      }
      if (document.activeElement !== byId('replay-jump')) {
        byId('replay-jump').value = fieldOf(player.at);
      }
    }
    this.#note();
  }

  // Who leads, and what of the controls the reader may have then.
  #paintLead() {
    const isLed = this.lead !== null;
    const mayLead = this.context.mayLead();
    const speed = byId('replay-speed');
    this.bar.classList.toggle('is-led', isLed);
    this.bar.classList.toggle('is-follower', isLed && !mayLead);
    byId('replay-led').hidden = !isLed;
    setText(byId('replay-led'), isLed ? words.replay.led(this.lead.by) : '');
    for (const id of ['replay-play', 'replay-speed', 'replay-jump']) {
      byId(id).hidden = isLed && !mayLead;
    }
    byId('replay-show').hidden = isLed || !mayLead;
    byId('replay-end').hidden = !isLed || !mayLead;
    if (Number(speed.value) !== this.player.speed) {
      if (!SPEEDS.includes(this.player.speed)) { // a program may lead at any
        speed.append(make('option', { value: this.player.speed }, words.replay.times(this.player.speed)));
      }
      speed.value = this.player.speed;
    }
    const held = document.activeElement;
    if (this.bar.contains(held) && (held.hidden || (isLed && !mayLead && held.matches('input')))) {
      byId('replay-leave').focus();
    }
  }

  // What the open view lacks of this moment.
  #note() {
    const text = this.#said();
    byId('replay-note').hidden = text === '';
    setText(byId('replay-note'), text);
  }

  #said() {
    if (this.isRefused) {
      return words.replay.refused;
    }
    if (this.hasFailed || this.player.hasFailed) {
      return words.replay.failed;
    }
    if (this.isWaiting) {
      return words.replay.waiting;
    }
    const drawn = this.#drawn();
    const titles = (names) => names.filter((name) => drawn.includes(name)).map((name) => this.#titleOf(name)).join(', ');
    const without = titles(this.answer?.without ?? []);
    const partial = titles(this.partial);
    return [without && words.replay.without(without), partial && words.replay.partial(partial)]
      .filter((text) => text !== '').join(' ');
  }

  // The tables that the open view draws beside candidates and totals. Of the places, totals by candidate
  // tell who leads there.
  #drawn() {
    const newest = this.context.newest();
    const aggregates = newest.aggregates().filter(({ texts }) => this.view === 'breakdowns'
      || (this.view === 'places' && texts.includes('candidate_id'))).map(({ name }) => name);
    return this.view === 'places' ? [newest.units().table, ...aggregates] : aggregates;
  }
}
