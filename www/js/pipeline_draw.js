// The pipeline's graph on the page: rows of cards and pills that the style sheet lays out, and behind
// them the edges, drawn where cards and pills have come to stand.

import {
  keep, make, makeSvg, setAttributes, setText,
} from './dom.js';
import {
  NONE, count, duration, perSecond, words,
} from './words.js';

const text = words.pipeline;
const TIP = 5; // of an arrow, in pixels
const GUTTER = 8; // from the side of a stage to the line that runs along its topics

// Name, and value as (stage) => text; of what only happens when something is wrong, whether it did
// lately.
const FIGURES = [
  { id: 'in', value: (stage) => (stage.inputs.length > 0 ? perSecond(stage.in.rate) : NONE) },
  { id: 'out', value: (stage) => (stage.outputs.length > 0 ? perSecond(stage.out.rate) : NONE) },
  { id: 'lag', value: (stage) => count(stage.lag) },
  { id: 'latency', value: (stage) => quantiles(stage.latency) },
  { id: 'commit', value: (stage) => quantiles(stage.commit) },
  { id: 'retries', value: (stage) => count(stage.retries.total), isNews: (stage) => stage.retries.recent > 0 },
  { id: 'rejected', value: (stage) => count(stage.rejected.total), isNews: (stage) => stage.rejected.recent > 0 },
  { id: 'dead', value: (stage) => count(stage.dead.total), isNews: (stage) => stage.dead.recent > 0 },
];

function quantiles(pair) {
  return pair === null ? NONE : `${duration(pair[0])} · ${duration(pair[1])}`;
}

// How a stage is, over all nodes that run it.
export function healthOf(stage) {
  if (stage.live.length === 0) {
    return 'gone';
  }
  if (stage.causes.length > 0 || stage.stopped > 0) {
    return 'unready';
  }
  return 'running';
}

function makeStage() {
  return make('section', { class: 'stage' },
    make('div', { class: 'stage-head' },
      make('h3', { class: 'stage-name' }), make('span', { class: 'state' }),
      make('span', { class: 'stage-nodes' })),
    make('p', { class: 'unseen' }),
    make('p', { class: 'stage-cause' }),
    make('dl', { class: 'stage-figures' },
      ...FIGURES.map(({ id }) => make('div', { class: `stage-${id}` },
        make('dt', {}, text.figures[id]), make('dd', {})))));
}

function paintStage(node, { stage }) {
  const [head, spoken, cause, figures] = node.children;
  const [name, state, nodes] = head.children;
  const health = healthOf(stage);

  node.dataset.state = health;
  setText(name, stage.name);
  setText(state, text.stageStates[health]);
  state.dataset.state = health;
  setText(nodes, text.on(stage.live.map((one) => one.node.node), stage.module === stage.name ? '' : stage.module));
  setText(spoken, text.ports(
    stage.inputs.map((port) => port.topic),
    stage.tables.map((port) => port.topic),
    stage.outputs.map((port) => port.topic),
  ));
  cause.hidden = stage.causes.length === 0;
  setText(cause, stage.causes.map((one) => text.cause(one.node, one.cause)).join(' '));
  figures.hidden = stage.inputs.length + stage.outputs.length === 0;
  FIGURES.forEach((figure, i) => {
    const isNews = figure.isNews?.(stage) ?? false;
    setText(figures.children[i].lastChild, figure.value(stage));
    figures.children[i].classList.toggle('is-news', isNews);
    figures.children[i].classList.toggle('is-quiet', figure.isNews !== undefined && !isNews);
  });
}

function makeTopics() {
  return make('ul', { class: 'topics' });
}

// Of a topic that no stage writes nothing is known.
function rateOf(topic) {
  if (topic.isDead) {
    return count(topic.dead);
  }
  return topic.writers.size > 0 ? perSecond(topic.rate) : '';
}

function paintTopics(node, vertex) {
  node.style.flexGrow = String(Math.min(4, vertex.topics.length));
  keep(node, vertex.topics, (topic) => topic.name,
    () => make('li', { class: 'topic' }, make('span', { class: 'topic-name' }), make('span', { class: 'topic-rate' })),
    (pill, topic) => {
      const isOwn = topic.followers.size > 0 && vertex.takers.length === 0;
      setText(pill.firstChild, topic.label);
      pill.firstChild.title = topic.name;
      setText(pill.lastChild, rateOf(topic));
      pill.dataset.kind = topic.isDead ? 'dead' : isOwn ? 'own' : 'flow';
      pill.classList.toggle('is-news', topic.dead > 0);
      pill.title = text.kinds[pill.dataset.kind];
    });
}

const KINDS = {
  stage: { make: makeStage, paint: paintStage },
  topics: { make: makeTopics, paint: paintTopics },
  rail: { make: () => make('span', { class: 'rail' }), paint: () => {} },
};

function keepVertices(parent, vertices) {
  keep(parent, vertices, (vertex) => vertex.id,
    (vertex) => KINDS[vertex.kind].make(),
    (node, vertex) => KINDS[vertex.kind].paint(node, vertex));
}

// Where an edge leaves or meets a vertex that is as wide as 'rect': above or below the other end, as
// far as that is possible.
function meet(rect, x, margin) {
  const room = Math.min(margin, rect.width / 2);
  return Math.max(rect.left + room, Math.min(rect.right - room, x));
}

