// Every aggregate that the topology publishes, as bars with their numbers or as a table, from nothing
// but the names of its columns.

import { drawBars, drawColumns } from './charts.js';
import {
  byId, fill, keep, make, setCell, setText,
} from './dom.js';
import { breakdown } from './groups.js';
import { partyInitials } from './palette.js';
import { shares } from './shares.js';
import { Table } from './table.js';
import {
  count, isolate, percent, wordOf, words,
} from './words.js';

const MARKUP = `
<p class="empty" id="groups-empty" data-word="breakdowns.none" hidden></p>
<div class="groups" id="groups"></div>`;

const CARD = `
<div class="card-head"><h2></h2>
  <button type="button" class="button" aria-pressed="false" data-word="breakdowns.table"></button></div>
<div class="panels"></div>
<div class="group-table" hidden></div>
<p class="empty" data-word="noRows"></p>`;

const FAR_GROUPS_MAX = 7; // bars of a panel that is read from the last row

let settings = null;
let made = 0; // cards ever made: names come from outside and are no ids
let picture = null;
let tables = null; // by card: {table, texts}

// "age_group" as "Age group".
function spoken(name) {
  const text = name.replaceAll(/[_-]/g, ' ');
  return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}

const titleOf = (text) => wordOf(words.texts, text) ?? spoken(text);

function personOf(id) {
  return picture.people.find((one) => one.id === id);
}

// What a value is called.
function say(text, value) {
  if (value === null) {
    return words.unknown;
  }
  if (text === 'candidate_id') {
    return personOf(value)?.name ?? value;
  }
  return (text === 'gender' ? wordOf(words.gender, value) : null) ?? value;
}

function colourOf(text, value) {
  if (value !== null && text === 'party_affiliation') {
    return picture.palette.ofParty(value);
  }
  const person = text === 'candidate_id' ? personOf(value) : undefined;
  return person ? picture.palette.of(person) : null;
}

const labelOf = (texts, values) => values.map((value, i) => say(texts[i], value)).join(' · ');

// A party's bar says its initials too: never colour alone.
function markOf(text, value) {
  const party = text === 'candidate_id' ? personOf(value)?.party : value;
  return colourOf(text, value) && party ? `${isolate(partyInitials(party))} · ` : '';
}

function barsOf({ groups, others, values: outer }, { texts, divider, most }) {
  const part = (votes) => (most > 0 ? votes / most : 0);
  const colour = (values) => (texts.length === 1 && colourOf(texts[0], values[0]))
    || (divider !== null && colourOf(divider, outer[0])) || null;
  const bars = groups.map(({ key, values, votes, share }) => ({
    key,
    label: labelOf(texts, values),
    value: count(votes),
    note: `${texts.length === 1 ? markOf(texts[0], values[0]) : ''}${percent(share)}`,
    part: part(votes),
    colour: colour(values),
  }));
  if (others) {
    bars.push({
      key: 'others',
      label: words.breakdowns.others(count(others.count)),
      value: count(others.votes),
      note: percent(others.share),
      part: null, // of many groups in one no bar can be compared with
      colour: null,
    });
  }
  return bars;
}

function createPanel() {
  return make('div', { class: 'panel' },
    make('h3', {}, make('span', { class: 'panel-name' }), ' ', make('span', { class: 'panel-note' })),
    make('ol', { class: 'bars' }), make('div', { class: 'columns' }));
}

function drawPanel(node, panel, shape) {
  const [head, bars, columns] = node.children;
  const isBars = shape.kind === 'bars';
  head.hidden = shape.divider === null;
  if (shape.divider !== null) {
    setText(head.children[0], say(shape.divider, panel.values[0]));
    setText(head.children[1],
      `${markOf(shape.divider, panel.values[0])}${count(panel.votes)} · ${percent(panel.share)}`);
  }
  bars.hidden = !isBars;
  columns.hidden = isBars;
  drawBars(bars, isBars ? barsOf(panel, shape) : []);
  if (!isBars) {
    drawColumns(columns, barsOf(panel, shape), words.breakdowns.columns(titleOf(shape.texts[0])));
  }
}

