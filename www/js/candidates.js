// The contest: who leads, a bar and a slice for each candidate, and the table that both equal.

import { avatar, drawBars, drawRing, drawStrip, setAvatar } from './charts.js';
import { byId, keep, make, setColour, setText } from './dom.js';
import { OTHERS, partyInitials } from './palette.js';
import {
  count, isolate, percent, points, signed, words,
} from './words.js';

const SLICES_MAX = 6;
const FACES_MAX = 4;

export class Candidates {
  paint(standing, palette) {
    this.#leader(standing, palette);
    this.#bars(standing, palette);
    this.#ring(standing, palette);
    this.#table(standing, palette);
  }

  #leader({ list, leaders, total }, palette) {
    const card = byId('leader');
    const isTied = leaders.length > 1;
    const [first] = leaders;

    card.classList.toggle('is-empty', leaders.length === 0);
    card.classList.toggle('is-tied', isTied);
    setColour(card, first ? palette.of(first) : OTHERS);
    setText(byId('leader-title'), isTied ? words.tied : words.leading);
    keep(byId('leader-faces'), leaders.slice(0, FACES_MAX), (one) => one.id,
      () => avatar('avatar avatar-large'),
      (node, one) => setAvatar(node, one.name, palette.of(one)));
    setText(byId('leader-name'), leaders.length === 0
      ? words.noVotes
      : leaders.map((one) => isolate(one.name)).join(words.and));
    setText(byId('leader-party'), leaders.length === 0
      ? words.noVotesHelp
      : [...new Set(leaders.map((one) => isolate(one.party || words.independent)))].join(words.and));
    byId('leader-numbers').hidden = leaders.length === 0;
    if (first) {
      setText(byId('leader-votes'), count(first.votes));
      setText(byId('leader-share'), percent(first.share));
      setText(byId('leader-lead'), leadText(list, leaders, total));
    }
    drawStrip(byId('leader-strip'), list.map((one) => ({
      key: one.id,
      part: total > 0 ? one.votes / total : 0,
      label: `${isolate(partyInitials(one.party || one.name))} ${percent(one.share)}`,
      colour: palette.of(one),
    })));
  }

  #bars({ list, total }, palette) {
    const top = list.length > 0 ? list[0].votes : 0;
    byId('bars-empty').hidden = list.length > 0;
    drawBars(byId('bars'), list.map((one) => ({
      key: one.id,
      label: one.name,
      value: count(one.votes),
      note: `${isolate(partyInitials(one.party || one.name))} · ${percent(total > 0 ? one.share : null)}`,
      part: top > 0 ? one.votes / top : 0,
      colour: palette.of(one),
    })));
  }

  #ring({ list, total }, palette) {
    const slices = slicesOf(list, total, palette);
    setText(byId('ring-total'), count(total));
    byId('ring').classList.toggle('is-empty', total === 0);
    byId('ring').setAttribute('aria-label',
      slices.map((slice) => `${slice.label} ${percent(slice.share)}`).join(', ') || words.noVotes);
    drawRing(byId('ring-slices'), slices);
    keep(byId('ring-legend'), slices, (slice) => slice.key,
      () => make('li', {}, make('span', { class: 'swatch', 'aria-hidden': 'true' }),
        make('span', { class: 'legend-name' }), make('span', { class: 'legend-share' })),
      (node, slice) => {
        setColour(node, slice.colour);
        setText(node.children[0], slice.mark);
        setText(node.children[1], slice.label);
        setText(node.children[2], percent(total > 0 ? slice.share : null));
      });
  }

  #table({ list, total }, palette) {
    byId('candidates-empty').hidden = list.length > 0;
    keep(byId('candidates-body'), list, (one) => one.id, createRow, (node, one, place) => {
      const [rank, name, party, id, votes, share, lead] = node.children;
      setColour(node, palette.of(one));
      setText(rank, count(place + 1));
      setAvatar(name.firstChild.firstChild, one.name, palette.of(one));
      setText(name.firstChild.lastChild, one.name);
      setText(party, one.party || words.independent);
      setText(id.firstChild, one.id);
      id.firstChild.title = one.id;
      setText(votes, count(one.votes));
      setText(share, percent(total > 0 ? one.share : null));
      setText(lead, total > 0 ? `${signed(one.gap)} (${gapPoints(one)})` : '–');
    });
  }
}

function gapPoints(one) {
  const sign = one.gapPoints > 0 ? '+' : one.gapPoints < 0 ? '−' : '';
  return `${sign}${points(one.gapPoints)}`;
}

function createRow() {
  return make('tr', {},
    make('td', { class: 'number dim' }),
    make('th', { scope: 'row' }, make('span', { class: 'person' }, avatar('avatar avatar-small'),
      make('span', { class: 'person-name' }))),
    make('td'),
    make('td', { class: 'dim' }, make('span', { class: 'id' })),
    make('td', { class: 'number strong' }),
    make('td', { class: 'number' }),
    make('td', { class: 'number dim' }));
}

function leadText(list, leaders, total) {
  const [first] = leaders;
  if (leaders.length > 1) {
    return words.tiedAt(count(first.votes), count(leaders.length));
  }
  const second = list[1];
  return second === undefined || first.votes === total
    ? words.leadAlone
    : words.leadOver(second.name, count(first.gap), points(first.gapPoints));
}

// The largest five and the rest, or six where there are no more.
function slicesOf(list, total, palette) {
  const isCut = list.length > SLICES_MAX;
  const shown = isCut ? list.slice(0, SLICES_MAX - 1) : list;
  const slices = shown.map((one) => ({
    key: one.id,
    mark: partyInitials(one.party || one.name),
    label: one.name,
    votes: one.votes,
    share: one.share,
    colour: palette.of(one),
  }));
  if (isCut) {
    const rest = list.slice(SLICES_MAX - 1);
    slices.push({
      key: ' others',
      mark: '…',
      label: words.others,
      votes: rest.reduce((sum, one) => sum + one.votes, 0),
      share: rest.reduce((sum, one) => sum + one.share, 0), // so that all are those of the table
      colour: OTHERS,
    });
  }
  return slices.map((slice) => ({ ...slice, part: total > 0 ? slice.votes / total : 0 }));
}
