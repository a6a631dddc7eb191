// The past as it is played: what is asked for, when it is shown, and what a picture of it holds. Time and
// answers are the test's.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { momentOf, withMoment } from '../../www/js/address.js';
import { Model } from '../../www/js/model.js';
import { knownFrom, modelAt } from '../../www/js/moment.js';
import { Player } from '../../www/js/player.js';
import { unitsOf } from '../../www/js/units.js';

const T0 = Date.UTC(2026, 10, 3, 2, 0);
const S = 1000;

// A world whose answers come after 'latencyMs', each of a step of 'stepMs'.
class World {
  constructor(latencyMs = 10, stepMs = S) {
    this.latencyMs = latencyMs;
    this.stepMs = stepMs;
    this.clock = 0;
    this.timers = [];
    this.asked = [];
    this.open = 0;
    this.most = 0;
    this.shown = []; // {at, clock}
    this.player = new Player({
      get: (path) => this.#get(path),
      setTimeout: (work, ms) => this.#later(work, ms),
      clearTimeout: (timer) => {
        timer.isCancelled = true;
      },
      now: () => this.clock,
    }, (answer, at) => this.shown.push({ at: (at - T0) / S, clock: this.clock }), () => {});
    this.player.setRange(T0, T0 + 3600 * S);
    this.player.hold(false);
  }

  #later(work, ms) {
    const timer = { work, due: this.clock + ms };
    this.timers.push(timer);
    return timer;
  }

  #get(path) {
    const at = Number(path.slice(path.indexOf('=') + 1));
    this.asked.push((at - T0) / S);
    this.open += 1;
    this.most = Math.max(this.most, this.open);
    return new Promise((resolve, reject) => {
      this.#later(() => {
        this.open -= 1;
        if (this.isDown) {
          reject(new Error('down'));
        } else {
          resolve({ as_of_ms: Math.floor(at / this.stepMs) * this.stepMs + this.stepMs - 1, step_ms: this.stepMs });
        }
      }, this.latencyMs);
    });
  }

  async run(ms) {
    const end = this.clock + ms;
    for (;;) {
      for (let i = 0; i < 5; i += 1) {
        await null; // what was promised comes to pass
      }
      this.timers = this.timers.filter(({ isCancelled }) => !isCancelled).sort((a, b) => a.due - b.due);
      if (this.timers.length === 0 || this.timers[0].due > end) {
        this.clock = end;
        return;
      }
      const { work, due } = this.timers.shift();
      this.clock = Math.max(this.clock, due);
      work();
    }
  }
}

test('at the pace of time every second is asked for ahead and shown when it is due', async () => {
  const world = new World(300);
  world.player.setSpeed(1);
  world.player.seek(T0 + 60 * S);
  await world.run(400);
  assert.deepEqual(world.shown, [{ at: 60, clock: 300 }]);
  const begin = world.clock;
  world.player.play();
  await world.run(5500);
  assert.deepEqual(world.shown.slice(1), [61, 62, 63, 64, 65].map((at, i) => ({ at, clock: begin + (i + 1) * S })));
  assert.equal(world.most, 1);
});

test('faster than pictures come some are left out, at most four a second are shown, and none waits', async () => {
  for (const [latencyMs, least] of [[20, 12], [700, 4]]) {
    const world = new World(latencyMs);
    world.player.setSpeed(1000);
    world.player.seek(T0);
    await world.run(latencyMs);
    world.player.play();
    await world.run(3300);
    assert.equal(world.most, 1);
    assert.ok(world.shown.length >= least, `${world.shown.length} shown`);
    world.shown.slice(1).forEach(({ at, clock }, i) => {
      const away = at - ((clock - latencyMs) * 1000) / S;
      assert.ok(Math.abs(away) <= 700, `${away} s from what is due`);
      assert.ok(clock - world.shown[i].clock >= 250, 'at most four a second');
    });
  }
});

test('a step that is longer than a second is asked for once', async () => {
  const world = new World(10, 32 * S);
  world.player.setSpeed(1);
  world.player.seek(T0);
  await world.run(20);
  world.player.play();
  await world.run(65 * S);
  assert.equal(world.asked.length, 4);
});

test('it ends with the newest moment, and begins there anew', async () => {
  const world = new World();
  world.player.setSpeed(1000);
  world.player.seek(T0 + 3000 * S);
  await world.run(20);
  world.player.play();
  await world.run(2000);
  assert.equal(world.shown.at(-1).at, 3600);
  assert.equal(world.player.isPlaying, false);
  const { length } = world.asked;
  await world.run(5000);
  assert.equal(world.asked.length, length, 'nothing is asked for at the end');
  world.player.play();
  await world.run(20);
  assert.equal(world.shown.at(-1).at, 0);
});

