// The pipeline: every stage and topic as a graph, or as a table of the same numbers, and the nodes
// that run it. Asked for once a second while it is looked at.

import {
  byId, copyButton, fill, keep, make, setText,
} from './dom.js';
import { Drawing } from './pipeline_draw.js';
import { graphOf, isHere, stagesOf } from './pipeline_graph.js';
import {
  NONE, age, bytes, count, duration, perSecond, percent, time, wordOf, words,
} from './words.js';

const POLL_MS = 1000;
const FORMS = ['graph', 'table'];

const text = words.pipeline;

const markup = `
<section class="card flow-card" aria-labelledby="flow-title">
  <div class="card-head">
    <h2 id="flow-title" data-word="pipeline.flow"></h2>
    <div class="forms" role="group" data-label="pipeline.form">
      ${FORMS.map((form) => `<button type="button" class="button" id="flow-${form}" data-word="pipeline.forms.${form}"></button>`).join('')}
    </div>
  </div>
  <p class="flow-note" id="flow-note" hidden></p>
  <p class="empty" id="flow-empty"></p>
  <div class="flow-drawing" id="flow-drawing" role="group" aria-labelledby="flow-title"></div>
  <div class="scroller" id="flow-scroller" tabindex="0" role="group" data-label="pipeline.table">
    <table aria-labelledby="flow-title">
      <thead><tr id="flow-head"></tr></thead>
      <tbody id="flow-body"></tbody>
    </table>
  </div>
  <p class="flow-help" data-word="pipeline.help"></p>
</section>
<section class="card nodes-card" aria-labelledby="nodes-title">
  <h2 id="nodes-title" data-word="pipeline.nodes"></h2>
  <ul class="nodes" id="nodes"></ul>
  <p class="flow-help" id="nodes-left-out" hidden></p>
</section>`;

const first = (pair) => (pair === null ? NONE : duration(pair[0]));
const second = (pair) => (pair === null ? NONE : duration(pair[1]));
const stateOf = (state) => wordOf(text.nodeStates, state) ?? state;
const live = (one, value) => (one.isLive ? value : NONE);

// Of the table, a row for each stage on each node: value(row) => text; copied(row) where a number is copied.
const COLUMNS = [
  { id: 'stage', value: (one) => one.stage.stage },
  { id: 'node', value: (one) => one.node.node },
  { id: 'state', value: (one) => (one.isLive ? wordOf(text.lives, one.stage.state) ?? one.stage.state : stateOf(one.node.state)) },
  { id: 'in', isNumber: true, value: (one) => live(one, one.stage.inputs.length > 0 ? perSecond(one.in.rate) : NONE) },
  { id: 'out', isNumber: true, value: (one) => live(one, one.stage.outputs.length > 0 ? perSecond(one.out.rate) : NONE) },
  { id: 'lag', isNumber: true, value: (one) => live(one, count(one.lag)), copied: (one) => (one.isLive ? one.lag : null) },
  { id: 'latency50', isNumber: true, value: (one) => live(one, first(one.latency)) },
  { id: 'latency99', isNumber: true, value: (one) => live(one, second(one.latency)) },
  { id: 'commit50', isNumber: true, value: (one) => live(one, first(one.commit)) },
  { id: 'commit99', isNumber: true, value: (one) => live(one, second(one.commit)) },
  { id: 'retries', isNumber: true, value: (one) => count(one.retries.total), copied: (one) => one.retries.total },
  { id: 'rejected', isNumber: true, value: (one) => count(one.rejected.total), copied: (one) => one.rejected.total },
  { id: 'dead', isNumber: true, value: (one) => count(one.dead.total), copied: (one) => one.dead.total },
];

function paintTable(stages) {
  const rows = stages.flatMap((stage) => stage.all);

  shown.rows = rows;
  keep(byId('flow-body'), rows, (one) => `${one.stage.stage} ${one.node.node}`,
    () => make('tr', {}, ...COLUMNS.map((column, i) => (i === 0
      ? make('th', { scope: 'row' }) : make('td', { class: column.isNumber ? 'number' : null })))),
    (row, one) => COLUMNS.forEach((column, i) => setText(row.children[i], column.value(one))));
}

function lines() {
  return [COLUMNS.map(({ id }) => text.columns[id]),
    ...shown.rows.map((row) => COLUMNS.map((column) => (column.copied ?? column.value)(row)))];
}

// ---- nodes ----

const NODE_FIGURES = [
  { id: 'cpu', value: (node) => (isHere(node) && node.window_ms > 0 ? percent((node.cpu_ms[1] * 1000) / node.window_ms) : NONE) },
  { id: 'memory', value: (node) => (isHere(node) ? bytes(node.resident_bytes) : NONE) },
  { id: 'up', value: (node, now) => (isHere(node) ? age(now - node.started_ms) : NONE) },
  { id: 'heard', value: (node, now) => (isHere(node) ? text.ago(age(node.heard_ms)) : time(now - node.heard_ms)) },
  { id: 'version', value: (node) => node.version },
];

function problemsOf(node) {
  if (!isHere(node)) {
    return [];
  }
  return [
    ...node.missing.map(({ server, cause }) => text.missing(server, cause)),
    ...node.stages.filter((stage) => stage.cause !== '').map((stage) => text.cause(stage.stage, stage.cause)),
  ];
}

