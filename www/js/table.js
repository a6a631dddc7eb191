// A table of many rows: sorted by any column or not at all, narrowed down by a word, in pages. All of
// that is in the address. Rows change places by themselves every 5 s at most, and keep the focus.

import {
  byId, copyButton, fill, keep, make, setText,
} from './dom.js';
import { LANG, count, words } from './words.js';

const RERANK_MS = 5000;
const SIZES = [10, 25, 50, 100];
const SETTINGS = ['sorted', 'sort', 'direction', 'filter', 'size', 'page'];
const START = { sorted: 'yes', filter: '', size: 10, page: 1 };

const collator = new Intl.Collator(LANG, { numeric: true });

const markup = (name) => `
<div class="controls">
  <label class="search"><span data-word="table.filter"></span> <input type="search" id="${name}-filter" maxlength="60" autocomplete="off" spellcheck="false"></label>
  <label class="check"><input type="checkbox" id="${name}-sorted"> <span data-word="table.sort"></span></label>
  <label><span data-word="table.by"></span> <select id="${name}-sort"></select></label>
  <button type="button" class="button direction" id="${name}-direction"></button>
</div>
<div class="scroller" tabindex="0" role="group" aria-labelledby="${name}-title">
  <table aria-labelledby="${name}-title"><thead><tr id="${name}-head"></tr></thead><tbody id="${name}-body"></tbody></table>
  <p class="empty" id="${name}-empty"></p>
</div>
<div class="pager">
  <span class="pager-range" id="${name}-range"></span>
  <label><span data-word="table.size"></span> <select id="${name}-size"></select></label>
  <label><span data-word="table.page"></span> <input type="number" id="${name}-page" min="1" inputmode="numeric"></label>
  <span class="pager-pages" id="${name}-pages"></span>
  <span class="pager-steps">
    <button type="button" class="button" id="${name}-previous" data-word="table.previous"></button>
    <button type="button" class="button" id="${name}-next" data-word="table.next"></button>
  </span>
</div>`;

export class Table {
  // Fills 'root', which stands under a heading with the id "NAME-title". 'shape':
  //   name      begins the ids of all parts
  //   columns   [{id, title, isNumber, className, value(row) => number, text or null, create() => nodes
  //             of the cell, paint(cell, row), copied(row) => number or text where that is not the
  //             value}]; the first names the row. Without paint, a text
  //   keyOf     (row) => key that stays with it
  //   sort, isAscending   how it begins
  //   empty     the words for no rows at all
  // 'settings': of the view that the table belongs to.
  constructor(root, shape, settings) {
    this.shape = shape;
    this.settings = settings;
    this.rows = [];
    this.order = [];
    this.shown = []; // the rows of all pages
    this.ranked = new Set(); // keys of the rows that 'order' was made of
    this.rankedAt = -Infinity;
    this.rankedBy = '';
    fill(root, markup(shape.name));
    this.#build();
    this.#listen();
  }

  // Shows 'rows', or what of them the address asks for; 'jumps' is another number when the reader asked
  // for another moment.
  update(rows, jumps = 0) {
    this.rows = rows;
    this.jumps = jumps;
    const view = this.#view();
    const byKey = new Map(rows.map((row) => [String(this.shape.keyOf(row)), row]));
    this.#rank(view, byKey);
    const shown = this.order.map((key) => byKey.get(key)).filter((row) => row !== undefined);
    this.shown = shown;
    const pages = Math.max(1, Math.ceil(shown.length / view.size));
    const page = Math.min(view.page, pages);
    const first = (page - 1) * view.size;
    const onPage = shown.slice(first, first + view.size);
    this.pages = pages;
    this.page = page;
    keep(this.#part('body'), onPage, this.shape.keyOf, () => this.#createRow(),
      (node, row) => this.#paintRow(node, row));
    this.#controls(view);
    setText(this.#part('range'), onPage.length === 0
      ? ''
      : words.rows(count(first + 1), count(first + onPage.length), count(shown.length)));
    setText(this.#part('empty'), rows.length === 0 ? this.shape.empty : words.table.noMatch);
    this.#part('empty').hidden = onPage.length > 0;
  }

  // All pages in their order, the head first.
  #lines() {
    const { columns } = this.shape;
    return [columns.map(({ title }) => title),
      ...this.shown.map((row) => columns.map((column) => (column.copied ?? column.value)(row)))];
  }

  #part(name) {
    return byId(`${this.shape.name}-${name}`);
  }

