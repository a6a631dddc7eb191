// The rules of votingd.v1: what a frame does to the picture that the page holds.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Model } from '../../www/js/model.js';

const preload = {
  elections: [{ id: 'election', name: 'Night', kind: 'simulated' }],
  contests: [],
  tables: {
    candidate: { texts: ['candidate_id', 'candidate_name', 'party_affiliation', 'photo_url'], columns: ['votes'] },
    state: { texts: ['state'], columns: ['votes', 'registered'] },
    totals: { texts: ['id'], columns: ['voters', 'candidates', 'stored', 'counted'] },
  },
  rows: { candidate: [[0, 'c1', 'Ann', 'P', null]] },
};

const hello = (epoch = 'e') => ({ type: 'hello', epoch, seq: 1, preload });
const snapshot = (seq, votes, epoch = 'e') => ({
  type: 'snapshot', epoch, seq, now_ms: 1, source: 'alive', add: {}, rows: { candidate: [[0, votes]] },
});
const delta = (base, votes, more = {}) => ({
  type: 'delta', epoch: 'e', seq: base + 1, base, now_ms: 1, source: 'alive', add: {}, rows: { candidate: [[0, votes]] }, ...more,
});

function begun(seq = 5, votes = 10) {
  const model = new Model();
  model.apply(hello());
  model.apply(snapshot(seq, votes));
  return model;
}

test('a delta applies only to the picture it was made from', () => {
  const model = begun();
  assert.equal(model.apply(delta(5, 11)), 'applied');
  assert.equal(model.candidates()[0].votes, 11);
  assert.equal(model.apply(delta(7, 99)), 'gap');
  assert.equal(model.candidates()[0].votes, 11);
  assert.equal(model.seq, 6);
});

test('a frame that is older than what is held is ignored', () => {
  const model = begun();
  assert.equal(model.apply(snapshot(4, 9)), 'ignored');
  assert.equal(model.apply(delta(4, 9)), 'ignored');
  assert.equal(model.candidates()[0].votes, 10);
});

test('the same snapshot twice is harmless', () => {
  const model = begun();
  assert.equal(model.apply(snapshot(5, 10)), 'applied');
  assert.equal(model.candidates()[0].votes, 10);
});

test('who leads a replay is said by each picture, and nobody does where it is not', () => {
  const model = begun();
  const lead = { at_ms: 7, since_ms: 9, speed: 60, is_running: true, began_ms: 9, by: 'ada' };
  assert.equal(model.about.lead, null);
  model.apply(delta(5, 10, { lead }));
  assert.deepEqual(model.about.lead, lead);
  model.apply({ type: 'beat', epoch: 'e', seq: 6, source: 'quiet' });
  assert.deepEqual(model.about.lead, lead);
  model.apply({ ...delta(6, 10), type: 'changes', since: 6, next: 'e-7' });
  assert.equal(model.about.lead, null);
  assert.equal(model.candidates()[0].votes, 10);
});

test('an aggregate that nobody knew names its columns with its first row', () => {
  const model = begun();
  model.apply(delta(5, 11, {
    tables: { by_town: { title: 'By town', texts: ['town', 'gender'], columns: ['votes'] } },
    add: { by_town: [[0, 'Ulm', null]] },
    rows: { by_town: [[0, 3]] },
  }));
  assert.deepEqual(model.rows('by_town'), [{
    row: 0, town: 'Ulm', gender: null, votes: 3,
  }]);
});

test('a delta may rename a row, and a later hello changes no number', () => {
  const model = begun();
  model.apply(delta(5, 11, { add: { candidate: [[0, 'c1', 'Beth', 'Q', null]] }, rows: {} }));
  assert.deepEqual(model.candidates(), [{
    id: 'c1', name: 'Beth', party: 'Q', votes: 10, photo: null,
  }]);
  assert.equal(model.apply(hello()), 'applied');
  assert.equal(model.candidates()[0].votes, 10);
  assert.equal(model.seq, 6);
});

test('a row comes with its texts before it is used', () => {
  const model = begun();
  model.apply(delta(5, 11, { add: { state: [[3, 'Ohio']] }, rows: { state: [[3, 7, null]] } }));
  assert.deepEqual(model.rows('state'), [{
    row: 3, state: 'Ohio', votes: 7, registered: null,
  }]);
});

test('another epoch starts over', () => {
  const model = begun();
  assert.equal(model.apply(snapshot(9, 1, 'other')), 'restart');
  assert.equal(model.apply(hello('other')), 'applied');
  assert.equal(model.seq, 0);
  assert.deepEqual(model.candidates(), []);
  assert.equal(model.apply(snapshot(9, 1, 'other')), 'applied');
});

test('changes bring the model to the next picture', () => {
  const model = begun();
  const changes = {
    ...snapshot(9, 20), type: 'changes', since: 5, next: 'e-9', is_truncated: false,
  };
  assert.equal(model.apply(changes), 'applied');
  assert.equal(model.point(), 'e-9');
  assert.equal(model.apply({ ...changes, since: 11 }), 'gap');
});

test('two heartbeats in a row that name a picture that never came are a gap', () => {
  const model = begun();
  const beat = (seq) => ({ type: 'beat', epoch: 'e', seq, source: 'quiet' });
  assert.equal(model.apply(beat(5)), 'applied');
  assert.equal(model.apply(beat(6)), 'applied');
  assert.equal(model.apply(beat(6)), 'gap');
  assert.equal(model.about.source, 'quiet');
});

test('what was not named yet is shown by its id', () => {
  const model = begun();
  model.apply(delta(5, 11, { add: { candidate: [[1, 'c2', null, null, null]] }, rows: { candidate: [[1, 3]] } }));
  assert.deepEqual(model.candidates()[1], {
    id: 'c2', name: 'c2', party: '', votes: 3, photo: null,
  });
});

test('a photo is asked for only of those who have one', () => {
  const model = new Model();
  model.apply({ ...hello(), preload: { ...preload, contests: [{ table: 'candidate', photos: ['c2'] }] } });
  model.apply(snapshot(5, 10));
  model.apply(delta(5, 11, { add: { candidate: [[1, 'c2', 'Bob', 'Q', null]] }, rows: { candidate: [[1, 3]] } }));
  assert.deepEqual(model.candidates().map((one) => one.photo), [null, '/photos/c2']);
});

test('a copy stays as it was, whatever comes later', () => {
  const model = begun(5, 10);
  const copy = model.copy();
  model.apply(delta(5, 12, { add: { candidate: [[1, 'c2', 'Bob', 'Q', null]] } }));
  model.forget();
  assert.deepEqual(copy.candidates().map((one) => one.votes), [10]);
  assert.equal(copy.seq, 5);
});