test('those who follow one clock show its moment when it is due, whenever they come and however slow', async () => {
  for (const [cameMs, latencyMs] of [[0, 20], [1700, 20], [400, 600]]) {
    const world = new World(latencyMs);
    world.clock = cameMs;
    world.player.follow(() => T0 + world.clock * 10, true, 10);
    await world.run(5000);
    assert.ok(world.shown.length > 4, `${world.shown.length} shown`);
    world.shown.slice(1).forEach(({ at, clock }) => {
      const late = (clock * 10) / S - at; // at most a picture's time, of which there are four a second
      assert.ok(late >= 0 && late <= 2.5, `${at} s at ${clock} ms`);
    });
    world.player.follow(() => T0 + 60 * S, false, 10);
    await world.run(5000);
    assert.equal(world.shown.at(-1).at, 60);
    world.player.follow(() => T0 + world.clock * 1000, true, 1000);
    await world.run(5000);
    world.player.release();
    const { length } = world.shown;
    await world.run(5000);
    assert.equal(world.shown.length, length, 'on its own it stands still');
  }
});

test('a jump goes before what is under way, and many jumps are one question', async () => {
  const world = new World(100);
  world.player.seek(T0);
  await world.run(10);
  for (let i = 1; i <= 20; i += 1) {
    world.player.seek(T0 + i * 60 * S);
  }
  await world.run(1000);
  assert.deepEqual(world.asked, [0, 1200]);
  assert.deepEqual(world.shown.map(({ at }) => at), [1200]);
});

test('paused, the picture that is shown stays, and what was asked for ahead does not come', async () => {
  const world = new World(100);
  world.player.seek(T0);
  await world.run(200);
  world.player.play();
  await world.run(120);
  world.player.pause();
  await world.run(5000);
  assert.equal(world.shown.length, 1);
  assert.equal(world.player.at, T0);
});

test('without an answer time stands still until there is one', async () => {
  const world = new World();
  world.player.seek(T0);
  await world.run(100);
  world.player.play();
  world.isDown = true;
  await world.run(60 * S);
  assert.ok(world.player.hasFailed);
  assert.ok(world.asked.length < 40, 'not asked for all the time');
  world.isDown = false;
  const last = world.shown.at(-1)?.at;
  await world.run(2500);
  assert.equal(world.player.hasFailed, false);
  assert.ok(world.shown.at(-1).at - last < 200, 'it goes on where it stood');
});

test('a question that fails late is asked again, and holds nothing up for good', async () => {
  const world = new World(10 * S);
  world.isDown = true;
  world.player.seek(T0);
  await world.run(9 * S);
  assert.equal(world.player.hasFailed, false);
  world.player.seek(T0 + 60 * S);
  await world.run(21.5 * S);
  assert.deepEqual([world.player.hasFailed, world.asked, world.most], [true, [0, 60, 60], 1]);
  world.isDown = false;
  world.latencyMs = 10;
  await world.run(15 * S);
  assert.equal(world.player.hasFailed, false);
  assert.deepEqual(world.shown.map(({ at }) => at), [60]);
});

test('nobody looks: nothing is asked for, and it goes on from there', async () => {
  const world = new World();
  world.player.seek(T0);
  await world.run(100);
  world.player.play();
  await world.run(1000);
  world.player.hold(true);
  await world.run(100);
  const { length } = world.asked;
  const { at } = world.shown.at(-1);
  await world.run(600 * S);
  assert.equal(world.asked.length, length);
  world.player.hold(false);
  await world.run(600);
  assert.ok(world.shown.at(-1).at > at && world.shown.at(-1).at < at + 120);
});

test('an address tells its moment, and keeps all else', () => {
  assert.equal(momentOf('#/places?sort=votes&at=2026-11-03T02:27Z'), T0 + 27 * 60 * S);
  assert.equal(momentOf('#/places?at=2026-11-03T02:27'), T0 + 27 * 60 * S);
  assert.equal(momentOf('#/places?at=2026-11-03T02:27:09'), T0 + 27 * 60 * S + 9 * S);
  for (const hash of ['', '#/places', '#/places?at=', '#/places?at=yesterday', '#/places?at=2026-13-03T02:27']) {
    assert.equal(momentOf(hash), null, hash);
  }
  assert.equal(withMoment('#/places?sort=votes', T0), '#/places?sort=votes&at=2026-11-03T02:00Z');
  assert.equal(withMoment('#/places?at=2026-11-03T02:27Z&page=2', T0 + S), '#/places?page=2&at=2026-11-03T02:00:01Z');
  assert.equal(withMoment('#/places?at=2026-11-03T02:27Z', null), '#/places');
});

