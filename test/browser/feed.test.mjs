// Reconnecting, resyncing and polling, with a clock, a network and a chance that the test holds.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Feed } from '../../www/js/feed.js';
import { Model } from '../../www/js/model.js';

const preload = {
  elections: [{ id: 'e', name: 'N', kind: 'live' }],
  contests: [],
  tables: { candidate: { texts: ['candidate_id'], columns: ['votes'] } },
  rows: {},
};

// A world without a network: sockets are kept, time moves when it is told to.
function makeWorld(answers = {}) {
  const world = {
    origin: 'http://here', socketOrigin: 'ws://here', ms: 0, sockets: [], timers: [], asked: [],
  };
  world.WebSocket = class {
    constructor(url, protocol) {
      Object.assign(this, {
        url, protocol, sent: [], readyState: 1,
      });
      world.sockets.push(this);
    }

    send(text) {
      this.sent.push(JSON.parse(text));
    }

    close() {
      this.isClosed = true;
    }
  };
  world.fetch = async (url) => {
    const path = url.slice('http://here/api/v1/'.length);
    world.asked.push(path);
    const answer = answers[path.split('?')[0]];
    const status = answers.status ?? (answer ? 200 : 503);
    return { ok: status === 200, status, json: async () => answer };
  };
  world.setTimeout = (work, ms) => {
    const timer = { at: world.ms + ms, work };
    world.timers.push(timer);
    return timer;
  };
  world.clearTimeout = (timer) => {
    world.timers = world.timers.filter((one) => one !== timer);
  };
  world.now = () => world.ms;
  world.random = () => 1;
  world.signIns = 0;
  world.signIn = () => {
    world.signIns += 1;
  };
  world.pass = async (ms) => {
    const end = world.ms + ms;
    for (;;) {
      const next = world.timers.filter((one) => one.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) {
        break;
      }
      world.ms = Math.max(world.ms, next.at);
      world.clearTimeout(next);
      next.work();
      await new Promise(setImmediate); // answers that were asked for arrive
    }
    world.ms = end;
  };
  world.last = () => world.sockets[world.sockets.length - 1];
  return world;
}

function say(socket, frame) {
  socket.onmessage({ data: JSON.stringify({ epoch: 'e', now_ms: 1000, ...frame }) });
}

function open(world) {
  const socket = world.last();
  socket.onopen();
  say(socket, { type: 'hello', seq: 1, preload });
  say(socket, { type: 'snapshot', seq: 1, add: { candidate: [[0, 'a']] }, rows: { candidate: [[0, 1]] } });
  return socket;
}

function begin(answers) {
  const world = makeWorld(answers);
  const model = new Model();
  const feed = new Feed(world, model, () => {});
  feed.start();
  return { world, model, feed };
}

test('a picture is acknowledged, at most once a second', async () => {
  const { world } = begin();
  const socket = open(world);
  assert.equal(socket.protocol, 'votingd.v1');
  for (let seq = 2; seq < 30; seq += 1) {
    say(socket, { type: 'delta', base: seq - 1, seq, rows: {} });
    await world.pass(50);
  }
  await world.pass(1000);
  const acks = socket.sent.filter((message) => message.type === 'ack');
  assert.deepEqual(acks.map((ack) => ack.seq)[0], 1);
  assert.equal(acks[acks.length - 1].seq, 29);
  assert.ok(acks.length <= 4);
});

test('only what the socket brought is acknowledged', async () => {
  const { world, model, feed } = begin({
    version: { epoch: 'e', seq: 9 },
    changes: { type: 'changes', epoch: 'e', seq: 9, since: 1, next: 'e-9', now_ms: 1, rows: {} },
  });
  const socket = open(world);
  assert.equal(await feed.refresh(), true);
  assert.equal(model.seq, 9);
  say(socket, { type: 'delta', base: 1, seq: 2, rows: {} });
  await world.pass(2000);
  assert.ok(socket.sent.filter((m) => m.type === 'ack').every((ack) => ack.seq <= 2));
});

test('a gap is answered by one resync in two seconds, and by a new socket without an answer', async () => {
  const { world } = begin();
  const socket = open(world);
  say(socket, { type: 'delta', base: 3, seq: 4, rows: {} });
  say(socket, { type: 'delta', base: 4, seq: 5, rows: {} });
  assert.equal(socket.sent.filter((message) => message.type === 'resync').length, 1);
  await world.pass(1900);
  assert.equal(socket.sent.filter((message) => message.type === 'resync').length, 1);
  await world.pass(3200);
  assert.ok(socket.isClosed);
  await world.pass(600);
  assert.equal(world.sockets.length, 2);
});

