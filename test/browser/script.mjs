// A page on a feed that the test writes: the daemon serves the page's files and has neither broker nor
// database to wait for; sockets, answers and the clock are the test's own, so no test waits for time to
// pass. Frames are those of src/stages/dashboard/wire.h.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

import { pause, seeded } from './basics.mjs';
import { freePort } from './election.mjs';

const { env } = process;
const READY_MS = 60000;

// What the daemon serves, and nothing that it counts.
export class Files {
  static async begin() {
    const made = new Files();
    const port = await freePort();
    made.url = `http://127.0.0.1:${port}`;
    made.log = '';
    made.daemon = spawn(env.VOTINGD, ['--topology', join(env.VOTINGD_SOURCE, 'config/election.ini'),
      ...['generator', 'voting', 'aggregation'].flatMap((stage) => ['--disable', stage])], {
      env: {
        ...env, VOTINGD_LISTEN: `127.0.0.1:${port}`, KAFKA_BROKERS: '127.0.0.1:1', DATABASE_URL: 'host=127.0.0.1 port=1 dbname=x',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    made.daemon.stderr.on('data', (bytes) => {
      made.log += bytes;
    });
    made.ended = new Promise((resolve) => {
      made.daemon.on('exit', resolve);
    });
    try {
      await made.#answers();
    } catch (error) {
      await made.end(); // nobody holds it yet
      throw error;
    }
    return made;
  }

  async #answers() {
    const end = Date.now() + READY_MS;
    while (!await fetch(`${this.url}/healthz`).then(({ ok }) => ok, () => false)) {
      if (Date.now() > end || this.daemon.exitCode !== null || this.daemon.signalCode !== null) {
        throw new Error(`the daemon does not answer:\n${this.log}`);
      }
      await pause(20);
    }
  }

  async end() {
    this.daemon.kill('SIGTERM');
    const late = setTimeout(() => this.daemon.kill('SIGKILL'), 20000);
    await this.ended;
    clearTimeout(late);
  }
}

// ---- what is counted ----

export const SHAPES = {
  totals: { title: 'Totals', texts: ['id'], columns: ['voters', 'candidates', 'stored', 'counted'] },
  candidate: {
    title: 'Candidate', texts: ['candidate_id', 'candidate_name', 'party_affiliation', 'photo_url'], columns: ['votes'],
  },
  state: { title: 'State', texts: ['state'], columns: ['votes', 'registered'] },
  age: { title: 'Age', texts: ['registered_age'], columns: ['votes'] },
  gender: { title: 'Gender', texts: ['gender'], columns: ['votes'] },
  party: { title: 'Party', texts: ['party_affiliation'], columns: ['votes'] },
  city: { title: 'City', texts: ['city'], columns: ['votes'] },
  state_candidate: { title: 'State candidate', texts: ['state', 'candidate_id'], columns: ['votes'] },
};

export class Count {
  // 'people' [{name, party}], 'states' and 'cities' names; each state has 'registered' voters. Of a table in
  // 'shapes' that is not known here the rows are the cities, too.
  constructor({
    people, states, cities = ['Ulm', 'Bonn', 'Rome'], registered = 100000, shapes = SHAPES,
  }) {
    const begin = Date.UTC(2024, 10, 5, 21, 4);
    this.shapes = shapes;
    this.people = people.map((one, i) => ({ id: `id-${i}`, ...one }));
    this.epoch = 'e1';
    this.seq = 1;
    this.now = begin;
    this.about = {
      as_of_ms: 0, received_ms: 0, changed_ms: 0, status: 'partial', source: 'waiting', database: { state: 'fresh', as_of_ms: begin },
    };
    this.kind = 'simulated';
    this.random = seeded(7);
    this.tables = new Map(Object.keys(shapes).map((name) => [name, new Map()]));
    this.changed = new Map();
    this.added = new Map();
    this.past = []; // {at, votes} of every picture
    this.states = states;
    this.cities = cities;
    this.#set('totals', ['all'], [registered * states.length, people.length, 0, 0]);
    this.people.forEach(({ id, name, party }) => this.#set('candidate', [id, name, party, null], [0]));
    states.forEach((state) => this.#set('state', [state], [0, registered]));
  }

  #set(table, texts, values) {
    const rows = this.tables.get(table);
    const key = JSON.stringify(texts);
    if (!rows.has(key)) {
      rows.set(key, { row: rows.size, texts, values });
      this.added.set(table, [...(this.added.get(table) ?? []), rows.get(key)]);
    }
    rows.get(key).values = values;
    this.changed.set(table, (this.changed.get(table) ?? new Set()).add(rows.get(key)));
  }

  #add(table, texts, place, n) {
    const held = this.tables.get(table).get(JSON.stringify(texts));
    const values = held ? [...held.values] : this.shapes[table].columns.map((_, i) => (i === 0 ? 0 : null));
    values[place] += n;
    this.#set(table, texts, values);
  }

  // Votes for a person in a state, 'n' at once.
  vote(state, who, n = 1) {
    const { id, name, party } = this.people[who];
    const pick = (list) => list[Math.floor(this.random() * list.length)];
    this.#add('totals', ['all'], 3, n);
    this.#add('totals', ['all'], 2, n);
    this.#add('candidate', [id, name, party, null], 0, n);
    this.#add('state', [state], 0, n);
    const texts = {
      state_candidate: [state, id],
      party: [party],
      gender: [pick(['female', 'male', null])],
      age: [String(18 + Math.floor(this.random() * 60))],
    };
    for (const name of [...this.tables.keys()].slice(3)) {
      this.#add(name, Object.hasOwn(texts, name) ? texts[name] : [pick(this.cities)], 0, n);
    }
  }

  // Votes here and there.
  voteAnywhere(times, most = 100) {
    for (let i = 0; i < times; i += 1) {
      this.vote(this.states[Math.floor(this.random() * this.states.length)],
        Math.floor(this.random() * this.people.length), 1 + Math.floor(this.random() * most));
    }
  }

  votes() {
    return [...this.tables.get('candidate').values()].map(({ values: [votes] }) => votes);
  }

  total() {
    return this.votes().reduce((sum, votes) => sum + votes, 0);
  }

  #frame(type, more) {
    return {
      type, epoch: this.epoch, seq: this.seq, now_ms: this.now, ...more,
    };
  }

  #rows(held, columns) {
    return Object.fromEntries([...held].map(([table, rows]) => [table,
      [...rows.values()].map((row) => [row.row, ...row[columns]])]));
  }

