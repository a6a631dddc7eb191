// Votes over time: a step line for each candidate, votes a second below, and the table that both equal.
// All three show one answer of /api/v1/history.

import {
  byId, fill, keep, make, setAttributes, setColour, setText,
} from './dom.js';
import { partyInitials } from './palette.js';
import {
  LINES_MAX, isOverAt, lastOf, queryOf, read, until,
} from './past.js';
import { Plot, brushes, loadPlots } from './plot.js';
import { Table } from './table.js';
import {
  age, count, time, words,
} from './words.js';

const ASK_MS = 2000; // at most one question in this time
const ASK_PAST_MS = 500; // while the past is played
const RANGES = ['whole', '15', '5'];
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };

const MARKUP = `
<section class="card time-card" aria-labelledby="time-title">
  <div class="time-head">
    <h2 id="time-title" data-word="time.title"></h2>
    <fieldset class="ranges" data-label="time.range" id="time-ranges"></fieldset>
  </div>
  <p class="time-at"><span class="strong" id="time-at"></span> <span class="dim" id="time-note"></span></p>
  <ul class="time-legend" id="time-legend"></ul>
  <p class="empty" id="time-empty" hidden></p>
  <div class="plot" id="time-votes" role="slider" tabindex="0" aria-labelledby="time-title"
    aria-describedby="time-keys" aria-valuemin="0" aria-valuemax="0" aria-valuenow="0"></div>
  <p class="unseen" id="time-keys" data-word="time.keys"></p>
  <h3 class="time-rate-title" id="time-rate-title"><span data-word="time.rate"></span> <span class="strong" id="time-rate-now"></span></h3>
  <div class="plot plot-low" id="time-rate" aria-hidden="true"></div>
</section>
<section class="card table-card" aria-labelledby="times-title">
  <h2 id="times-title" data-word="time.table"></h2>
  <div id="times-table" tabindex="-1"></div>
</section>`;

const isReplay = ({ past }) => past !== null;

class TimeView {
  open(root, context) {
    this.context = context;
    this.past = null; // what is drawn
    this.lines = []; // {row, name, mark, colour} of it
    this.charts = null; // {votes, rate}, and the key of what they were made for
    this.table = null;
    this.picture = undefined;
    this.pointed = null; // place of the point that is pointed at; null: the last
    this.askedAt = -Infinity;
    this.askedFor = '';
    this.isAsking = false;
    fill(root, MARKUP);
    this.#listen();
  }

  update(picture) {
    const isOther = this.picture !== undefined && isReplay(this.picture) !== isReplay(picture);
    this.picture = picture;
    if (isOther) {
      this.#hide();
    }
    this.#want();
  }

  close() {
    window.clearTimeout(this.timer);
    this.watcher.disconnect();
    this.scheme.removeEventListener('change', this.repaint);
    document.removeEventListener('visibilitychange', this.repaint);
    this.#freeCharts();
    this.context = null; // what is still under way comes to nothing
  }

  // ---- the past ----

  // Ask, now or when it is time, unless what would come is there already.
  #want() {
    const minutes = this.#range() === 'whole' ? null : Number(this.#range());
    const { model, past } = this.picture;
    const query = queryOf(minutes, model.about.as_of_ms, past !== null);
    const key = `${query} ${model.point()} ${model.about.source}`;
    const isOther = this.askedRange !== this.#range() || this.askedReplay !== isReplay(this.picture);
    const wait = isOther ? 0 : this.askedAt + (past === null ? ASK_MS : ASK_PAST_MS) - performance.now();

