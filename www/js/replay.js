// The bar of the past: what is shown is the picture of a moment instead of the newest one, until the
// reader goes back. The moment is in the address; without one there the bar is gone.

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
  <button type="button" class="button" id="replay-play"></button>
  <select id="replay-speed" data-label="replay.speed"></select>
  <input type="range" class="replay-slider" id="replay-slider" step="1" data-label="replay.slider">
  <input type="datetime-local" id="replay-jump" step="1" data-label="replay.jump">
  <button type="button" class="button" id="replay-leave" data-word="replay.leave"></button>
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
  //   leave()         take it out
  constructor(context) {
    this.context = context;
    this.player = new Player({
      get: context.get,
      setTimeout: window.setTimeout.bind(window),
      clearTimeout: window.clearTimeout.bind(window),
      now: () => performance.now(),
    }, (answer, at) => this.#take(answer, at), () => this.#paint());
    this.isOn = false;
    this.jumps = 0; // how often another moment than the next was asked for
    this.wroteAt = -Infinity;
    this.frame = null;
    this.#build();
  }

  // The address asks for this moment.
  go(at) {
    const isNew = !this.isOn;
    if (isNew) {
      this.isOn = true;
      this.epoch = null; // that the moments are known of, or asked for
      this.isReady = false; // they are known
      this.isWaiting = false;
      this.from = null; // the first of them, if only of an earlier epoch
      this.past = null;
      this.answer = null;
      this.partial = []; // tables of which it does not know every row
      this.hasFailed = false;
      this.bar.hidden = false;
      document.body.classList.add('is-past');
    }
    if (isNew || at !== this.written) {
      this.#seek(at);
    }
    this.written = at;
    this.changed();
  }

  // The newest picture is shown again.
  end() {
    this.isOn = false;
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
    if (at !== this.written) {
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
      if (player.isPlaying) {
        player.pause();
        this.#write(player.at);
      } else {
        this.jumps += 1;
        player.play();
      }
    });
    byId('replay-speed').addEventListener('change', ({ target }) => player.setSpeed(Number(target.value)));
    byId('replay-slider').addEventListener('input', ({ target }) => this.#seek(Number(target.value) * 1000));
    byId('replay-slider').addEventListener('keydown', (event) => this.#key(event));
    byId('replay-jump').addEventListener('change', ({ target }) => {
      const at = new Date(target.value).getTime();
      if (at >= 0) {
        this.#seek(Math.min(at, player.to));
      }
    });
    byId('replay-jump').addEventListener('blur', () => this.#paint());
    byId('replay-leave').addEventListener('click', () => this.context.leave());
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
      this.#seek(Math.max(from, Math.min(target, to)));
    }
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
    setText(byId('replay-play'), player.isPlaying ? words.replay.pause : words.replay.play);
    for (const control of [slider, byId('replay-play'), byId('replay-jump')]) {
      control.disabled = !isKnown;
    }
    if (isKnown) {
      slider.min = Math.floor(player.from / 1000);
      slider.max = Math.floor(player.to / 1000);
      slider.value = Math.floor(player.at / 1000);
      if (!player.isPlaying || document.activeElement !== slider) { // else every picture would be read out
        setAttributes(slider, { 'aria-valuetext': moment(past?.asOfMs ?? player.at) });
      }
      if (document.activeElement !== byId('replay-jump')) {
        byId('replay-jump').value = fieldOf(player.at);
      }
    }
    this.#note();
  }

  // What the open view lacks of this moment.
  #note() {
    const text = this.#said();
    byId('replay-note').hidden = text === '';
    setText(byId('replay-note'), text);
  }

  #said() {
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
