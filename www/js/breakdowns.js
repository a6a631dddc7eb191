// Votes by party, gender, age group and city: one list of bars each, with its numbers beside it.

import { drawBars } from './charts.js';
import { byId, fill } from './dom.js';
import { partyInitials } from './palette.js';
import { shares } from './shares.js';
import { count, percent, words } from './words.js';

const CITIES = 10;

const card = (id) => `
<section class="card ${id}-card" aria-labelledby="by-${id}-title">
  <h2 id="by-${id}-title" data-word="breakdowns.${id}"></h2>
  <ol class="bars" id="by-${id}"></ol>
  <p class="empty" id="by-${id}-empty" data-word="noRows"></p>
</section>`;

function byVotes(a, b) {
  return b.votes - a.votes || a.label.localeCompare(b.label);
}

// Groups in the order of their lower age: "under 18" first, "75+" last, what is no age at the end.
function byAge(a, b) {
  return ageOf(a.label) - ageOf(b.label) || a.label.localeCompare(b.label);
}

function ageOf(label) {
  if (label.startsWith('under')) {
    return -1;
  }
  const age = Number.parseInt(label, 10);
  return Number.isNaN(age) ? Infinity : age;
}

function draw(id, rows, colourOf) {
  const top = rows.reduce((most, row) => Math.max(most, row.votes), 0);
  const dealt = shares(rows.map((row) => row.votes));
  byId(`${id}-empty`).hidden = rows.length > 0;
  drawBars(byId(id), rows.map((row, i) => ({
    key: row.row,
    label: row.label,
    value: count(row.votes),
    note: percent(row.share ?? dealt[i]),
    part: top > 0 ? row.votes / top : 0,
    colour: colourOf ? colourOf(row) : null,
  })));
}

// Shares are those of all cities, also of the ones that are not shown.
function drawCities(rows) {
  const dealt = shares(rows.map((row) => row.votes));
  draw('by-city', rows.slice(0, CITIES).map((row, i) => ({ ...row, share: dealt[i] })));
}

export const view = {
  open(root) {
    fill(root, ['age', 'gender', 'party', 'city'].map(card).join(''));
  },

  update({ model, palette }) {
    const read = (table, text) => model.rows(table).map((row) => ({
      row: row.row, votes: row.votes, label: row[text] ?? words.unknown,
    }));
    const genders = read('gender', 'gender')
      .map((row) => ({ ...row, label: words.gender[row.label] ?? row.label }));
    draw('by-age', read('age_group', 'age_group').sort(byAge));
    draw('by-gender', genders.sort(byVotes));
    draw('by-party', read('party', 'party_affiliation').sort(byVotes).slice(0, CITIES)
      .map((row) => ({ ...row, mark: partyInitials(row.label) })),
    (row) => palette.ofParty(row.label));
    drawCities(read('city', 'city').sort(byVotes));
  },
};
