// Any aggregate becomes bars: what divides it, in which order, and how much of it is drawn.
import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.document ??= { documentElement: { lang: 'en' } };
const { breakdown } = await import('../../www/js/groups.js');

const rowsOf = (text, pairs) => pairs.map(([value, votes], row) => ({ row, [text]: value, votes }));
const labels = (panel) => panel.groups.map(({ values }) => values[0]);

test('names stand by votes, and names with equally many by themselves', () => {
  const { kind, panels: [panel] } = breakdown(['city'],
    rowsOf('city', [['Ulm', 3], ['Bonn', 3], ['Rome', 9]]));
  assert.equal(kind, 'bars');
  assert.deepEqual(labels(panel), ['Rome', 'Bonn', 'Ulm']);
  assert.deepEqual(panel.groups.map(({ share }) => share), [600, 200, 200]);
  assert.equal(panel.others, null);
});

test('ages stand in their order, and what is not stated last', () => {
  const { panels: [panel] } = breakdown(['age_group'], rowsOf('age_group',
    [['75+', 1], [null, 9], ['18-24', 2], ['under 18', 1], ['25-34', 5]]));
  assert.deepEqual(labels(panel), ['under 18', '18-24', '25-34', '75+', null]);
});

test('many numbers are columns, in their order', () => {
  const { kind, panels: [panel] } = breakdown(['age'], rowsOf('age',
    Array.from({ length: 83 }, (_, i) => [String(100 - i), i])));
  assert.equal(kind, 'columns');
  assert.equal(panel.groups.length, 83);
  assert.deepEqual(labels(panel).slice(0, 3), ['18', '19', '20']);
});

test('of many names ten are drawn, and the others are one', () => {
  const { panels: [panel] } = breakdown(['city'], rowsOf('city',
    Array.from({ length: 10000 }, (_, i) => [`City ${i}`, i])));
  assert.equal(panel.groups.length, 10);
  assert.equal(panel.groups[0].values[0], 'City 9999');
  assert.equal(panel.others.count, 9990);
  const drawn = panel.groups.reduce((sum, { votes }) => sum + votes, 0);
  assert.equal(drawn + panel.others.votes, panel.votes);
  assert.equal(panel.groups.reduce((sum, { share }) => sum + share, panel.others.share), 1000);
});

test('eleven names are all drawn: one more bar is no longer than "others"', () => {
  const { panels: [panel] } = breakdown(['city'], rowsOf('city',
    Array.from({ length: 11 }, (_, i) => [`City ${i}`, i])));
  assert.equal(panel.groups.length, 11);
  assert.equal(panel.others, null);
});

test('of two texts the one with fewer values divides into panels of one order and scale', () => {
  const rows = [['18-24', 'f', 5], ['18-24', 'm', 7], ['25-34', 'f', 1], ['25-34', 'm', 30], ['35-44', 'f', 2]]
    .map(([age, gender, votes], row) => ({ row, age, gender, votes }));
  const { divider, texts, panels, most, hidden } = breakdown(['age', 'gender'], rows);
  assert.equal(divider, 'gender');
  assert.deepEqual(texts, ['age']);
  assert.deepEqual(panels.map(({ values, votes }) => [values[0], votes]), [['m', 37], ['f', 8]]);
  assert.deepEqual(labels(panels[0]), labels(panels[1]));
  assert.equal(panels[0].groups[2].votes, 0); // m has no 35-44
  assert.equal(most, 30);
  assert.equal(hidden, 0);
});

test('of many panels six are drawn, and it is said how many are not', () => {
  const rows = Array.from({ length: 400 }, (_, i) => ({
    row: i, a: `a${i % 20}`, b: `b${Math.floor(i / 20)}`, c: 'x', votes: i,
  }));
  const { divider, texts, panels, hidden } = breakdown(['a', 'b'], rows);
  assert.equal(divider, 'b');
  assert.deepEqual(texts, ['a']);
  assert.equal(panels.length, 6);
  assert.equal(hidden, 14);
});

test('a table without a row, and one whose texts are not known yet', () => {
  assert.deepEqual(breakdown(['city'], []).panels[0].groups, []);
  assert.equal(breakdown([], []).most, 0);
});
