// The rules of the pipeline's graph, without a browser.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  graphOf, prefixOf, stagesOf, topicsOf,
} from '../../www/js/pipeline_graph.js';

const NONE = [0, 0];

function stage(name, { inputs = [], outputs = [], tables = [], dead = '', ...rest } = {}) {
  return {
    stage: name,
    module: name,
    state: 'running',
    cause: '',
    in: NONE, out: NONE, rejected: NONE, dead: NONE, retries: NONE, batches: NONE, recycled: NONE,
    buffered: 0,
    stopped: 0,
    latency_us: null,
    commit_us: null,
    inputs: inputs.map((topic) => ({ port: topic, topic, partitions: 4, lag: 2 })),
    outputs: outputs.map((topic) => ({ port: topic, topic, records: [100, 50] })),
    tables: tables.map((topic) => ({ port: topic, topic })),
    dead_topic: dead,
    ...rest,
  };
}

function node(name, state, stages) {
  return { node: name, state, window_ms: 10000, stages };
}

const ELECTION = [
  stage('generator', { outputs: ['voters', 'candidates', 'progress'], tables: ['progress'] }),
  stage('voting', {
    inputs: ['voters'], outputs: ['votes', 'rejected'], tables: ['candidates'], dead: 'voters_dead',
  }),
  stage('aggregation', {
    inputs: ['votes'], outputs: ['partials', 'by_state', 'by_age'], tables: ['partials', 'by_state', 'by_age'], dead: 'votes_dead',
  }),
  stage('dashboard', { tables: ['candidates', 'by_state', 'by_age'] }),
];

// "a+b" for topics, "|" for a rail.
function shape(graph) {
  return graph.rows.map((row) => row.map((vertex) => {
    if (vertex.kind === 'rail') {
      return '|';
    }
    return vertex.kind === 'stage' ? vertex.stage.name : vertex.topics.map((topic) => topic.name).join('+');
  }).join(' '));
}

test('data flows from row to row, and what ends stands at the side', () => {
  const graph = graphOf(stagesOf([node('main', 'running', ELECTION)]));
  assert.deepEqual(shape(graph), [
    'generator',
    'voters candidates progress',
    'voting |',
    'votes rejected+voters_dead |',
    'aggregation |',
    'by_state+by_age partials+votes_dead |',
    'dashboard',
  ]);
});

test('each edge joins neighbouring rows, and each part of a rail is drawn once', () => {
  const { rows, edges } = graphOf(stagesOf([node('main', 'running', ELECTION)]));
  const rowOf = new Map(rows.flatMap((row, at) => row.map((vertex) => [vertex.id, at])));
  const drawn = edges.map((edge) => `${edge.from} ${edge.to}`);
  edges.forEach((edge) => assert.equal(rowOf.get(edge.to) - rowOf.get(edge.from), 1, `${edge.from} ${edge.to}`));
  assert.equal(new Set(drawn).size, drawn.length);
  assert.equal(edges.filter((edge) => edge.kind === 'follows' && edge.to === 'stage:dashboard').length, 2);
  assert.equal(edges.find((edge) => edge.to === 'stage:aggregation').kind, 'reads');
});

test('a circle is drawn as one, not walked for ever', () => {
  const { rows, edges } = graphOf(stagesOf([node('main', 'running', [
    stage('there', { inputs: ['back'], outputs: ['forth'] }),
    stage('again', { inputs: ['forth'], outputs: ['back'] }),
  ])]));
  assert.equal(rows.flat().filter((vertex) => vertex.kind === 'stage').length, 2);
  assert.equal(edges.filter((edge) => edge.from === 'stage:again' || edge.to === 'stage:there').length, 2);
});

test('a topic that no stage writes stands above the one that takes it', () => {
  const graph = graphOf(stagesOf([node('main', 'running', [
    stage('enriched', { inputs: ['votes'], outputs: ['enriched'] }),
  ])]));
  assert.deepEqual(shape(graph), ['votes', 'enriched', 'enriched']);
});

test('what several nodes say of a stage is added up, the worst quantile stands for all', () => {
  const [voting] = stagesOf([
    node('east', 'running', [stage('voting', { inputs: ['voters'], outputs: ['votes'], in: [10, 5], latency_us: [5, 90] })]),
    node('gone', 'gone', [stage('voting', { inputs: ['voters'], outputs: ['votes'], in: [900, 900], latency_us: [7, 7000] })]),
    node('west', 'draining', [stage('voting', { inputs: ['voters'], outputs: ['votes'], in: [30, 20], latency_us: [9, 60], cause: 'tired' })]),
  ]);
  assert.deepEqual(voting.in, { total: 40, recent: 25, rate: 2.5 });
  assert.deepEqual(voting.latency, [9, 90]);
  assert.equal(voting.lag, 4);
  assert.equal(voting.outputs[0].rate, 10);
  assert.deepEqual(voting.causes, [{ node: 'west', cause: 'tired' }]);
  assert.equal(voting.live.length, 2);
  assert.equal(voting.all.length, 3);
});

test('a stage that only a gone node ran is still there, and still', () => {
  const [voting] = stagesOf([node('main', 'gone', [stage('voting', { in: [9, 9], inputs: ['voters'] })])]);
  assert.equal(voting.in.total, 9);
  assert.equal(voting.in.rate, 0);
  assert.equal(voting.lag, null);
  assert.equal(voting.live.length, 0);
});

test('what all names of topics begin with is left out', () => {
  const { rows } = graphOf(stagesOf([node('main', 'running', [
    stage('copy', { inputs: ['eu.west_in'], outputs: ['eu.west_out'] }),
  ])]));
  assert.deepEqual(rows.flat().filter(({ kind }) => kind === 'topics').map(({ topics: [{ label }] }) => label), ['in', 'out']);
  assert.equal(prefixOf(['votes_topic', 'voters_topic']), '');
  assert.equal(prefixOf(['a_b', 'a_b_c']), 'a_');
  assert.equal(prefixOf(['alone_topic']), '');
  assert.equal(prefixOf([]), '');
});

test('topics know who writes, reads and follows them, and the dead ones', () => {
  const topics = new Map(topicsOf(stagesOf([node('main', 'running', ELECTION)])).map((topic) => [topic.name, topic]));
  assert.deepEqual([...topics.get('candidates').followers], ['voting', 'dashboard']);
  assert.deepEqual([...topics.get('votes').readers], ['aggregation']);
  assert.equal(topics.get('votes').rate, 5);
  assert.ok(topics.get('votes_dead').isDead);
});
