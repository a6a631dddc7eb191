// Turnout by state: sorted or not, by any column, in pages. The address carries the view.

import { byId, keep, make, setColour, setFill, setText } from './dom.js';
import { partyInitials } from './palette.js';
import { standing, turnout } from './shares.js';
import { count, percent, words } from './words.js';

const RERANK_MS = 5000; // rows change places by themselves at most this often
const COLUMNS = ['state', 'votes', 'registered', 'turnout', 'leader'];
const SIZES = [10, 25, 50, 100];
const START = { isSorted: true, sort: 'votes', isAscending: false, size: 10, page: 1 };

export class Places {
  constructor(onChange) {
    this.onChange = onChange;
    this.view = readView();
    this.order = [];
    this.rankedAt = -Infinity;
    this.#listen();
  }

  // 'rows' of the table state, 'cells' of state_candidate.
  paint(rows, cells, candidates, palette) {
    this.places = rows.map((row) => placeOf(row));
    this.#addLeaders(cells, candidates);
    this.palette = palette;
    this.#draw(false);
  }

  #addLeaders(cells, candidates) {
    const people = new Map(candidates.map((one) => [one.id, one]));
    const byState = new Map();
    for (const cell of cells) {
      const list = byState.get(cell.state) ?? [];
      const known = people.get(cell.candidate_id);
      list.push({ ...(known ?? { name: cell.candidate_id ?? '', party: '' }), id: cell.candidate_id, votes: cell.votes });
      byState.set(cell.state, list);
    }
    for (const place of this.places) {
      const { leaders, total } = standing(byState.get(place.state) ?? []);
      place.leader = leaders.length === 1 ? leaders[0] : null;
      place.isTied = leaders.length > 1;
      place.share = total > 0 && leaders.length > 0 ? leaders[0].share : null;
    }
  }

  #draw(isAsked) {
    const now = performance.now();
    if (isAsked || now - this.rankedAt >= RERANK_MS || this.order.length !== this.places.length) {
      this.order = this.#ranked().map((place) => place.row);
      this.rankedAt = now;
    }
    const byRow = new Map(this.places.map((place) => [place.row, place]));
    const pages = Math.max(1, Math.ceil(this.order.length / this.view.size));
    const page = Math.min(this.view.page, pages);
    const first = (page - 1) * this.view.size;
    const shown = this.order.slice(first, first + this.view.size).map((row) => byRow.get(row));
    this.#rows(shown);
    this.#controls(page, pages, first, shown.length);
  }

  #ranked() {
    const { isSorted, sort, isAscending } = this.view;
    const list = [...this.places];
    if (!isSorted) {
      return list;
    }
    const sign = isAscending ? 1 : -1;
    const valueOf = {
      state: (place) => place.state,
      leader: (place) => place.leader?.name ?? null,
      votes: (place) => place.votes,
      registered: (place) => place.registered,
      turnout: (place) => (place.registered > 0 ? place.votes / place.registered : null),
    }[sort];
    return list.sort((a, b) => {
      const [left, right] = [valueOf(a), valueOf(b)];
      if (left === null || right === null) { // what is not known comes last either way
        return (left === null) - (right === null) || a.state.localeCompare(b.state);
      }
      const order = typeof left === 'number' ? left - right : left.localeCompare(right);
      return sign * order || a.state.localeCompare(b.state);
    });
  }

  #rows(shown) {
    const top = this.places.reduce((most, place) => Math.max(most, place.votes), 0);
    byId('places-empty').hidden = this.places.length > 0;
    keep(byId('places-body'), shown, (place) => place.row, createRow, (node, place) => {
      const [state, votes, registered, turn, leader] = node.children;
      const { colour, mark, name, share } = this.#leaderOf(place);
      setText(state, place.state);
      setText(votes.lastChild, count(place.votes));
      setFill(votes.firstChild.firstChild, top > 0 ? place.votes / top : 0);
      setText(registered, count(place.registered));
      setText(turn, percent(place.turnout));
      const [swatch, label, part] = leader.children;
      leader.classList.toggle('is-none', colour === null);
      if (colour !== null) {
        setColour(leader, colour);
      }
      setText(swatch, mark);
      setText(label, name);
      setText(part, share);
    });
  }

  #leaderOf(place) {
    if (place.leader !== null) {
      return {
        colour: this.palette.of(place.leader),
        mark: partyInitials(place.leader.party || place.leader.name),
        name: place.leader.name,
        share: percent(place.share),
      };
    }
    return {
      colour: null, mark: '', name: place.isTied ? words.tie : '–', share: percent(place.share),
    };
  }

  #controls(page, pages, first, shown) {
    const { isSorted, sort, isAscending, size } = this.view;
    byId('places-sorted').checked = isSorted;
    byId('places-sort').value = sort;
    byId('places-sort').disabled = !isSorted;
    byId('places-direction').disabled = !isSorted;
    setText(byId('places-direction'), isAscending ? words.ascending : words.descending);
    byId('places-direction').dataset.direction = isAscending ? 'up' : 'down';
    byId('places-size').value = String(size);
    byId('places-previous').disabled = page <= 1;
    byId('places-next').disabled = page >= pages;
    byId('places-page').max = String(pages);
    if (document.activeElement !== byId('places-page')) {
      byId('places-page').value = String(page);
    }
    setText(byId('places-pages'), words.page(count(page), count(pages)));
    setText(byId('places-range'), shown === 0
      ? ''
      : words.rows(count(first + 1), count(first + shown), count(this.order.length)));
    for (const name of COLUMNS) {
      const isThis = isSorted && sort === name;
      byId(`places-by-${name}`).setAttribute('aria-sort',
        isThis ? (isAscending ? 'ascending' : 'descending') : 'none');
    }
  }

  #set(change) {
    this.view = { ...this.view, page: 1, ...change };
    writeView(this.view);
    if (this.places) {
      this.#draw(true);
    }
    this.onChange();
  }

  #listen() {
    byId('places-sorted').addEventListener('change', (event) => this.#set({ isSorted: event.target.checked }));
    byId('places-sort').addEventListener('change', (event) => this.#set({ sort: event.target.value }));
    byId('places-direction').addEventListener('click', () => this.#set({ isAscending: !this.view.isAscending }));
    byId('places-size').addEventListener('change', (event) => this.#set({ size: Number(event.target.value) }));
    byId('places-previous').addEventListener('click', () => this.#set({ page: this.#page() - 1 }));
    byId('places-next').addEventListener('click', () => this.#set({ page: this.#page() + 1 }));
    byId('places-page').addEventListener('change', (event) => {
      const page = Math.round(Number(event.target.value)) || 1;
      this.#set({ page: Math.max(1, Math.min(page, this.#pages())) });
      event.target.value = String(this.#page());
    });
    for (const name of COLUMNS) {
      byId(`places-by-${name}`).querySelector('button').addEventListener('click', () => {
        const { isSorted, sort, isAscending } = this.view;
        const isText = name === 'state' || name === 'leader';
        this.#set({
          isSorted: true,
          sort: name,
          isAscending: isSorted && sort === name ? !isAscending : isText,
        });
      });
    }
    window.addEventListener('hashchange', () => {
      this.view = readView();
      if (this.places) {
        this.#draw(true);
      }
    });
  }

  #pages() {
    return Math.max(1, Math.ceil(this.order.length / this.view.size));
  }

  #page() {
    return Math.min(this.view.page, this.#pages());
  }
}

function placeOf(row) {
  return {
    row: row.row,
    state: row.state,
    votes: row.votes,
    registered: row.registered,
    turnout: turnout(row.votes, row.registered),
  };
}

function createRow() {
  return make('tr', {},
    make('th', { scope: 'row' }),
    make('td', { class: 'number metered strong' },
      make('span', { class: 'meter', 'aria-hidden': 'true' }, make('span', { class: 'meter-fill' })),
      make('span')),
    make('td', { class: 'number dim' }),
    make('td', { class: 'number' }),
    make('td', { class: 'leads' }, make('span', { class: 'swatch', 'aria-hidden': 'true' }),
      make('span', { class: 'leads-name' }), make('span', { class: 'leads-share' })));
}

// The view from the address's fragment; what is not valid there is as at the start.
function readView() {
  const given = new URLSearchParams(window.location.hash.slice(1));
  const size = Number(given.get('size'));
  const page = Number(given.get('page'));
  return {
    isSorted: given.get('sorted') !== 'no',
    sort: COLUMNS.includes(given.get('sort')) ? given.get('sort') : START.sort,
    isAscending: given.get('direction') === 'up',
    size: SIZES.includes(size) ? size : START.size,
    page: Number.isInteger(page) && page > 0 ? page : START.page,
  };
}

function writeView(view) {
  const given = new URLSearchParams({
    sorted: view.isSorted ? 'yes' : 'no',
    sort: view.sort,
    direction: view.isAscending ? 'up' : 'down',
    size: view.size,
    page: view.page,
  });
  window.history.replaceState(null, '', `#${given}`);
}