  preload() {
    return {
      elections: [{ id: 'night', name: 'Election Night', kind: this.kind }],
      contests: [{
        id: 'night', election: 'night', name: 'Election Night', table: 'candidate', units: 'state', photos: [],
      }],
      tables: this.shapes,
      rows: this.#rows(this.tables, 'texts'),
    };
  }

  hello() {
    return this.#frame('hello', { protocol: 'votingd.v1', preload: this.preload() });
  }

  snapshot() {
    this.#settle();
    return this.#frame('snapshot', {
      ...this.about, tables: {}, add: this.#rows(this.tables, 'texts'), rows: this.#rows(this.tables, 'values'),
    });
  }

  // What has changed since the last picture, as the next one.
  delta() {
    const [add, rows] = [this.#rows(this.added, 'texts'), this.#rows(this.changed, 'values')];
    const base = this.seq;
    this.seq += 1;
    this.#settle();
    return this.#frame('delta', {
      base, ...this.about, tables: {}, add, rows,
    });
  }

  beat() {
    return this.#frame('beat', { source: this.about.source });
  }

  #settle() {
    const votes = this.votes();
    if (this.total() > 0 && this.changed.size > 0) {
      Object.assign(this.about, {
        as_of_ms: this.now - 40, received_ms: this.now - 20, changed_ms: this.now - 10, source: 'alive',
      });
      this.past = [...this.past.filter(({ at }) => at < this.about.as_of_ms), { at: this.about.as_of_ms, votes }];
    }
    this.added.clear();
    this.changed.clear();
  }

  history() {
    const [from, step] = [this.past[0]?.at ?? this.now, 1000];
    const points = this.past.length === 0 ? 0 : 1 + Math.floor((this.past.at(-1).at - from) / step);
    const at = (place) => this.past.findLast((one) => one.at <= from + place * step).votes;
    const times = Array.from({ length: points }, (_, i) => at(i));
    return {
      epoch: this.epoch,
      table: 'candidate',
      from_ms: from,
      step_ms: step,
      points,
      rows: this.people.map((_, who) => [who, ...times.map((votes) => votes[who])]),
    };
  }
}

// What one node says of a stage that reads 'input' and writes 'output'.
export function stageOf(name, input, output, more = {}) {
  const one = [10, 5];
  return {
    stage: name, module: name, state: 'running', cause: '', buffered: 0, stopped: 0,
    in: one, out: one, rejected: [0, 0], dead: [0, 0], retries: [0, 0], batches: one, recycled: [0, 0],
    latency_us: [4000, 90000], commit_us: [2000, 8000],
    inputs: [{ port: 'in', topic: input, partitions: 4, lag: 2 }],
    outputs: [{ port: 'out', topic: output, records: one }],
    tables: [], dead_topic: '',
    ...more,
  };
}

// An answer of /api/v1/pipeline: one node that runs 'stages'.
export function pipelineOf(count, stages, node = {}) {
  return {
    followed: true,
    ignored: 0,
    invalid: 0,
    refused: 0,
    nodes: [{
      node: 'main', state: 'running', version: '0.1.0', heard_ms: 400, started_ms: count.now - 90000, interval_ms: 1000,
      window_ms: 5000, resident_bytes: 50e6, cpu_ms: [900, 250], missing: [], stages, ...node,
    }],
  };
}

// ---- the page on it ----

// Runs in the page before its clock is the test's: what has to pass in real time, as a look by axe does.
function keepTime() {
  const real = { setTimeout: window.setTimeout, clearTimeout: window.clearTimeout };
  window.inRealTime = async (work) => {
    const held = { setTimeout: window.setTimeout, clearTimeout: window.clearTimeout };
    Object.assign(window, real);
    try {
      return await work();
    } finally {
      Object.assign(window, held);
    }
  };
}