function middle(rect) {
  return rect.left + rect.width / 2;
}

function centre(rect) {
  return rect.top + rect.height / 2;
}

function tipAbove(x, to) {
  return `M ${x - TIP} ${to.top - 2 * TIP} h ${2 * TIP} L ${x} ${to.top} Z`;
}

// Topics below each other, where there is no room for more: what comes in runs down along their left
// side, and turns off to each of them.
function pathsInto(from, pills) {
  const x = from.left + GUTTER;
  return [
    `M ${x} ${from.bottom} V ${centre(pills.at(-1))} ${pills.map((pill) => `M ${x} ${centre(pill)} H ${pill.left - TIP}`).join(' ')}`,
    pills.map((pill) => `M ${pill.left - TIP} ${centre(pill) - TIP} v ${2 * TIP} L ${pill.left} ${centre(pill)} Z`).join(' '),
  ];
}

// What goes out runs down along the right side, to a stage or on by a rail.
function pathsOutOf(pills, to, isToRail) {
  const side = isToRail ? middle(to) : pills[0].right + GUTTER;
  const x = isToRail ? side : Math.min(side, to.right - GUTTER);
  const branches = pills.map((pill) => `M ${pill.right} ${centre(pill)} H ${side}`).join(' ');
  const way = `${branches} M ${side} ${centre(pills[0])}`;
  return isToRail
    ? [`${way} V ${to.bottom}`, '']
    : [`${way} V ${to.top - 3 * TIP} H ${x} V ${to.top - TIP}`, tipAbove(x, to)];
}

// Line and tip of an edge, as paths; of 'columns' are topics that stand below each other.
function pathsOf(edge, rects, columns) {
  const from = rects.get(edge.from);
  const to = rects.get(edge.to);
  if (!from || !to) {
    return ['', ''];
  }
  const isToRail = edge.to.startsWith('rail:');
  if (columns.has(edge.to)) {
    return pathsInto(from, columns.get(edge.to));
  }
  if (columns.has(edge.from)) {
    return pathsOutOf(columns.get(edge.from), to, isToRail);
  }
  const isFromStage = edge.from.startsWith('stage:');
  const x0 = isFromStage ? meet(from, middle(to), 24) : middle(from);
  const x1 = edge.to.startsWith('stage:') ? meet(to, middle(from), 24) : middle(to);
  const y0 = from.bottom;
  const y1 = to.top - (isToRail ? 0 : TIP);
  const y = (y0 + y1) / 2;
  const bend = Math.abs(x0 - x1) < 1 ? `L ${x1} ${y1}` : `C ${x0} ${y} ${x1} ${y} ${x1} ${y1}`;
  return [
    `M ${x0} ${y0} ${bend}${isToRail ? ` V ${to.bottom}` : ''}`,
    isToRail ? '' : tipAbove(x1, to),
  ];
}

export class Drawing {
  constructor(root) {
    this.lines = makeSvg('svg', { class: 'lines', 'aria-hidden': 'true' });
    this.rows = make('div', { class: 'flow' });
    this.graph = { rows: [], edges: [] };
    root.append(this.lines, this.rows);
    this.root = root;
    this.watcher = new ResizeObserver(() => this.#drawLines());
    this.watcher.observe(this.rows);
  }

  close() {
    this.watcher.disconnect();
  }

  paint(graph) {
    this.graph = graph;
    keep(this.rows, graph.rows.map((vertices, row) => ({ vertices, row })), ({ row }) => row,
      () => make('div', { class: 'flow-row' }, make('div', { class: 'flow-main' }), make('div', { class: 'flow-rails' })),
      (node, { vertices }) => {
        keepVertices(node.firstChild, vertices.filter(({ kind }) => kind !== 'rail'));
        keepVertices(node.lastChild, vertices.filter(({ kind }) => kind === 'rail'));
      });
    this.#drawLines();
  }

  #drawLines() {
    const origin = this.root.getBoundingClientRect();
    const rectOf = (node) => {
      const rect = node.getBoundingClientRect();
      return new DOMRect(rect.x - origin.x, rect.y - origin.y, rect.width, rect.height);
    };
    const rects = new Map([...this.rows.querySelectorAll('[data-key]')].map((node) => [node.dataset.key, rectOf(node)]));
    const columns = new Map([...this.rows.querySelectorAll('.topics')]
      .filter((node) => getComputedStyle(node).flexDirection === 'column')
      .map((node) => [node.dataset.key, [...node.children].map(rectOf)]));
    setAttributes(this.lines, { width: origin.width, height: origin.height });
    keep(this.lines, this.graph.edges, (edge) => `${edge.from} ${edge.to}`,
      () => makeSvg('g', {}, makeSvg('path', { class: 'line', fill: 'none' }), makeSvg('path', { class: 'tip' })),
      (group, edge) => {
        const [line, tip] = pathsOf(edge, rects, columns);
        setAttributes(group, { class: `edge edge-${edge.kind}${edge.rate > 0 ? ' is-busy' : ''}` });
        setAttributes(group.firstChild, { d: line, 'stroke-width': (1.5 + Math.min(3, Math.log10(1 + edge.rate) * 0.75)).toFixed(2) });
        setAttributes(group.lastChild, { d: tip });
      });
  }
}
