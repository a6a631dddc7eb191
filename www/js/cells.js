// Units as cells of one size, or as a list beside the map: a list box, so that one stop of the Tab key
// and the arrow keys reach every unit. What is chosen is in the address.

import { keep, make, setColour, setText } from './dom.js';
import { initials, partyInitials } from './palette.js';
import {
  LANG, count, ofRegister, percent, words,
} from './words.js';

const collator = new Intl.Collator(LANG, { numeric: true });

export const markOf = ({ leader, isTied }) => (leader !== null
  ? partyInitials(leader.party || leader.name)
  : isTied ? words.places.tieMark : '–');

// What is to be known of a unit, in words.
export function describe(unit) {
  const counted = unit.turnout === null ? '' : words.places.counted(ofRegister(unit.turnout));
  if (unit.leader !== null) {
    return words.places.led(unit.name, unit.leader.name, percent(unit.share), counted);
  }
  if (unit.votes === 0) {
    return words.places.nothing(unit.name);
  }
  return unit.isTied ? words.places.tied(unit.name, counted) : words.places.unled(unit.name, count(unit.votes), counted);
}

export class Cells {
  // 'root' is an empty list; onChoose(name).
  constructor(root, onChoose) {
    this.root = root;
    this.onChoose = onChoose;
    root.addEventListener('click', ({ target }) => this.#choose(target.closest('[role=option]')));
    root.addEventListener('keydown', (event) => this.#key(event));
  }

  // 'grid' as gridOf() gives it, or null: then cells stand by name. 'chosen' is a name or null.
  update(units, grid, { isList, chosen, palette }) {
    const isPlaced = grid !== null && !isList;
    const list = [...units].sort((a, b) => (isPlaced
      ? grid.get(a.name).row - grid.get(b.name).row || grid.get(a.name).column - grid.get(b.name).column
      : collator.compare(a.name, b.name)));
    const stop = list.some(({ name }) => name === chosen) ? chosen : list[0]?.name;

    this.root.classList.toggle('is-placed', isPlaced);
    this.root.classList.toggle('is-list', isList);
    keep(this.root, list, (unit) => unit.row, createCell, (node, unit) => {
      const place = isPlaced ? grid.get(unit.name) : null;
      const [name, mark, share, said] = node.children;
      node.dataset.strength = unit.strength;
      node.dataset.name = unit.name;
      node.setAttribute('aria-selected', String(unit.name === chosen));
      node.tabIndex = unit.name === stop ? 0 : -1;
      node.title = unit.name;
      setColour(node, palette.ofUnit(unit));
      node.style.setProperty('--row', place?.row ?? 'auto');
      node.style.setProperty('--column', place?.column ?? 'auto');
      setText(name, isPlaced ? place.short ?? initials(unit.name) : unit.name);
      setText(mark, markOf(unit));
      setText(share, percent(unit.share));
      setText(said, describe(unit));
    });
  }

  #choose(node) {
    if (node) {
      this.onChoose(node.dataset.name);
      node.focus();
    }
  }

  #key(event) {
    const nodes = [...this.root.children];
    const at = nodes.indexOf(event.target.closest('[role=option]'));
    const to = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      ArrowUp: this.#above(nodes, at, -1),
      ArrowDown: this.#above(nodes, at, 1),
      Home: 0,
      End: nodes.length - 1,
    }[event.key];
    if (at < 0 || to === undefined) {
      return;
    }
    event.preventDefault();
    this.#choose(nodes[Math.max(0, Math.min(to, nodes.length - 1))]);
  }

  // The cell of the next row, up or down, that is nearest to the side; by what is seen, in any order.
  #above(nodes, at, direction) {
    const boxes = nodes.map((node) => node.getBoundingClientRect());
    const from = boxes[at];
    const rows = boxes.map((box, i) => ({ i, away: (box.top - from.top) * direction, aside: Math.abs(box.left - from.left) }))
      .filter(({ away }) => away > 2);
    const nearest = Math.min(...rows.map(({ away }) => away));
    const row = rows.filter(({ away }) => away < nearest + 2).sort((a, b) => a.aside - b.aside);
    return row[0]?.i ?? at;
  }
}

function createCell() {
  return make('li', { class: 'cell', role: 'option' },
    make('span', { class: 'cell-name', dir: 'auto' }), make('span', { class: 'cell-mark' }),
    make('span', { class: 'cell-share' }), make('span', { class: 'unseen' }));
}