function makeNode() {
  return make('li', { class: 'node' },
    make('div', { class: 'stage-head' }, make('h3', { class: 'stage-name' }), make('span', { class: 'state' })),
    make('p', { class: 'node-stages' }),
    make('ul', { class: 'node-problems' }),
    make('dl', { class: 'node-figures' }, ...NODE_FIGURES.map(({ id }) => make('div', {},
      make('dt', {}, text.nodeFigures[id]), make('dd', {})))));
}

function paintNode(card, node, now) {
  const [head, stages, problems, figures] = card.children;
  const found = problemsOf(node);
  const state = node.state === 'running' && found.length > 0 ? 'unready' : node.state;

  card.dataset.state = state;
  setText(head.firstChild, node.node);
  setText(head.lastChild, stateOf(state));
  head.lastChild.dataset.state = state;
  setText(stages, node.stages.map((stage) => stage.stage).join(', '));
  keep(problems, found, (problem) => problem, () => make('li'), setText);
  NODE_FIGURES.forEach((figure, i) => setText(figures.children[i].lastChild, figure.value(node, now)));
}

// ---- the view ----

let shown = null; // {context, copy, drawing, rows, timer, isAsking, askedAt, answer, answeredAt, isFailed}

function paint() {
  const {
    context, copy, drawing, answer,
  } = shown;
  const form = context.settings.choice('as', FORMS, 'graph');
  const note = byId('flow-note');

  FORMS.forEach((one) => byId(`flow-${one}`).setAttribute('aria-pressed', one === form));
  note.hidden = !shown.isFailed;
  if (shown.isFailed) {
    setText(note, answer ? text.old(time(shown.answeredAt)) : text.failed);
  }
  if (answer === null) {
    return;
  }
  const stages = stagesOf(answer.nodes);
  const isEmpty = stages.length === 0;
  byId('flow-empty').hidden = !isEmpty;
  setText(byId('flow-empty'), answer.followed ? text.nobody : text.unfollowed);
  byId('flow-drawing').hidden = isEmpty || form !== 'graph';
  byId('flow-scroller').hidden = isEmpty || form !== 'table';
  copy.hidden = byId('flow-scroller').hidden;
  const graph = graphOf(stages);
  if (form === 'graph') {
    drawing.paint(graph);
  } else {
    paintTable(graph.rows.flat().filter((vertex) => vertex.kind === 'stage').map(({ stage }) => stage));
  }
  keep(byId('nodes'), answer.nodes, (node) => node.node, makeNode,
    (card, node) => paintNode(card, node, shown.answeredAt));
  const leftOut = answer.ignored + answer.invalid + answer.refused;
  byId('nodes-left-out').hidden = leftOut === 0;
  setText(byId('nodes-left-out'), text.leftOut(count(answer.ignored), count(answer.invalid), count(answer.refused)));
}

async function ask() {
  const mine = shown;

  window.clearTimeout(mine.timer);
  mine.isAsking = true;
  mine.askedAt = performance.now();
  try {
    mine.answer = await mine.context.get('pipeline');
    mine.answeredAt = mine.context.now();
    mine.isFailed = false;
  } catch {
    mine.isFailed = true;
  }
  mine.isAsking = false;
  if (mine === shown) {
    paint();
    askIn(Math.max(POLL_MS, mine.context.pace()));
  }
}

const isPaused = () => shown.context.pace() === Infinity;

// The next question, unless the page is paused by then or nobody looks.
function askIn(ms) {
  window.clearTimeout(shown.timer);
  if (isPaused()) {
    return;
  }
  shown.timer = window.setTimeout(() => {
    if (!isPaused() && !document.hidden) {
      ask();
    }
  }, ms);
}

// Now, or as soon as the last question is old enough, however long the pace would have waited.
function askAgain() {
  const wait = shown.askedAt + POLL_MS - performance.now();

  if (document.hidden || shown.isAsking) {
    return;
  }
  if (wait > 0) {
    askIn(wait);
  } else {
    ask();
  }
}

// Paused, nothing changes because somebody looks again.
function lookedAt() {
  if (!isPaused()) {
    askAgain();
  }
}

export const view = {
  open(root, context) {
    fill(root, markup);
    byId('flow-head').append(...COLUMNS.map((column) => make('th',
      { scope: 'col', class: column.isNumber ? 'number' : null }, text.columns[column.id])));
    FORMS.forEach((form) => byId(`flow-${form}`).addEventListener('click',
      () => context.settings.set({ as: form === 'graph' ? null : form })));
    shown = {
      context,
      copy: copyButton(lines, 'flow-title'),
      drawing: new Drawing(byId('flow-drawing')),
      timer: null,
      isAsking: false,
      askedAt: -Infinity,
      answer: null,
      rows: [], // of the table
      answeredAt: 0,
      isFailed: false,
    };
    shown.copy.hidden = true;
    byId('flow-title').after(shown.copy);
    document.addEventListener('visibilitychange', lookedAt);
    setText(byId('flow-empty'), text.asking);
    paint();
    ask();
  },

  // At a repaint of the page the settings may be others, a pause over, or a refresh wanted.
  update() {
    paint();
    askAgain();
  },

  close() {
    window.clearTimeout(shown.timer);
    document.removeEventListener('visibilitychange', lookedAt);
    shown.drawing.close();
    shown = null;
  },
};