  // What is not valid in the address is as at the start.
  #view() {
    const { columns, sort, isAscending } = this.shape;
    const { settings } = this;
    const page = Number(settings.get('page') ?? START.page);
    return {
      isSorted: settings.get('sorted') !== 'no',
      column: columns.find((one) => one.id === settings.get('sort')) ?? columns.find((one) => one.id === sort),
      isAscending: settings.choice('direction', ['up', 'down'], isAscending ? 'up' : 'down') === 'up',
      filter: (settings.get('filter') ?? START.filter).slice(0, 60),
      size: Number(settings.choice('size', SIZES.map(String), START.size)),
      page: Number.isInteger(page) && page > 0 ? page : START.page,
    };
  }

  #set(change) {
    this.settings.set({ page: null, ...change });
  }

  // The order of rows is made anew when the user asks, when rows come or go, or when 5 s have passed.
  #rank(view, byKey) {
    const now = performance.now();
    const isSame = byKey.size === this.ranked.size && [...byKey.keys()].every((key) => this.ranked.has(key));
    const by = [this.jumps, ...SETTINGS.map((name) => this.settings.get(name))].join(' ');
    if (by === this.rankedBy && now - this.rankedAt < RERANK_MS && isSame) {
      return;
    }
    this.rankedBy = by;
    this.rankedAt = now;
    this.ranked = new Set(byKey.keys());
    const [name] = this.shape.columns;
    const sought = view.filter.trim().toLocaleLowerCase(LANG);
    const list = this.rows
      .filter((row) => sought === '' || this.shape.columns.some((one) => !one.isNumber
        && String(one.value(row) ?? '').toLocaleLowerCase(LANG).includes(sought)))
      .map((row) => ({ row, name: String(name.value(row)), value: view.column.value(row) }));
    if (view.isSorted) {
      const sign = view.isAscending ? 1 : -1;
      list.sort((a, b) => compare(a.value, b.value, sign) || collator.compare(a.name, b.name));
    }
    this.order = list.map(({ row }) => String(this.shape.keyOf(row)));
  }

  #createRow() {
    return make('tr', {}, ...this.shape.columns.map((column, place) => make(
      place === 0 ? 'th' : 'td',
      { scope: place === 0 ? 'row' : null, class: classOf(column) },
      ...(column.create?.() ?? []),
    )));
  }

  #paintRow(node, row) {
    this.shape.columns.forEach((column, place) => {
      const cell = node.children[place];
      if (column.paint) {
        column.paint(cell, row);
      } else {
        setText(cell, String(column.value(row) ?? ''));
      }
    });
  }

  #controls(view) {
    this.#part('sorted').checked = view.isSorted;
    this.#part('sort').value = view.column.id;
    this.#part('sort').disabled = !view.isSorted;
    this.#part('direction').disabled = !view.isSorted;
    setText(this.#part('direction'), view.isAscending ? words.ascending : words.descending);
    this.#part('direction').dataset.direction = view.isAscending ? 'up' : 'down';
    this.#part('size').value = String(view.size);
    this.#part('previous').disabled = this.page <= 1;
    this.#part('next').disabled = this.page >= this.pages;
    this.#part('page').max = String(this.pages);
    setText(this.#part('pages'), words.pageOf(count(this.page), count(this.pages)));
    for (const [name, value] of [['page', String(this.page)], ['filter', view.filter]]) {
      if (document.activeElement !== this.#part(name)) {
        this.#part(name).value = value;
      }
    }
    for (const column of this.shape.columns) {
      const isThis = view.isSorted && view.column === column;
      this.#part(`by-${column.id}`).setAttribute('aria-sort',
        isThis ? (view.isAscending ? 'ascending' : 'descending') : 'none');
    }
  }

  #build() {
    const { name, columns } = this.shape;
    this.#part('head').append(...columns.map((column) => make('th',
      { scope: 'col', id: `${name}-by-${column.id}`, class: classOf(column) },
      make('button', { type: 'button' }, column.title))));
    this.#part('sort').append(...columns.map(({ id, title }) => make('option', { value: id }, title)));
    this.#part('direction').parentElement.append(copyButton(() => this.#lines(), `${name}-title`));
    this.#part('filter').parentElement.hidden = columns.every(({ isNumber }) => isNumber);
    this.#part('size').append(...SIZES.map((size) => make('option', { value: size }, count(size))));
  }

  #listen() {
    const on = (part, event, work) => this.#part(part).addEventListener(event, work);
    on('filter', 'input', ({ target }) => this.#set({ filter: target.value || null }));
    on('sorted', 'change', ({ target }) => this.#set({ sorted: target.checked ? null : 'no' }));
    on('sort', 'change', ({ target }) => this.#set({ sort: target.value }));
    on('direction', 'click', () => this.#set({ direction: this.#view().isAscending ? 'down' : 'up' }));
    on('size', 'change', ({ target }) => this.#set({ size: target.value }));
    on('previous', 'click', () => this.#set({ page: this.page - 1 }));
    on('next', 'click', () => this.#set({ page: this.page + 1 }));
    on('page', 'change', ({ target }) => {
      const page = Math.round(Number(target.value)) || 1;
      this.#set({ page: Math.max(1, Math.min(page, this.pages)) });
      target.value = String(this.page);
    });
    for (const column of this.shape.columns) {
      this.#part(`by-${column.id}`).firstChild.addEventListener('click', () => this.#sortBy(column));
    }
  }

  // Once more on the same head turns the order around; names begin with the first, numbers with the most.
  #sortBy(column) {
    const view = this.#view();
    const isAscending = view.isSorted && view.column === column ? !view.isAscending : !column.isNumber;
    this.#set({ sorted: null, sort: column.id, direction: isAscending ? 'up' : 'down' });
  }
}

function classOf({ isNumber, className }) {
  return [isNumber ? 'number' : '', className ?? ''].join(' ').trim() || null;
}

// What is not known comes last either way.
function compare(a, b, sign) {
  if (a === null || b === null) {
    return (a === null) - (b === null);
  }
  return sign * (typeof a === 'number' ? a - b : collator.compare(a, b));
}
