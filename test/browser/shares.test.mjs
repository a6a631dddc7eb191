// Shares, leads, progress and turnout: whole numbers in, nothing that adds up wrongly out.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  Baseline, progress, shares, standing, turnout,
} from '../../www/js/shares.js';
import { seeded } from './basics.mjs';

test('shares of 10,000 random contests add up to 100.0 and are off by less than a tenth', () => {
  const seed = 20241105;
  const random = seeded(seed);
  for (let i = 0; i < 10000; i += 1) {
    const places = 1 + Math.floor(random() * 12);
    const most = 10 ** (1 + Math.floor(random() * 14));
    const votes = Array.from({ length: places }, () => Math.floor(random() * most));
    const total = votes.reduce((sum, n) => sum + n, 0);
    const dealt = shares(votes);
    const sum = dealt.reduce((all, share) => all + share, 0);
    assert.equal(sum, total === 0 ? 0 : 1000, `seed ${seed}, contest ${i}: ${votes}`);
    dealt.forEach((share, place) => {
      const exact = total === 0 ? 0 : (votes[place] / total) * 1000;
      assert.ok(Math.abs(share - exact) < 1 + 1e-6, `seed ${seed}, contest ${i}: ${votes}`);
    });
    votes.forEach((n, a) => votes.forEach((m, b) => {
      assert.ok(n <= m || dealt[a] >= dealt[b], `seed ${seed}, contest ${i}: more votes, less share`);
    }));
  }
});

test('shares are exact at the largest number', () => {
  const most = Number.MAX_SAFE_INTEGER;
  assert.deepEqual(shares([most, most, most]), [334, 333, 333]);
  assert.deepEqual(shares([]), []);
  assert.deepEqual(shares([0, 0]), [0, 0]);
});

test('candidates stand by votes, and by name where these are equal', () => {
  const { list, leaders, total } = standing([
    { id: '3', name: 'Cleo', party: '', votes: 5 },
    { id: '2', name: 'Bea', party: '', votes: 7 },
    { id: '1', name: 'Ann', party: '', votes: 5 },
  ]);
  assert.deepEqual(list.map((one) => one.name), ['Bea', 'Ann', 'Cleo']);
  assert.deepEqual(list.map((one) => one.gap), [2, -2, -2]);
  assert.deepEqual(leaders.map((one) => one.name), ['Bea']);
  assert.equal(total, 17);
});

test('a tie has several leaders and no votes have none', () => {
  const tie = standing([{ id: '1', name: 'A', votes: 4 }, { id: '2', name: 'B', votes: 4 }]);
  assert.equal(tie.leaders.length, 2);
  assert.equal(tie.list[0].gap, 0);
  assert.equal(standing([{ id: '1', name: 'A', votes: 0 }]).leaders.length, 0);
  assert.equal(standing([]).leaders.length, 0);
});

test('a tie is no lead in points, whoever was dealt the tenth that was left', () => {
  const { list } = standing([3, 3, 1].map((votes, i) => ({ id: String(i), name: 'ABC'[i], votes })));
  assert.notEqual(list[0].share, list[1].share);
  assert.deepEqual(list.map(({ gap, gapPoints }) => [gap, gapPoints]), [[0, 0], [0, 0], [-2, list[2].share - list[0].share]]);
});

test('the whole is reached only when the count was declared complete', () => {
  assert.equal(progress(1000, 1000, false), 999);
  assert.equal(progress(1200, 1000, false), 999);
  assert.equal(progress(1000, 1000, true), 1000);
  assert.equal(progress(500, 1000, false), 500);
  assert.equal(progress(0, null, false), null);
  assert.equal(progress(0, 0, false), null);
});

test('turnout needs registered voters', () => {
  assert.equal(turnout(500, 1000), 500);
  assert.equal(turnout(5, 0), null);
  assert.equal(turnout(5, null), null);
});

const PEOPLE = [{ id: 'id1', name: 'Ann', party: 'Republican Party' }, { id: 'id2', name: 'Bob', party: 'Twin' },
  { id: 'id3', name: 'Cid', party: 'Twin' }, { id: 'id4', name: 'Dan', party: '' }];
const baselineOf = (columns, rows) => new Baseline({ label: '2022', columns, rows }, PEOPLE);

test('a column belongs to the candidate whose id, name or party it names', () => {
  const rows = [['Ohio', 500, 300, 150, 50]];
  const was = (columns) => PEOPLE.map(({ id }) => baselineOf(columns, rows).change({ id, share: 0 }));
  assert.deepEqual(was(['id1', 'BOB', 'Cid', 'dan']), [-500, -300, -150, -50]);
  assert.deepEqual(was(['dan', 'republican party', 'twin', 'x']), [-300, null, null, -500]);
  assert.deepEqual(was(['republican', 'rep', '', 'twin']), [-500, null, null, null]);
});

test('a column that several claim is nobody\'s, unless it names one of them exactly', () => {
  const was = (people, columns) => {
    const baseline = new Baseline({ label: '2022', columns, rows: [['Ohio', 600, 400]] }, people);
    return [people.map(({ id }) => baseline.change({ id, share: 0 })), baseline.others().map(({ name }) => name)];
  };
  const [front, left] = [{ id: '1', name: 'Ann', party: 'National Front' }, { id: '2', name: 'Bob', party: 'National Left' }];
  assert.deepEqual(was([front, left], ['national', 'x']), [[null, null], ['national', 'x']]);
  assert.deepEqual(was([{ ...front, name: 'National' }, left], ['national', 'x']), [[-600, null], ['x']]);
  assert.deepEqual(was([{ ...front, name: 'Bob' }, left], ['bob', 'national']), [[null, null], ['bob', 'national']]);
});

test('a change is the difference of the shares that are shown, in all and in a unit', () => {
  const baseline = baselineOf(['Ann', 'Bob', 'Gone'], [['Ohio', 1, 1, 1], ['Utah', 97, 2, 0]]);
  assert.deepEqual(baseline.all, shares([98, 3, 1]));
  assert.equal(baseline.change({ id: 'id1', share: 500 }), 500 - 961);
  assert.equal(baseline.change({ id: 'id1', share: 500 }, 'Ohio'), 500 - 334);
  assert.equal(baseline.change({ id: 'id2', share: 20 }, 'Utah'), 0);
  assert.deepEqual(baseline.others(), [{ name: 'Gone', share: 10 }]);
});

test('nothing is said of what is not known', () => {
  const baseline = baselineOf(['Ann'], [['Ohio', 1]]);
  assert.equal(baseline.change({ id: 'id1', share: 500 }, 'Guam'), null);
  assert.equal(baseline.change({ id: 'id1', share: null }), null);
  assert.equal(baseline.change({ id: 'id2', share: 500 }), null);
  assert.equal(baseline.change({ id: 'nobody', share: 500 }), null);
});