test('a resync that is answered keeps the socket', async () => {
  const { world, model } = begin();
  const socket = open(world);
  say(socket, { type: 'delta', base: 3, seq: 4, rows: {} });
  say(socket, { type: 'snapshot', seq: 5, rows: { candidate: [[0, 8]] } });
  await world.pass(6000);
  assert.equal(model.candidates().length, 1);
  assert.equal(world.sockets.length, 1);
});

test('what was missed on one socket does not end the next one while it connects', async () => {
  const { world } = begin();
  const socket = open(world);
  say(socket, { type: 'delta', base: 3, seq: 4, rows: {} });
  say(socket, { type: 'delta', base: 4, seq: 5, rows: {} });
  socket.onclose();
  await world.pass(9000);
  assert.equal(world.sockets.length, 2);
  assert.ok(!world.last().isClosed);
});

test('waits double up to 30 seconds, and after three failures the page polls', async () => {
  const { world, feed } = begin({
    version: { epoch: 'e', seq: 7 },
    preload,
    snapshot: { type: 'snapshot', epoch: 'e', seq: 7, now_ms: 5, add: {}, rows: {} },
    changes: { type: 'changes', epoch: 'e', seq: 7, since: 7, next: 'e-7', now_ms: 6, rows: {} },
  });
  world.last().onclose();
  await world.pass(499);
  assert.equal(world.sockets.length, 1);
  await world.pass(1);
  assert.equal(world.sockets.length, 2);
  world.last().onclose();
  await world.pass(1000);
  assert.equal(world.sockets.length, 3);
  world.last().onclose();
  await world.pass(5000);
  assert.equal(feed.isPolling, true);
  assert.equal(feed.freshness(), 'fresh');
  assert.equal(world.sockets.length, 3);
  await world.pass(60000);
  assert.equal(world.sockets.length, 4);
  open(world);
  assert.equal(feed.isPolling, false);
});

test('freshness follows the frames, never the votes', async () => {
  const { world, feed } = begin();
  assert.equal(feed.freshness(), 'connecting');
  const socket = open(world);
  assert.equal(feed.freshness(), 'fresh');
  await world.pass(7600);
  assert.equal(feed.freshness(), 'late');
  say(socket, { type: 'beat', seq: 1, source: 'quiet' });
  assert.equal(feed.freshness(), 'fresh');
  socket.onclose();
  assert.equal(feed.freshness(), 'disconnected');
});

test('fifteen seconds without a frame give the socket up', async () => {
  const { world, feed } = begin();
  const socket = open(world);
  await world.pass(17000);
  assert.ok(socket.isClosed);
  assert.equal(feed.isPolling, true);
  assert.equal(feed.freshness(), 'disconnected');
});

test('another epoch starts over with a new socket', async () => {
  const { world, model } = begin();
  const socket = open(world);
  say(socket, { type: 'delta', epoch: 'other', base: 1, seq: 2, rows: {} });
  assert.equal(model.seq, 0);
  await world.pass(1000);
  assert.equal(world.sockets.length, 2);
});

test('the chosen pace is told to the server', () => {
  const { world, feed } = begin();
  const socket = open(world);
  feed.setInterval(5000);
  feed.setInterval(0);
  assert.deepEqual(socket.sent.filter((m) => m.type === 'rate').map((m) => m.min_ms), [5000, 0]);
});

test('ages use the clock of the server', async () => {
  const { world, feed } = begin();
  open(world);
  await world.pass(250);
  assert.equal(feed.serverNow(), 1250);
});

test('a session that has ended asks to sign in again', async () => {
  const world = makeWorld({ status: 401 });
  const feed = new Feed(world, new Model(), () => {});

  feed.start();
  world.sockets[0].onopen();
  world.sockets[0].onmessage({ data: '{"type":"bye","reason":"signed_out","now_ms":0}' });
  assert.equal(world.signIns, 1);
  assert.equal(await feed.refresh(), false);
  assert.equal(world.signIns, 2);
  feed.stop();
});

test('nothing is sent on a socket that is closing', async () => {
  const { world, feed } = begin();
  const socket = open(world);
  socket.readyState = 2;
  feed.setInterval(5000);
  await world.pass(1000);
  assert.deepEqual(socket.sent.filter((message) => message.type === 'rate'), []);
});