function newest() {
  const model = new Model();
  model.apply({
    type: 'hello',
    epoch: 'e',
    preload: {
      elections: [],
      contests: [{ table: 'candidate', units: 'state' }],
      tables: {
        totals: { texts: ['id'], columns: ['voters', 'candidates', 'stored', 'counted'] },
        candidate: { texts: ['candidate_id'], columns: ['votes'] },
        state: { texts: ['state'], columns: ['votes', 'registered'] },
        city: { texts: ['city'], columns: ['votes'] },
        cross: { texts: ['state', 'candidate_id'], columns: ['votes'] },
      },
      rows: {
        totals: [[0, 'all']], candidate: [[0, 'a'], [1, 'b']], state: [[0, 'Ohio'], [1, 'Iowa']], city: [[0, 'X']],
        cross: [[0, 'Ohio', 'a'], [1, 'Ohio', 'b'], [2, 'Iowa', 'a'], [3, 'Iowa', 'b']],
      },
    },
  });
  model.apply({
    type: 'snapshot', epoch: 'e', seq: 9, as_of_ms: 5000, received_ms: 5, changed_ms: 6, source: 'alive',
    rows: {
      totals: [[0, 90, 2, 30, 30]], candidate: [[0, 20], [1, 10]], state: [[0, 25, 50], [1, 5, 40]], city: [[0, 30]],
      cross: [[0, 17], [1, 8], [2, 3], [3, 2]],
    },
  });
  return model;
}

const answer = {
  type: 'past', epoch: 'e', as_of_ms: 2999, step_ms: 1000, status: 'partial', without: ['city'],
  rows: {
    totals: [[0, null, null, null, 11]], candidate: [[0, 7], [1, 4]], state: [[0, 11, null], [1, null, null]],
    cross: [[0, null], [1, 2], [2, 0], [3, 0]],
  },
};

test('a picture of the past has the votes of then, the registers of now, and no more than is known', () => {
  const held = newest();
  const { model, isWhole } = modelAt(held, answer);
  assert.ok(isWhole);
  assert.deepEqual(model.totals(), { row: 0, id: 'all', voters: 90, candidates: 2, stored: null, counted: 11 });
  assert.deepEqual(model.candidates().map(({ votes }) => votes), [7, 4]);
  assert.deepEqual(model.rows('state'), [{ row: 0, state: 'Ohio', votes: 11, registered: 50 }]);
  assert.deepEqual(model.aggregates().map(({ name }) => name), ['cross']);
  assert.equal(model.about.as_of_ms, 2999);
  assert.equal(model.about.changed_ms, 0);
  assert.deepEqual(held.candidates().map(({ votes }) => votes), [20, 10], 'the newest stays as it is');
  held.apply({ type: 'delta', epoch: 'e', seq: 10, base: 9, rows: { candidate: [[0, 21]] } });
  assert.deepEqual(model.candidates().map(({ votes }) => votes), [7, 4]);
});

test('a contest of which not every candidate is known is not shown in part', () => {
  const { model, isWhole } = modelAt(newest(), { ...answer, rows: { ...answer.rows, candidate: [[0, 7], [1, null]] } });
  assert.ok(!isWhole);
  assert.deepEqual(model.candidates(), []);
});

test('who leads a unit is not said of some of its rows, and what is known in part is named', () => {
  const { model, partial } = modelAt(newest(), {
    ...answer, rows: { ...answer.rows, state: [[0, 11, null], [1, 0, null]] },
  });
  const units = () => unitsOf(model.rows('state'), model.rowsBy('state', 'candidate_id'), 'state', model.candidates());
  assert.deepEqual(units().map(({ leader, share }) => [leader, share]), [[null, null], [null, null]]);
  assert.deepEqual(partial, ['cross']);
  assert.deepEqual(model.aggregates().map(({ isPartial }) => isPartial), [true]);
  const whole = modelAt(newest(), {
    ...answer, rows: { ...answer.rows, state: [[0, 3, null], [1, 0, null]], cross: [[0, 1], [1, 2], [2, 0], [3, 0]] },
  });
  const [ohio] = unitsOf(whole.model.rows('state'), whole.model.rowsBy('state', 'candidate_id'), 'state', whole.model.candidates());
  assert.deepEqual([ohio.leader.id, ohio.share, whole.partial], ['b', 667, []]);
});

test('the past begins where all votes are known from then on', () => {
  const told = (...votes) => ({ from_ms: 1000, step_ms: 500, rows: [[0, ...votes]] });
  assert.equal(knownFrom(told(0, 4, 9)), 1000);
  assert.equal(knownFrom(told(null, 4, null, 9)), 2500);
  assert.equal(knownFrom(told(null, null)), null);
  assert.equal(knownFrom({ from_ms: 0, step_ms: 1000, rows: [[0]] }), null);
});
