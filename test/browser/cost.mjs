#!/usr/bin/env node
// What the page costs a reader: the real dashboard stage follows results that this program publishes as the
// aggregation would at VOTES a second, and each view is looked at in Chromium for SECONDS. Prints a table of
// CPU in per cent of a core and ends with 1 if a page takes more than is promised. Not a test: it measures
// the machine, too, and takes two minutes.
//
//   eval "$(deploy/local --test env)"; export VOTINGD=$PWD/build/votingd VOTINGD_SOURCE=$PWD \
//     VOTINGD_PLUGINS=$PWD/build/src/stages VOTINGD_WWW=$PWD/build/www
//   test/browser/cost.mjs [VOTES [SECONDS]]      50000 20
import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { Election } from './election.mjs';
import { Browser, numberOf, skipWithoutBrowser } from './page.mjs';
import { STATES } from './register.mjs';

const [votes = 50000, seconds = 20] = process.argv.slice(2).map(Number);
const TICK_MS = 50; // a transaction of results in this time
const PERCENT_MAX = 10;
const PEOPLE = [['c1', 'Kelly Mills', 'Savior Party'], ['c2', 'Lawrence Wells', 'Management Party'],
  ['c3', 'Brandon Hughes', 'Tech Republic Party']];

const list = (n, name) => Array.from({ length: n }, (_, i) => name(i));

// By topic: the members of each row.
const ROWS = {
  aggregated_votes_per_candidate: PEOPLE.map(([id, name, party]) => ({ candidate_id: id, candidate_name: name, party_affiliation: party })),
  aggregated_turnout_by_location: STATES.map((state) => ({ state })),
  aggregated_turnout_by_age: list(83, (i) => ({ registered_age: 18 + i })),
  aggregated_turnout_by_age_group: ['18-24', '25-34', '35-44', '45-54', '55-64', '65-74', '75+'].map((group) => ({ age_group: group })),
  aggregated_turnout_by_gender: ['female', 'male'].map((gender) => ({ gender })),
  aggregated_party_wise_votes: PEOPLE.map(([, , party]) => ({ party_affiliation: party })),
  aggregated_votes_by_region: list(200, (i) => ({ city: `Town ${i}` })),
  aggregated_votes_by_state_and_candidate: STATES.flatMap((state) => PEOPLE.map(([id]) => ({ state, candidate_id: id }))),
};

class Publisher {
  static async begin(prefix) {
    const made = new Publisher();
    made.topics = Object.entries(ROWS).map(([topic, rows]) => ({
      keys: rows.map((row) => (topic === 'aggregated_votes_per_candidate' ? row.candidate_id : Object.values(row).join('/'))),
      rows,
      count: topic === 'aggregated_turnout_by_location' ? 'count' : 'total_votes',
      kcat: spawn('kcat', ['-P', '-q', '-b', process.env.KAFKA_BROKERS, '-t', prefix + topic, '-K', '\t', '-X', 'linger.ms=5'], { stdio: ['pipe', 'ignore', 'inherit'] }),
    }));
    await Promise.all(made.topics.map(({ kcat }) => once(kcat, 'spawn'))); // or why not
    made.begun = performance.now();
    made.timer = setInterval(() => made.#tick(), TICK_MS);
    return made;
  }

  // All votes that are due, dealt out evenly: nearly every row changes in every tick, the worst case.
  #tick() {
    const due = Math.floor(((performance.now() - this.begun) * votes) / 1000);
    for (const { keys, rows, count, kcat } of this.topics) {
      const lines = rows.map((row, i) => {
        const n = Math.floor(due / rows.length) + (i < due % rows.length ? 1 : 0);
        return `${keys[i]}\t${JSON.stringify({ ...row, [count]: n, sequence: n })}\n`;
      });
      kcat.stdin.write(lines.join(''));
    }
  }

  async end() {
    clearInterval(this.timer);
    await Promise.all(this.topics.map(({ kcat }) => new Promise((resolve) => {
      kcat.on('exit', resolve);
      kcat.stdin.end();
    })));
  }
}

// Seconds of CPU so far, of this page's process and of all of the browser; and what the page spent them on.
async function spent(cdp, browserCdp) {
  const { processInfo } = await browserCdp.send('SystemInfo.getProcessInfo');
  const metrics = new Map((await cdp.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
  const sum = (some) => some.reduce((all, { cpuTime }) => all + cpuTime, 0);
  return {
    at: performance.now() / 1000,
    page: sum(processInfo.filter(({ type }) => type === 'renderer')),
    browser: sum(processInfo),
    tasks: metrics.get('TaskDuration'),
    script: metrics.get('ScriptDuration'),
    style: metrics.get('RecalcStyleDuration'),
    layout: metrics.get('LayoutDuration'),
  };
}

async function measure(browser, browserCdp, view) {
  const page = await browser.open({}, `/#/${view}`);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Performance.enable');
  await page.waitForSelector('#main .card');
  await page.waitForTimeout(3000); // loaded, and painted some times
  const before = await spent(cdp, browserCdp);
  await page.waitForTimeout(seconds * 1000);
  const after = await spent(cdp, browserCdp);
  const pictures = await page.textContent('#point');
  await page.context().close();
  const percent = (name) => ((after[name] - before[name]) * 100) / (after.at - before.at);
  console.log([view.padEnd(26), ...['page', 'tasks', 'script', 'style', 'layout', 'browser'].map((name) => percent(name).toFixed(1).padStart(8)),
    `  ${pictures}`].join(''));
  return percent('page');
}

skipWithoutBrowser();

const election = await Election.begin('page_cost', ['generator', 'voting', 'aggregation'].flatMap((stage) => ['--disable', stage]));
let publisher;
let browser;
try {
  await election.waitFor('the page', 60000, async () => (await fetch(election.url)).ok);
  publisher = await Publisher.begin(`${election.name}_`);
  browser = await Browser.begin(election);
  const browserCdp = await browser.chromium.newBrowserCDPSession();
  const probe = await browser.open();
  await election.waitFor('votes on the page', 30000, async () => (await numberOf(probe, 'counted')) > 0);
  const first = await probe.textContent('#point');
  await probe.context().close();
  console.log(`${votes} votes a second, ${Object.values(ROWS).flat().length} rows, picture ${first}; % of a core over ${seconds} s`);
  console.log(['view'.padEnd(26), ...['page', 'tasks', 'script', 'style', 'layout', 'browser'].map((name) => name.padStart(8))].join(''));
  let worst = 0;
  for (const view of ['results', 'places', 'places?as=map', 'time', 'breakdowns', 'pipeline']) {
    worst = Math.max(worst, await measure(browser, browserCdp, view));
  }
  process.exitCode = worst > PERCENT_MAX ? 1 : 0;
} finally {
  await browser?.end();
  await publisher?.end();
  await election.wipe();
}
