// The contest: who leads, how far the count is, a bar and a slice for each candidate, and the table that
// both equal.

import { avatar, drawBars, drawRing, drawStrip, setAvatar } from './charts.js';
import {
  byId, copyButton, fill, keep, make, setCell, setColour, setFill, setText,
} from './dom.js';
import { OTHERS, partyInitials } from './palette.js';
import { progress, turnout } from './shares.js';
import {
  change, count, isolate, ofRegister, percent, points, signed, tenths, time, words,
} from './words.js';

const SLICES_MAX = 6;
const FACES_MAX = 4;

let shown = null; // the picture

const MARKUP = `
<section class="card leader is-empty" id="leader" aria-labelledby="leader-title">
  <div class="leader-body">
    <div class="leader-faces" id="leader-faces"></div>
    <div class="leader-who">
      <h2 class="overline" id="leader-title" data-word="leading"></h2>
      <p class="leader-name" id="leader-name" data-word="fetching"></p>
      <p class="leader-party" id="leader-party" data-word="fetchingHelp"></p>
    </div>
    <div class="leader-numbers" id="leader-numbers" hidden>
      <p><span class="leader-votes" id="leader-votes">–</span> <span class="unit" data-word="results.votes"></span></p>
      <p><span class="leader-share" id="leader-share">–</span> <span class="leader-change" id="leader-change"></span></p>
      <p class="leader-lead" id="leader-lead"></p>
    </div>
  </div>
  <div class="strip" id="leader-strip" aria-hidden="true"></div>
</section>

<section class="figures" data-label="results.totals">
  <div class="card figure">
    <h2 class="overline" data-word="results.counted"></h2>
    <p class="figure-number" id="counted">–</p>
    <p class="figure-note" id="rate"></p>
  </div>
  <div class="card figure">
    <h2 class="overline" data-word="results.progress"></h2>
    <p class="figure-number" id="progress">–</p>
    <div class="progress" aria-hidden="true"><div class="progress-fill" id="progress-fill"></div></div>
    <details class="figure-note">
      <summary id="progress-note" data-word="registeredUnknown"></summary>
      <dl class="definition">
        <dt data-word="results.counted"></dt><dd id="progress-counted"></dd>
        <dt data-word="results.expected"></dt><dd id="progress-expected"></dd>
        <dt data-word="results.registered"></dt><dd id="progress-registered"></dd>
        <dt data-word="results.turnout"></dt><dd id="progress-turnout"></dd>
        <dt data-word="results.stored"></dt><dd id="progress-stored"></dd>
      </dl>
      <p data-word="results.definition"></p>
    </details>
  </div>
  <div class="card figure">
    <h2 class="overline" data-word="results.voters"></h2>
    <p class="figure-number" id="voters">–</p>
    <p class="figure-note"><span id="register"></span> <span class="database-note" hidden></span></p>
  </div>
  <div class="card figure">
    <h2 class="overline" data-word="results.candidates"></h2>
    <p class="figure-number" id="candidates-total">–</p>
    <p class="figure-note"><span id="parties"></span> <span class="database-note" hidden></span></p>
  </div>
</section>

<section class="card bars-card" aria-labelledby="bars-title">
  <div class="card-head"><h2 id="bars-title" data-word="results.bars"></h2>
    <span class="note versus" hidden></span></div>
  <p class="empty" id="bars-empty" data-word="noCandidates" hidden></p>
  <ol class="bars bars-large" id="bars"></ol>
</section>

<section class="card ring-card" aria-labelledby="ring-title">
  <h2 id="ring-title" data-word="results.ring"></h2>
  <div class="ring-body">
    <svg class="ring" id="ring" viewBox="0 0 200 200" role="img" data-label="fetching">
      <circle class="ring-ground" cx="100" cy="100" r="78" fill="none" stroke-width="34"/>
      <g id="ring-slices"></g>
      <text class="ring-total" id="ring-total" x="100" y="97" text-anchor="middle" dominant-baseline="central">–</text>
      <text class="ring-unit" x="100" y="116" text-anchor="middle" dominant-baseline="central" data-word="results.votes"></text>
    </svg>
    <ul class="legend" id="ring-legend"></ul>
  </div>
</section>

<section class="card table-card" aria-labelledby="candidates-title">
  <div class="card-head"><h2 id="candidates-title" data-word="results.table"></h2></div>
  <div class="scroller" tabindex="0" role="group" aria-labelledby="candidates-title">
    <table>
      <thead>
        <tr>
          <th scope="col" class="number" data-word="results.rank"></th>
          <th scope="col" data-word="results.candidate"></th>
          <th scope="col" class="party-column" data-word="results.party"></th>
          <th scope="col" class="number" aria-sort="descending" data-word="results.count"></th>
          <th scope="col" class="number" data-word="results.share"></th>
          <th scope="col" class="number" id="candidates-versus" hidden></th>
          <th scope="col" class="number" data-word="results.lead"></th>
          <th scope="col" class="id-column" data-word="results.id"></th>
        </tr>
      </thead>
      <tbody id="candidates-body"></tbody>
    </table>
    <p class="empty" id="candidates-empty" data-word="noCandidates" hidden></p>
  </div>
  <p class="note" id="candidates-others" hidden></p>
</section>`;