function drawPanels(root, shape) {
  root.classList.toggle('is-many', shape.panels.length > 1);
  keep(root, shape.panels, (panel) => panel.key, createPanel,
    (node, panel) => drawPanel(node, panel, shape));
}

function columnsOf({ texts }) {
  return [
    ...texts.map((text) => ({
      id: text, title: titleOf(text), value: (row) => (row[text] === null ? null : say(text, row[text])),
      copied: (row) => say(text, row[text]),
      paint: (cell, row) => setText(cell, say(text, row[text])),
    })),
    {
      id: 'votes', title: words.breakdowns.votes, isNumber: true, className: 'strong',
      value: (row) => row.votes, paint: (cell, row) => setCell(cell, count(row.votes)),
    },
    {
      id: 'share', title: words.breakdowns.share, isNumber: true, value: (row) => row.votes,
      copied: (row) => percent(row.share), paint: (cell, row) => setText(cell, percent(row.share)),
    },
  ];
}

// Made when it is first asked for, and anew when a text was met that nobody knew.
function drawTable(card, root, shape, rows) {
  const texts = shape.texts.join('/');
  if (tables.get(card)?.texts !== texts) {
    const table = new Table(root, {
      name: card.id,
      columns: columnsOf(shape),
      keyOf: (row) => row.row,
      sort: 'votes',
      isAscending: false,
      empty: words.noRows,
    }, settings.of(shape.name));
    tables.set(card, { table, texts });
  }
  const dealt = shares(rows.map((row) => row.votes));
  tables.get(card).table.update(rows.map((row, i) => ({ ...row, share: dealt[i] })), picture.jumps);
}

const shownAsTables = () => (settings.get('tables') ?? '').split(',').filter((name) => name !== '');

// The card takes another place: what was worked stays in sight.
function toggle(name, card) {
  const names = shownAsTables();
  const next = names.includes(name) ? names.filter((one) => one !== name) : [...names, name];
  settings.set({ tables: next.length > 0 ? next.join(',') : null });
  card.scrollIntoView({ block: 'nearest' });
}

function createCard({ name }) {
  made += 1;
  const id = `group-${made}`;
  const card = make('section', { class: 'card group', id, 'aria-labelledby': `${id}-title` });
  fill(card, CARD);
  card.querySelector('h2').id = `${id}-title`;
  card.querySelector('button').setAttribute('aria-describedby', `${id}-title`);
  card.querySelector('button').addEventListener('click', () => toggle(name, card));
  return card;
}

function drawCard(card, shape) {
  const [head, panels, table, empty] = card.children;
  const rows = shape.isPartial ? [] : picture.model.rows(shape.name); // no shares of a part
  const isFar = document.documentElement.dataset.size === 'projector';
  const isTable = rows.length > 0 && !isFar && shownAsTables().includes(shape.name);
  const drawn = breakdown(shape.texts, rows, isFar ? FAR_GROUPS_MAX : undefined);
  setText(head.children[0], wordOf(words.tables, shape.name) ?? shape.title);
  head.children[1].setAttribute('aria-pressed', String(isTable));
  head.children[1].disabled = rows.length === 0;
  card.classList.toggle('is-wide', drawn.divider !== null || drawn.kind === 'columns');
  panels.hidden = isTable || rows.length === 0;
  table.hidden = !isTable;
  empty.hidden = rows.length > 0 && (isTable || drawn.hidden === 0);
  const lack = shape.isPartial ? words.notWhole : words.noRows;
  setText(empty, rows.length === 0 ? lack : words.breakdowns.hidden(count(drawn.hidden)));
  if (isTable) {
    drawTable(card, table, shape, rows);
  } else {
    drawPanels(panels, drawn);
  }
}

export const view = {
  open(root, context) {
    settings = context.settings;
    tables = new Map();
    fill(root, MARKUP);
  },

  update(now) {
    picture = now;
    const shapes = picture.model.aggregates();
    byId('groups-empty').hidden = shapes.length > 0;
    keep(byId('groups'), shapes, ({ name }) => name, createCard, drawCard);
  },
};
