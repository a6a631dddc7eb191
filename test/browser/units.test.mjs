// Who leads where, and where the cells stand.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { gridOf } from '../../www/js/grid.js';
import { tallyOf, unitsOf } from '../../www/js/units.js';
import { PLACES } from './register.mjs';

const people = [{ id: 'a', name: 'Ann', party: 'P' }, { id: 'b', name: 'Bob', party: 'Q' }];
const rows = [
  { row: 0, state: 'Ohio', votes: 30, registered: 40 },
  { row: 1, state: 'Utah', votes: 10, registered: 30 },
  { row: 2, state: 'Iowa', votes: 0, registered: 5 },
  { row: 3, state: 'Guam', votes: 4, registered: null },
];
const cells = [['Ohio', 'a', 20], ['Ohio', 'b', 10], ['Utah', 'a', 5], ['Utah', 'b', 5], ['Guam', 'c', 4]]
  .map(([state, id, votes]) => ({ state, candidate_id: id, votes }));
const units = unitsOf(rows, cells, 'state', people);

test('a unit says who leads, a tie says nobody', () => {
  assert.equal(units[0].leader.name, 'Ann');
  assert.equal(units[0].share, 667);
  assert.equal(units[0].turnout, 750);
  assert.equal(units[1].leader, null);
  assert.ok(units[1].isTied);
  assert.equal(units[2].leader, null);
  assert.ok(!units[2].isTied);
  assert.equal(units[3].leader.name, 'c'); // a candidate that is not named yet
});

test('strength is the share of registered voters counted, in steps', () => {
  assert.deepEqual(units.map(({ strength }) => strength), [3, 1, 0, 3]);
});

test('the tally counts units, not votes', () => {
  assert.deepEqual(tallyOf(units).map(({ leader, count }) => [leader.id, count]), [['a', 1], ['c', 1]]);
});

test('every state has a cell of its own, and others have rows below', () => {
  const grid = gridOf(PLACES);
  const taken = new Set([...grid.values()].map(({ row, column }) => `${row}/${column}`));
  const rowsBelow = [...grid.values()].filter(({ short }) => short === null).map(({ row }) => row);
  assert.equal(taken.size, PLACES.length);
  assert.equal(rowsBelow.length, 3);
  assert.ok(rowsBelow.every((row) => row > 9));
  assert.equal(grid.get('Ohio').short, 'OH');
});

test('places elsewhere have no such grid', () => {
  assert.equal(gridOf(['Kent', 'Essex', 'Ohio']), null);
  assert.equal(gridOf([]), null);
});
