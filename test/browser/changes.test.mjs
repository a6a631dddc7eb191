// The list of latest changes: its sums are the difference of the pictures, whatever came between.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Changes } from '../../www/js/changes.js';
import { unitsOf } from '../../www/js/units.js';

const people = [{ id: 'a', name: 'Ann', party: 'P' }, { id: 'b', name: 'Bob', party: 'Q' }];

// Units from {name: [votes of Ann, votes of Bob]}.
const unitsFrom = (votes) => unitsOf(
  Object.entries(votes).map(([state, [a, b]], row) => ({ row, state, votes: a + b, registered: null })),
  Object.entries(votes).flatMap(([state, [a, b]]) => [
    { state, candidate_id: 'a', votes: a }, { state, candidate_id: 'b', votes: b }]),
  'state',
  people,
);

test('the first picture is no change, the next one tells its difference', () => {
  const changes = new Changes();
  changes.take('e', unitsFrom({ Ohio: [310, 0], Utah: [1, 1] }), 0);
  assert.deepEqual(changes.list, []);
  changes.take('e', unitsFrom({ Ohio: [400, 305], Utah: [1, 1] }), 1000);
  assert.equal(changes.list.length, 1);
  const [{ name, votes, from, to }] = changes.list;
  assert.deepEqual([name, votes, from.by, to.by], ['Ohio', 395, 310, 95]);
});

test('changes of a unit within 5 s are one, with the lead it began with', () => {
  const changes = new Changes();
  changes.take('e', unitsFrom({ Ohio: [2, 1] }), 0);
  changes.take('e', unitsFrom({ Ohio: [3, 1] }), 1000);
  changes.take('e', unitsFrom({ Ohio: [3, 9] }), 2000);
  assert.equal(changes.list.length, 1);
  assert.deepEqual([changes.list[0].votes, changes.list[0].from.id, changes.list[0].to.id], [9, 'a', 'b']);
  changes.take('e', unitsFrom({ Ohio: [4, 9] }), 6500);
  assert.equal(changes.list.length, 2);
  assert.equal(changes.list[0].votes, 1);
});

test('where candidates are not told a change has votes and says nothing of a lead', () => {
  const changes = new Changes();
  const told = (votes) => unitsOf([{ row: 0, state: 'Ohio', votes, registered: null }], [], 'state', people);
  changes.take('e', told(1), 0);
  changes.take('e', told(4), 1000);
  assert.deepEqual([changes.list[0].votes, changes.list[0].isLed], [3, false]);
});

test('another epoch begins anew', () => {
  const changes = new Changes();
  changes.take('e', unitsFrom({ Ohio: [2, 1] }), 0);
  changes.take('f', unitsFrom({ Ohio: [9, 9] }), 1000);
  assert.deepEqual(changes.list, []);
});

test('the sums equal the difference of two pictures, also beyond 200 changes', () => {
  const changes = new Changes();
  const votes = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`S${i}`, [0, 0]]));
  changes.take('e', unitsFrom(votes), 0);
  for (let i = 1; i < 2000; i += 1) {
    votes[`S${(i * 7) % 60}`][i % 2] += i % 11;
    changes.take('e', unitsFrom(votes), i * 700);
  }
  const total = Object.values(votes).reduce((sum, [a, b]) => sum + a + b, 0);
  assert.equal(changes.list.length, 200);
  assert.ok(changes.earlier > 0);
  assert.equal(changes.list.reduce((sum, one) => sum + one.votes, changes.earlier), total);
});
