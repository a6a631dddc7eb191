// What the time view makes of an answer of /api/v1/history.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  isOverAt, lastOf, queryOf, read, spread, until,
} from '../../www/js/past.js';

const answer = {
  epoch: 'e',
  table: 'candidate',
  from_ms: 1000,
  step_ms: 2000,
  points: 5,
  rows: [[0, 1, 4, 8, 8, 9], [2, null, 2, 2, 1, 3]],
};

test('points stand at equal distances, lines in the order asked for', () => {
  const past = read(answer, [2, 7, 0], false);
  assert.deepEqual(past.times, [1000, 3000, 5000, 7000, 9000]);
  assert.deepEqual(past.lines, [{ row: 2, values: [null, 2, 2, 1, 3] }, { row: 0, values: [1, 4, 8, 8, 9] }]);
});

test('a sum is not known where one of its parts is not', () => {
  assert.deepEqual(read(answer, [], false).all, [null, 6, 10, 9, 12]);
  assert.deepEqual(read({ ...answer, rows: [] }, [], false).all, [null, null, null, null, null]);
});

test('a rate needs two totals, a step that is over, and votes that were not taken back', () => {
  assert.deepEqual(read(answer, [], false).rates, [null, null, 2, null, null]);
  const rows = [[0, 1, 4, 8, 8, 9]];
  assert.deepEqual(read({ ...answer, rows }, [], false).rates, [null, 1.5, 2, 0, null]);
  assert.deepEqual(read({ ...answer, rows }, [], true).rates, [null, 1.5, 2, 0, 0.5]);
});

test('a range is the minutes before the newest vote', () => {
  assert.equal(queryOf(null, 1e12), 'history?table=candidate');
  assert.equal(queryOf(5, 1e12), 'history?table=candidate&from_ms=999999700000');
  assert.equal(queryOf(15, 0), 'history?table=candidate&from_ms=0');
  assert.equal(queryOf(null, 1e12, true), 'history?table=candidate&to_ms=1000000000000');
});

test('of the past the last point is as of its moment, and there is one before the first vote', () => {
  const votes = new Map([[0, 7], [2, 1]]);
  assert.deepEqual(until(answer, 9500, votes).rows, [[0, 1, 4, 8, 8, 7], [2, null, 2, 2, 1, 1]]);
  const none = { ...answer, points: 0, rows: [[0], [2]] };
  assert.deepEqual(read(until(none, 999, votes), [2, 0], true), {
    stepMs: 2000, times: [-1000], lines: [{ row: 2, values: [1] }, { row: 0, values: [7] }], all: [8], rates: [null],
  });
});

test('of the past the last step is over with its last millisecond', () => {
  assert.deepEqual([8999, 9500, 10998, 10999].map((ms) => isOverAt(answer, ms)), [true, false, false, true]);
});

test('the last value that is known', () => {
  assert.deepEqual(lastOf([1, 2, null]), { place: 1, value: 2 });
  assert.equal(lastOf([null]), null);
  assert.equal(lastOf([]), null);
});

test('labels that would meet move apart, between top and bottom', () => {
  assert.deepEqual(spread([50, 10], 10, 0, 100), [50, 10]);
  assert.deepEqual(spread([50, 52], 10, 0, 100), [50, 60]);
  assert.deepEqual(spread([99, 98, 3], 10, 0, 100), [95, 85, 5]);
  assert.deepEqual(spread([], 10, 0, 100), []);
});
