// Turnout by state, and who leads there.

import {
  fill, make, setColour, setFill, setText,
} from './dom.js';
import { partyInitials } from './palette.js';
import { standing, turnout } from './shares.js';
import { Table } from './table.js';
import { count, percent, words } from './words.js';

const MARKUP = `
<section class="card places-card" aria-labelledby="places-title">
  <h2 id="places-title" data-word="places.title"></h2>
  <div id="places-table"></div>
</section>`;

let table = null;
let palette = null; // of the picture that is painted
let most = 0; // votes of the place with most

const COLUMNS = [
  { id: 'state', value: (place) => place.state },
  {
    id: 'votes',
    isNumber: true,
    className: 'metered strong',
    value: (place) => place.votes,
    create: () => [make('span', { class: 'meter', 'aria-hidden': 'true' }, make('span', { class: 'meter-fill' })),
      make('span')],
    paint: (cell, place) => {
      setText(cell.lastChild, count(place.votes));
      setFill(cell.firstChild.firstChild, most > 0 ? place.votes / most : 0);
    },
  },
  {
    id: 'registered',
    isNumber: true,
    className: 'dim',
    value: (place) => place.registered,
    paint: (cell, place) => setText(cell, count(place.registered)),
  },
  {
    id: 'turnout',
    isNumber: true,
    value: (place) => (place.registered > 0 ? place.votes / place.registered : null),
    paint: (cell, place) => setText(cell, percent(place.turnout)),
  },
  {
    id: 'leader',
    className: 'leads',
    value: (place) => place.leader?.name ?? null,
    create: () => [make('span', { class: 'swatch', 'aria-hidden': 'true' }), make('span', { class: 'leads-name' }),
      make('span', { class: 'leads-share' })],
    paint: paintLeader,
  },
];

function paintLeader(cell, { leader, isTied, share }) {
  const [swatch, name, part] = cell.children;
  cell.classList.toggle('is-none', leader === null);
  if (leader !== null) {
    setColour(cell, palette.of(leader));
  }
  setText(swatch, leader === null ? '' : partyInitials(leader.party || leader.name));
  setText(name, leader?.name ?? (isTied ? words.tie : '–'));
  setText(part, percent(share));
}

function placesOf(model, people) {
  const byId = new Map(people.map((one) => [one.id, one]));
  const cells = new Map();
  for (const cell of model.rows('state_candidate')) {
    const known = byId.get(cell.candidate_id) ?? { id: cell.candidate_id, name: cell.candidate_id ?? '', party: '' };
    cells.set(cell.state, [...(cells.get(cell.state) ?? []), { ...known, votes: cell.votes }]);
  }
  return model.rows('state').map((row) => {
    const { leaders, total } = standing(cells.get(row.state) ?? []);
    return {
      ...row,
      turnout: turnout(row.votes, row.registered),
      leader: leaders.length === 1 ? leaders[0] : null,
      isTied: leaders.length > 1,
      share: total > 0 && leaders.length > 0 ? leaders[0].share : null,
    };
  });
}

export const view = {
  open(root, { settings }) {
    fill(root, MARKUP);
    table = new Table(root.querySelector('#places-table'), {
      name: 'places',
      columns: COLUMNS.map((column) => ({ ...column, title: words.places[column.id] })),
      keyOf: (place) => place.row,
      sort: 'votes',
      isAscending: false,
      empty: words.noPlaces,
    }, settings);
  },

  update(picture) {
    const places = placesOf(picture.model, picture.people);
    palette = picture.palette;
    most = places.reduce((top, place) => Math.max(top, place.votes), 0);
    table.update(places);
  },
};
