// The reporting units: who leads where, as cells of one size or on the map; the one that is chosen; and
// all of them in a table.

import { Cells, describe, markOf } from './cells.js';
import { Changes } from './changes.js';
import { drawBars } from './charts.js';
import {
  byId, fill, keep, make, setCell, setColour, setFill, setText,
} from './dom.js';
import { gridOf } from './grid.js';
import { OTHERS, partyInitials } from './palette.js';
import { Table } from './table.js';
import { tallyOf, unitsOf } from './units.js';
import {
  change, count, isolate, ofRegister, percent, signed, tenths, time, words,
} from './words.js';

const CELLS_MAX = 200; // more are told by the table alone
const LEADERS_MAX = 6;

const MARKUP = `
<section class="card where-card" id="places-where" aria-labelledby="places-where-title">
  <div class="card-head"><h2 id="places-where-title" data-word="places.where"></h2>
    <div class="switch" id="places-as" role="group" data-label="places.as">
      <button type="button" class="button" value="cells" data-word="places.cells"></button>
      <button type="button" class="button" value="map" data-word="places.map"></button>
    </div></div>
  <ul class="leaders" id="places-leaders"></ul>
  <div class="atlas" id="places-atlas">
    <div class="map-root" id="places-map"></div>
    <ul class="cells" id="places-cells" role="listbox" data-label="places.list"></ul>
  </div>
  <p class="note" id="places-unshaped" hidden></p>
  <ul class="strengths" id="places-strengths">
    <li><span class="cell-key" data-strength="0"></span> <span data-word="places.noData"></span></li>
    <li><span class="cell-key" data-strength="1"></span> <span data-word="places.low"></span></li>
    <li><span class="cell-key" data-strength="2"></span> <span data-word="places.middle"></span></li>
    <li><span class="cell-key" data-strength="3"></span> <span data-word="places.high"></span></li>
  </ul>
</section>
<div class="aside" id="places-aside">
<section class="card one-card" aria-labelledby="places-one">
  <h2 id="places-one"></h2>
  <p class="note" id="places-one-note"></p>
  <dl class="pairs" id="places-one-numbers">
    <div><dt data-word="places.votes"></dt><dd id="places-one-votes"></dd></div>
    <div><dt data-word="places.registered"></dt><dd id="places-one-registered"></dd></div>
    <div><dt data-word="places.turnout"></dt><dd id="places-one-turnout"></dd></div>
  </dl>
  <ol class="bars" id="places-one-bars"></ol>
  <p class="note" id="places-one-versus" hidden></p>
</section>
<section class="card changes-card" aria-labelledby="places-changes-title">
  <div class="card-head"><h2 id="places-changes-title" data-word="places.changes"></h2>
    <label class="search"><span data-word="table.filter"></span> <input type="search" id="places-changes-filter" maxlength="60" autocomplete="off" spellcheck="false"></label></div>
  <div class="changes-scroller" id="places-changes-scroller" tabindex="0" role="group" aria-labelledby="places-changes-title">
    <ol class="changes" id="places-changes"></ol>
    <p class="note" id="places-changes-note"></p>
  </div>
</section>
</div>
<section class="card places-card" aria-labelledby="places-title">
  <h2 id="places-title" data-word="places.title"></h2>
  <div id="places-table"></div>
</section>`;

let settings = null;
let table = null;
let cells = null;
let map = null; // {svg, list} once it is there
let mapModule = null;
let last = null; // {picture, units}: made once for each picture
let most = 0; // votes of the unit with most
let palette = null; // of the picture that is painted
let baseline = null; // the same

const live = new Changes(); // kept while other views are open: the next look tells what came meanwhile
const played = new Changes(); // of the past, from the moment on that it is played from
let changes = live; // of the picture that is painted

const choose = (name) => settings.set({ place: name });