function createRow() {
  return make('tr', {},
    make('td', { class: 'number dim' }),
    make('th', { scope: 'row' }, make('span', { class: 'person' }, avatar('avatar avatar-small'),
      make('span', { class: 'person-name' }))),
    make('td', { class: 'party-column' }),
    make('td', { class: 'number strong' }),
    make('td', { class: 'number' }),
    make('td', { class: 'number' }),
    make('td', { class: 'number dim' }),
    make('td', { class: 'id-column dim' }, make('span', { class: 'id' })));
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

function drawLeader({ standing: { list, leaders, total }, palette, baseline }) {
  const card = byId('leader');
  const isTied = leaders.length > 1;
  const [first] = leaders;

  card.classList.toggle('is-empty', leaders.length === 0);
  card.classList.toggle('is-tied', isTied);
  setColour(card, first ? palette.of(first) : OTHERS);
  setText(byId('leader-title'), isTied ? words.tied : words.leading);
  keep(byId('leader-faces'), leaders.slice(0, FACES_MAX), (one) => one.id,
    () => avatar('avatar avatar-large'),
    (node, one) => setAvatar(node, one, palette.of(one)));
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
    const changed = baseline && leaders.length === 1 ? baseline.change(first) : null;
    setText(byId('leader-change'), changed === null ? '' : words.changeVersus(change(changed), baseline.label));
  }
  drawStrip(byId('leader-strip'), list.map((one) => ({
    key: one.id,
    part: total > 0 ? one.votes / total : 0,
    label: `${isolate(partyInitials(one.party || one.name))} ${percent(one.share)}`,
    colour: palette.of(one),
  })));
}

// How a share has changed, behind it; nothing without a baseline.
function changeText(baseline, one, total) {
  const changed = baseline && total > 0 ? baseline.change(one) : null;
  return changed === null ? '' : ` · ${change(changed)}`;
}

function drawCandidates({ standing: { list, total }, palette, baseline }) {
  const top = list.length > 0 ? list[0].votes : 0;
  byId('bars-empty').hidden = list.length > 0;
  drawBars(byId('bars'), list.map((one) => ({
    key: one.id,
    label: one.name,
    value: count(one.votes),
    note: `${isolate(partyInitials(one.party || one.name))} · ${percent(total > 0 ? one.share : null)}${changeText(baseline, one, total)}`,
    part: top > 0 ? one.votes / top : 0,
    colour: palette.of(one),
  })));
}