// Runs in the page before all else: sockets that the test speaks through.
function makeSockets() {
  window.feed = {
    sockets: 0, sent: [], socket: null, refuses: false,
  };
  window.WebSocket = class {
    constructor() {
      window.feed.sockets += 1;
      this.readyState = 0;
      window.queueMicrotask(() => {
        if (window.feed.refuses) {
          this.close();
        } else {
          this.readyState = 1;
          window.feed.socket = this;
          this.onopen?.();
        }
      });
    }

    send(text) {
      window.feed.sent.push(JSON.parse(text));
    }

    close() {
      this.readyState = 3;
      window.queueMicrotask(() => this.onclose?.());
    }
  };
  window.feed.say = (frames) => frames.forEach((frame) => window.feed.socket.onmessage({ data: JSON.stringify(frame) }));
}

export class Script {
  // 'ahead': how far the browser's clock is ahead of the daemon's, in milliseconds.
  static async open(browser, count, { path = '/', ahead = 0, ...options } = {}) {
    const made = new Script();
    made.count = count;
    made.asked = []; // paths of the API
    made.answers = {
      history: () => count.history(),
      preload: () => count.preload(),
      snapshot: () => count.snapshot(),
      session: () => ({ csrf_token: null }),
      pipeline: () => pipelineOf(count, [stageOf('voting', 'voters', 'votes'), stageOf('aggregation', 'votes', 'totals')]),
    };
    made.page = await browser.open(options, path, async (page) => {
      await page.addInitScript(keepTime);
      await page.clock.install({ time: count.now + ahead });
      await page.clock.pauseAt(count.now + ahead + 1000);
      await page.addInitScript(makeSockets);
      await page.route('**/api/v1/**', (route) => made.#answer(route));
    });
    count.now += 1000;
    await made.begins();
    return made;
  }

  // Until the page asks for a socket; on a machine that does too much at once a script of it may not have come.
  async begins() {
    for (let i = 1; !await this.page.evaluate(() => window.feed.socket !== null); i += 1) {
      if (i === 3000) {
        throw new Error('the page asks for no socket, also when it is loaded anew');
      }
      if (i % 500 === 0) {
        await this.page.reload();
      }
      await pause(20);
    }
  }

  async #answer(route) {
    const { pathname, searchParams } = new URL(route.request().url());
    const name = pathname.slice('/api/v1/'.length);
    this.asked.push(name);
    if (name in this.answers) { // all else is never answered
      const answer = await this.answers[name](searchParams);
      await route.fulfill(answer === undefined ? { body: 'no JSON' } : { json: answer });
    }
  }

  async say(...frames) {
    await this.page.evaluate((given) => window.feed.say(given), frames);
  }

  // Time goes by, here and in the page.
  async pass(ms) {
    this.count.now += ms;
    await this.page.clock.runFor(ms);
  }

  // Time goes by until it is so, and slowly: what was asked for, as a module, arrives in real time, and on a
  // machine that does too much at once the page would give its feed up meanwhile.
  async passUntil(what, isTrue, stepMs = 500) {
    for (let i = 0; i < 1500; i += 1) {
      if (await isTrue()) {
        return;
      }
      if (i % 3 === 1) {
        await this.pass(stepMs);
      }
      await pause(20);
    }
    throw new Error(`${what}: NOT within ${500 * stepMs} ms of the page's own time`);
  }

  // The first picture, painted.
  async begin() {
    await this.say(this.count.hello(), this.count.snapshot());
    await this.pass(100);
  }

  // Another one, painted as soon as the page paints again.
  async next() {
    await this.say(this.count.delta());
    await this.pass(1000);
  }

  // A picture each 'everyMs', 'pictures' of them, after 'change(nth)' of the count.
  async stream(pictures, everyMs, change = () => this.count.voteAnywhere(3)) {
    const frames = Array.from({ length: pictures }, (_, i) => {
      this.count.now += everyMs;
      change(i);
      return this.count.delta();
    });
    await this.page.evaluate(([given, ms]) => given.forEach((frame, i) => window.setTimeout(
      () => window.feed.say([frame]), (i + 1) * ms,
    )), [frames, everyMs]);
    await this.page.clock.runFor(pictures * everyMs);
  }

  // As the browser tells that another tab covers the page, or that it is seen again.
  async hide(isHidden) {
    await this.page.evaluate((hidden) => {
      Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, isHidden);
  }

  // Another view, or other settings of this one, once what it is made of has arrived.
  async show(hash, selector = `#view-${hash.split('?')[0]} h2`) {
    await this.page.evaluate((to) => {
      window.location.hash = `#/${to}`;
    }, hash);
    await this.passUntil(hash, async () => await this.page.locator(selector).count() > 0, 100);
    await this.pass(100);
  }

  // The text of an element, without what keeps directions of writing apart.
  async text(id) {
    return (await this.page.textContent(`#${id}`)).replace(/[\u2066-\u2069]/g, '');
  }

  async close() {
    await this.page.context().close();
  }
}