const COLUMNS = [
  {
    id: 'state',
    value: (unit) => unit.name,
    create: () => {
      const button = make('button', { type: 'button', class: 'link' });
      button.addEventListener('click', () => choose(button.textContent));
      return [button];
    },
    paint: (cell, unit) => {
      setText(cell.firstChild, unit.name);
      cell.parentNode.classList.toggle('is-chosen', unit.name === settings.get('place'));
    },
  },
  {
    id: 'votes',
    isNumber: true,
    className: 'metered strong',
    value: (unit) => unit.votes,
    create: () => [make('span', { class: 'meter', 'aria-hidden': 'true' }, make('span', { class: 'meter-fill' })),
      make('span')],
    paint: (cell, unit) => {
      setCell(cell.lastChild, count(unit.votes));
      setFill(cell.firstChild.firstChild, most > 0 ? unit.votes / most : 0);
    },
  },
  {
    id: 'registered',
    isNumber: true,
    className: 'dim',
    value: (unit) => unit.registered,
    paint: (cell, unit) => setText(cell, count(unit.registered)),
  },
  {
    id: 'turnout',
    isNumber: true,
    value: (unit) => (unit.registered > 0 ? unit.votes / unit.registered : null),
    copied: (unit) => ofRegister(unit.turnout),
    paint: (cell, unit) => setCell(cell, ofRegister(unit.turnout)),
  },
  {
    id: 'leader',
    className: 'leads',
    value: (unit) => unit.leader?.name ?? null,
    copied: (unit) => unit.leader?.name ?? (unit.isTied ? words.tie : null),
    create: () => [make('span', { class: 'swatch', 'aria-hidden': 'true' }), make('span', { class: 'leads-name', dir: 'auto' })],
    paint: (cell, unit) => {
      const [swatch, name] = cell.children;
      cell.classList.toggle('is-none', unit.leader === null);
      setColour(cell, palette.ofUnit(unit));
      setText(swatch, unit.leader === null ? '' : markOf(unit));
      setCell(name, unit.leader?.name ?? (unit.isTied ? words.tie : '–'));
    },
  },
  {
    id: 'share',
    isNumber: true,
    value: (unit) => unit.share,
    copied: (unit) => percent(unit.share),
    paint: (cell, unit) => setCell(cell, percent(unit.share)),
  },
];

// How the share of who leads has changed; there only with a baseline.
const VERSUS = {
  id: 'versus',
  isNumber: true,
  value: (unit) => (unit.leader === null ? null : baseline.change(unit.leader, unit.name)),
  copied: (unit) => tenths(VERSUS.value(unit)),
  paint: (cell, unit) => setCell(cell, change(VERSUS.value(unit))),
};

// Made when it can be said which columns it has.
function makeTable() {
  const versus = baseline === null ? [] : [{ ...VERSUS, title: words.versus(baseline.label) }];
  const columns = [...COLUMNS.map((column) => ({ ...column, title: words.places[column.id] })), ...versus];
  if (table?.shape.columns.at(-1).title !== columns.at(-1).title) {
    table = new Table(byId('places-table'), {
      name: 'places',
      columns,
      keyOf: (unit) => unit.row,
      sort: 'votes',
      isAscending: false,
      empty: words.noPlaces,
    }, settings);
  }
}

function unitsFor(picture) {
  if (last?.picture !== picture) {
    const { model, people } = picture;
    const { table: name, text } = model.units();
    last = { picture, units: unitsOf(model.rows(name), model.rowsBy(text, 'candidate_id'), text, people) };
    changes = picture.past === null ? live : played;
    changes.take(`${model.epoch} ${picture.past?.jumps ?? ''}`, last.units, picture.past?.asOfMs ?? Date.now());
  }
  return last.units;
}

function drawLeaders(units) {
  const tally = tallyOf(units);
  keep(byId('places-leaders'), tally.slice(0, LEADERS_MAX), ({ leader }) => leader.id,
    () => make('li', {}, make('span', { class: 'swatch', 'aria-hidden': 'true' }), make('span')),
    (node, { leader, count: led }) => {
      setColour(node, palette.of(leader));
      setText(node.firstChild, partyInitials(leader.party || leader.name));
      setText(node.lastChild, words.places.leadsIn(leader.name, count(led), led));
    });
}

function noteOf(one, unit) {
  const changed = baseline?.change(one, unit.name) ?? null;
  return `${isolate(partyInitials(one.party || one.name))} · ${percent(one.share)}${changed === null ? '' : ` · ${change(changed)}`}`;
}

function drawOne(units) {
  const unit = units.find(({ name }) => name === settings.get('place')) ?? null;
  const top = unit?.list[0]?.votes ?? 0;
  setText(byId('places-one'), unit?.name ?? words.places.choose);
  setText(byId('places-one-note'), unit === null ? words.places.chooseHelp : describe(unit));
  byId('places-one-numbers').hidden = unit === null;
  setText(byId('places-one-votes'), count(unit?.votes));
  setText(byId('places-one-registered'), count(unit?.registered));
  setText(byId('places-one-turnout'), ofRegister(unit?.turnout ?? null));
  drawBars(byId('places-one-bars'), (unit?.list ?? []).map((one) => ({
    key: one.id,
    label: one.name,
    value: count(one.votes),
    note: noteOf(one, unit),
    part: top > 0 ? one.votes / top : 0,
    colour: palette.of(one),
  })));
  byId('places-one-versus').hidden = unit === null || baseline === null;
  setText(byId('places-one-versus'), baseline === null ? '' : words.pointsVersus(baseline.label));
}