    byId('time-ranges').querySelector(`[value="${this.#range()}"]`).checked = true;
    window.clearTimeout(this.timer);
    if (key === this.askedFor) {
      return;
    }
    if (wait > 0 || this.isAsking) {
      const wasPaused = this.context.pace() === Infinity; // then a reader asked
      this.timer = window.setTimeout(() => {
        if (wasPaused || this.context.pace() !== Infinity) {
          this.#want();
        }
      }, Math.max(wait, 100));
      return;
    }
    this.askedFor = key;
    this.askedRange = this.#range();
    this.askedReplay = isReplay(this.picture);
    this.askedAt = performance.now();
    this.#ask(query, this.context, this.picture);
  }

  async #ask(query, context, picture) {
    this.isAsking = true;
    try {
      const [answer] = await Promise.all([context.get(query), loadPlots()]);
      if (this.context === context && answer.epoch === picture.model.epoch
        && isReplay(picture) === isReplay(this.picture)) { // else the next question is on its way
        this.#take(answer, picture);
      }
    } catch {
      if (this.context === context) {
        this.#say(words.time.failed);
        this.askedFor = '';
        if (context.pace() !== Infinity) {
          this.#want(); // once more, when it is time
        }
      }
    } finally {
      this.isAsking = false;
    }
  }

  // Rows that are drawn keep their order; of many candidates those with the most votes are.
  #take(answer, picture) {
    const { model, people, palette, past } = picture;
    const persons = new Map(people.map((one) => [one.id, one]));
    const rows = model.rows('candidate').filter((one) => answer.rows.some(([row]) => row === one.row));
    const most = [...rows].sort((a, b) => b.votes - a.votes || a.row - b.row).slice(0, LINES_MAX);

    this.lines = rows.filter((one) => most.includes(one)).map((one) => {
      const person = persons.get(one.candidate_id);
      return {
        row: one.row, name: person.name, mark: partyInitials(person.party || person.name), colour: palette.of(person),
      };
    });
    this.left = rows.length - this.lines.length;
    const votes = new Map(model.rows('candidate').map((one) => [one.row, one.votes]));
    this.past = read(past === null ? answer : until(answer, past.asOfMs, votes), this.lines.map(({ row }) => row),
      past === null ? model.about.source === 'quiet' : isOverAt(answer, past.asOfMs));
    this.#paint();
  }

  // ---- painting ----

  #paint() {
    if (document.hidden || this.past === null) {
      return; // painted when the page is looked at again
    }
    window.cancelAnimationFrame(this.frame);
    this.frame = window.requestAnimationFrame(() => this.context !== null && this.#draw());
  }

  // Of the past nothing is drawn under newest numbers, nor the other way round.
  #hide() {
    window.cancelAnimationFrame(this.frame);
    this.past = null;
    this.pointed = null;
    this.#freeCharts();
    this.#show(false);
  }

  #show(isShown) {
    for (const id of ['time-at', 'time-note', 'time-legend', 'times-table']) {
      byId(id).hidden = !isShown;
    }
    for (const id of ['time-votes', 'time-rate', 'time-rate-title']) { // before the first vote there is no time
      byId(id).hidden = !isShown || this.past.times.length === 0;
    }
  }

  #draw() {
    const { past, lines } = this;
    const isEmpty = lastOf(past.all) === null && past.lines.every(({ values }) => lastOf(values) === null);

    this.#say(isEmpty ? words.time.none : '');
    this.#show(true);
    this.#drawCharts();
    setText(byId('time-note'), [
      past.times.length > 0 ? words.time.step(age(past.stepMs)) : '',
      this.left > 0 ? words.time.some(count(lines.length), count(lines.length + this.left)) : '',
    ].filter((text) => text !== '').join(', '));
    this.#tell();
    this.#makeTable();
    this.table.update(past.times.map((at, place) => ({ at, place })));
  }

  #drawCharts() {
    const { past } = this;
    if (past.times.length > 0) {
      this.#makeCharts();
      this.charts.votes.set(past.times, past.stepMs, past.lines.map(({ values }) => values));
      this.charts.rate.set(past.times, past.stepMs, [past.rates]);
    }
  }

  #say(text) {
    setText(byId('time-empty'), text);
    byId('time-empty').hidden = text === '';
  }

  #freeCharts() {
    this.charts?.votes.free();
    this.charts?.rate.free();
    this.charts = null;
  }

  #makeCharts() {
    const brush = brushes();
    const key = JSON.stringify([brush, this.lines]);
    if (this.charts?.key === key) {
      return;
    }
    this.#freeCharts();
    const onPoint = (place) => {
      this.pointed = place;
      this.#tell();
    };
    this.charts = {
      key,
      votes: new Plot(byId('time-votes'), this.lines, brush, onPoint),
      rate: new Plot(byId('time-rate'), [{ colour: { fill: brush.bar } }], brush, onPoint),
    };
  }

  // The values of the point that is pointed at, or of the last one.
  #tell() {
    const { past, lines } = this;
    const end = past.times.length - 1;
    const place = this.pointed === null ? end : Math.min(this.pointed, end);
    const at = time(past.times[place]);
    const values = past.lines.map((line) => count(line.values[place]));
    const rate = this.pointed === null ? lastOf(past.rates)?.value : past.rates[place];

    setText(byId('time-at'), end < 0 ? '' : (this.pointed === null ? words.time.latest : words.time.point)(at));
    keep(byId('time-legend'), lines, ({ row }) => row, () => make('li', {},
      make('span', { class: 'swatch', 'aria-hidden': 'true' }), make('span', { class: 'legend-name' }),
      make('span', { class: 'strong' })), (node, line, i) => {
      const [swatch, name, value] = node.children;
      setColour(swatch, line.colour);
      setText(swatch, line.mark);
      setText(name, line.name);
      setText(value, values[i]);
    });
    setText(byId('time-rate-now'), count(rate));
    const slider = byId('time-votes');
    if (document.activeElement === slider && this.pointed === null) {
      return; // every change would be read out
    }
    setAttributes(slider, {
      'aria-valuemax': Math.max(0, end),
      'aria-valuenow': Math.max(0, place),
      'aria-valuetext': end < 0 ? words.time.none : [at,
        ...lines.map((line, i) => words.time.value(line.name, values[i]))].join(', '),
    });
  }

  #makeTable() {
    const key = JSON.stringify(this.lines);
    if (this.tableKey === key && this.table !== null) {
      return;
    }
    this.tableKey = key;
    this.table = new Table(byId('times-table'), {
      name: 'times',
      columns: [
        {
          id: 'at', title: words.time.at, isNumber: true, className: 'time-column', value: (point) => point.at,
          copied: (point) => time(point.at), paint: (cell, point) => setText(cell, time(point.at)),
        },
        ...this.lines.map((line, i) => this.#column(`row${line.row}`, line.name, () => this.past.lines[i].values)),
        this.#column('rate', words.time.rate, () => this.past.rates),
      ],
      keyOf: (point) => point.at,
      sort: 'at',
      isAscending: false,
      empty: words.time.none,
    }, this.context.settings);
  }

  #column(id, title, valuesOf) {
    const value = (point) => valuesOf()[point.place] ?? null;
    return {
      id, title, isNumber: true, value, paint: (cell, point) => setText(cell, count(value(point))),
    };
  }

  // ---- what a reader does ----

  #range() {
    return this.context.settings.choice('range', RANGES, RANGES[0]);
  }

  #listen() {
    const ranges = byId('time-ranges');
    ranges.append(...RANGES.map((one) => make('label', {},
      make('input', { type: 'radio', name: 'range', value: one }), make('span', {}, words.time.ranges[one]))));
    ranges.addEventListener('change', ({ target }) => this.context.settings.set({ range: target.value }));
    byId('time-votes').addEventListener('keydown', (event) => this.#key(event));
    byId('time-votes').addEventListener('blur', () => this.charts?.votes.leave());
    // Colours and sizes are drawn, so they do not follow the rules by themselves.
    this.repaint = () => this.#paint();
    this.watcher = new MutationObserver(this.repaint);
    this.watcher.observe(document.documentElement, { attributes: true });
    this.scheme = window.matchMedia('(prefers-color-scheme: dark)');
    this.scheme.addEventListener('change', this.repaint);
    document.addEventListener('visibilitychange', this.repaint);
  }

  #key(event) {
    const end = (this.past?.times.length ?? 0) - 1;
    if (end < 0) {
      return;
    }
    if (event.key === 'Enter') {
      byId('times-table').focus();
      byId('times-table').scrollIntoView({ block: 'nearest' });
    } else if (event.key in STEPS) {
      const place = Math.max(0, Math.min((this.pointed ?? end) + STEPS[event.key], end));
      this.charts.votes.point(place);
    } else {
      return;
    }
    event.preventDefault();
  }
}

export const view = new TimeView();