function drawShares({ list, total }, palette) {
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

// The table's lines, as they are copied.
function lines() {
  const { list, total } = shown?.standing ?? { list: [], total: 0 };
  const versus = (tell) => (shown?.baseline ? [tell(shown.baseline)] : []);
  const {
    rank, candidate, party, count: votes, share, lead, id,
  } = words.results;
  return [
    [rank, candidate, party, votes, share, ...versus(({ label }) => words.versus(label)), lead, id],
    ...list.map((one, place) => [place + 1, one.name, one.party || words.independent, one.votes,
      percent(total > 0 ? one.share : null), ...versus((was) => tenths(total > 0 ? was.change(one) : null)),
      total > 0 ? one.gap : null, one.id]),
  ];
}

function drawTable({ standing: { list, total }, palette, baseline }) {
  byId('candidates-empty').hidden = list.length > 0;
  byId('candidates-versus').hidden = !baseline;
  keep(byId('candidates-body'), list, (one) => one.id, createRow, (node, one, place) => {
    const [rank, name, party, votes, share, versus, lead, id] = node.children;
    setColour(node, palette.of(one));
    setCell(rank, count(place + 1));
    setAvatar(name.firstChild.firstChild, one, palette.of(one));
    setText(name.firstChild.lastChild, one.name);
    setText(party, one.party || words.independent);
    setText(id.firstChild, one.id);
    id.firstChild.title = one.id;
    setCell(votes, count(one.votes));
    setCell(share, percent(total > 0 ? one.share : null));
    versus.hidden = !baseline;
    setCell(versus, change(baseline && total > 0 ? baseline.change(one) : null));
    setCell(lead, total > 0 ? words.lead(signed(one.gap), change(one.gapPoints)) : '–');
  });
}

// What the changes are to, and who was there and is not now.
function drawBaseline(baseline) {
  const others = baseline?.others() ?? [];
  const note = document.querySelector('.versus');
  note.hidden = !baseline;
  setText(note, baseline ? words.pointsVersus(baseline.label) : '');
  setText(byId('candidates-versus'), baseline ? words.versus(baseline.label) : '');
  byId('candidates-others').hidden = others.length === 0;
  setText(byId('candidates-others'), others.length === 0 ? '' : words.onlyIn(baseline.label,
    others.map(({ name, share }) => `${isolate(name)} ${percent(share)}`).join(', ')));
}

function drawFigures({ model, people, past, rate }) {
  const totals = model.totals();
  const { about } = model;
  const isComplete = about.status === 'complete';
  const done = progress(totals.counted, totals.voters, isComplete);
  const isBeyond = !isComplete && totals.voters !== null && totals.voters > 0
    && totals.counted >= totals.voters;

  setText(byId('counted'), count(totals.counted));
  setText(byId('rate'), rate > 0
    ? words.perSecond(count(rate))
    : about.as_of_ms && !past ? words.noChangeSince(time(about.changed_ms || about.started_ms)) : '');
  setText(byId('voters'), count(totals.voters));
  setText(byId('candidates-total'), count(totals.candidates));
  setText(byId('parties'), words.parties(new Set(people.map((one) => one.party)).size));
  setText(byId('progress'), `${isBeyond ? words.beyond : ''}${percent(done)}`);
  setText(byId('progress-note'), totals.voters === null
    ? words.registeredUnknown
    : words.ofRegistered(count(totals.counted), count(Math.max(totals.voters, totals.counted))));
  // The register is asked for more seldom: a vote may be counted before its voter is. It has no past.
  setText(byId('register'), (past !== null || totals.counted > totals.voters) && about.database.as_of_ms
    ? words.registerAt(time(about.database.as_of_ms))
    : words.onRegister);
  setFill(byId('progress-fill'), done === null ? 0 : done / 1000);
  setText(byId('progress-counted'), count(totals.counted));
  setText(byId('progress-expected'), count(totals.voters));
  setText(byId('progress-registered'), count(totals.voters));
  setText(byId('progress-turnout'), ofRegister(turnout(totals.counted, totals.voters)));
  setText(byId('progress-stored'), count(totals.stored));
  drawDatabase(about.database);
}

function drawDatabase({ state, as_of_ms: asOf }) {
  const text = { absent: words.databaseAbsent, old: words.databaseOld(time(asOf)) }[state] ?? '';
  for (const node of document.querySelectorAll('.database-note')) {
    setText(node, text);
    node.hidden = text === '';
  }
}

export const view = {
  open(root) {
    shown = null;
    fill(root, MARKUP);
    byId('candidates-title').after(copyButton(lines, 'candidates-title'));
  },

  update(picture) {
    shown = picture;
    drawFigures(picture);
    drawLeader(picture);
    drawCandidates(picture);
    drawShares(picture.standing, picture.palette);
    drawTable(picture);
    drawBaseline(picture.baseline);
  },
};