function leadText({ from, to, isLed }) {
  if (!isLed) {
    return '';
  }
  if (to === null) {
    return from === null ? words.places.noLead : words.places.leadLost(from.name);
  }
  if (from?.id !== to.id) {
    return words.places.leadTaken(to.name, count(to.by));
  }
  return from.by === to.by
    ? words.places.leadKept(to.name, count(to.by))
    : words.places.leadMoved(to.name, count(from.by), count(to.by));
}

function drawChanges() {
  const sought = (settings.get('changes') ?? '').trim().toLocaleLowerCase();
  const list = changes.list.filter(({ name }) => name.toLocaleLowerCase().includes(sought));
  const filter = byId('places-changes-filter');
  if (document.activeElement !== filter) {
    filter.value = settings.get('changes') ?? '';
  }
  keep(byId('places-changes'), list, ({ key }) => key,
    () => make('li', { class: 'change' }, make('span', { class: 'change-name', dir: 'auto' }),
      make('span', { class: 'change-votes' }), make('span', { class: 'change-lead' }), make('time')),
    (node, change) => {
      const [name, votes, lead, at] = node.children;
      setText(name, change.name);
      setText(votes, signed(change.votes));
      setText(lead, leadText(change));
      setText(at, time(change.at));
    });
  setText(byId('places-changes-note'), changes.earlier !== 0 && sought === ''
    ? words.places.earlier(signed(changes.earlier))
    : list.length > 0 ? '' : changes === live ? words.places.noChanges : words.places.noChangesPast);
}

// Nothing of the map is fetched before it is asked for.
function askForMap() {
  if (mapModule === null) {
    mapModule = import('./map.js');
    mapModule.then(async (module) => {
      const list = await module.shapes();
      map = { list, module, svg: module.createMap(choose) };
      if (last !== null && byId('places-map')) {
        view.update(last.picture);
      }
    }).catch(() => {
      mapModule = null; // asking again tries again
      const root = byId('places-map');
      root?.replaceChildren(make('p', { class: 'empty', role: 'alert' }, words.viewFailed));
    });
  }
}

function drawMap(units, how) {
  const root = byId('places-map');
  const note = byId('places-unshaped');
  note.hidden = true;
  if (!how.isList) {
    return;
  }
  if (map === null) {
    askForMap();
    return;
  }
  if (map.svg.parentNode !== root) {
    root.replaceChildren(map.svg);
  }
  const unshaped = map.module.drawMap(map.svg, map.list, units, how);
  note.hidden = unshaped.length === 0;
  setText(note, words.places.unshaped(unshaped.map(isolate).join(', ')));
}

function drawWhere(units) {
  const isMany = units.length > CELLS_MAX;
  const grid = isMany ? null : gridOf(units.map(({ name }) => name));
  const as = grid === null ? 'cells' : settings.choice('as', ['cells', 'map'], 'cells');
  const how = { isList: as === 'map', chosen: settings.get('place'), palette };
  for (const button of byId('places-as').children) {
    button.setAttribute('aria-pressed', String(button.value === as));
  }
  byId('places-as').hidden = grid === null;
  byId('places-where').hidden = isMany || units.length === 0;
  byId('places-aside').hidden = units.length === 0;
  byId('places-atlas').classList.toggle('has-map', how.isList);
  byId('places-map').hidden = !how.isList;
  cells.update(isMany ? [] : units, grid, how);
  drawMap(units, how);
  drawLeaders(units);
}

export const view = {
  open(root, context) {
    settings = context.settings;
    last = null;
    fill(root, MARKUP);
    for (const key of root.querySelectorAll('.cell-key')) {
      setColour(key, OTHERS);
    }
    cells = new Cells(byId('places-cells'), choose);
    byId('places-changes-filter').addEventListener('input', ({ target }) => settings.set(
      { changes: target.value || null },
    ));
    byId('places-as').addEventListener('click', ({ target }) => settings.set(
      { as: target.value === 'map' ? 'map' : null },
    ));
    table = null;
  },

  update(picture) {
    const units = unitsFor(picture);
    ({ palette, baseline } = picture);
    most = units.reduce((top, unit) => Math.max(top, unit.votes), 0);
    drawWhere(units);
    drawOne(units);
    drawChanges();
    makeTable();
    table.update(units, picture.jumps);
  },
};
