// The whole way: config/election.ini on a real broker and database, its page in Chromium. What the
// page shows must be what the database holds.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Election } from './election.mjs';
import {
  Browser, columnOf, numberOf, numbersOf, shoot, skipWithoutBrowser, textOf,
} from './page.mjs';
import { testPipeline } from './pipeline_page.mjs';

const VOTERS = 1000;
// Two of the three that the topology's seed makes have a photo: one point.
const WITH_PHOTO = ['99b4ed3b-1b39-42dd-bdc4-918d0f08b0b0', '920dcc32-8b5f-4c64-a8dd-af2f91bf6860'];
const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==', 'base64');

skipWithoutBrowser();

const photos = mkdtempSync(join(tmpdir(), 'votingd-photos-'));
let election;
let browser;
let page;

const text = (id) => textOf(page, id);
const number = (id) => numberOf(page, id);
const column = (body, nth) => columnOf(page, body, nth);
const numbers = (body, nth) => numbersOf(page, body, nth);
const show = async (view) => {
  await page.click(`#views a[href="#/${view}"]`);
  await page.waitForSelector(`#view-${view}`);
};

before(async () => {
  WITH_PHOTO.forEach((id) => writeFileSync(join(photos, `${id}.png`), PNG));
  election = await Election.begin('page_first', ['--set', `stage:generator.voters=${VOTERS}`,
    '--set', `stage:dashboard.photos=${photos}`]);
  await election.waitFor('the page', 60000, async () => (await fetch(election.url)).ok);
  browser = await Browser.begin(election);
  page = await browser.open();
});

after(async () => {
  await browser?.end();
  await election?.wipe();
  rmSync(photos, { recursive: true });
});

test('the totals become those of the database', async () => {
  await election.waitFor('every vote on the page', 120000,
    async () => (await number('counted')) === VOTERS && (await number('voters')) === VOTERS);
  await election.waitFor('a quiet page', 60000, async () => (await text('freshness-name')) === 'Live');
  assert.equal(await number('counted'), election.number('SELECT count(*) FROM votes'));
  assert.equal(await number('voters'), election.number('SELECT count(*) FROM voters'));
  assert.equal(await number('candidates-total'), election.number('SELECT count(*) FROM candidates'));
  assert.equal(await text('kind'), 'Simulated');
  assert.match(await text('progress'), /^> 99\.9/);
});

test('the leader and the candidate table are those of the database', async () => {
  const rows = election.query(`SELECT c.candidate_name, count(*) FROM votes v
    JOIN candidates c USING (candidate_id) GROUP BY c.candidate_id, c.candidate_name
    ORDER BY count(*) DESC, c.candidate_name`);
  const votes = rows.map((row) => Number(row[1]));
  const names = await column('candidates-body', 1);
  const leaders = rows.filter((row) => Number(row[1]) === votes[0]).map((row) => row[0]);

  assert.deepEqual(await numbers('candidates-body', 3), votes);
  rows.forEach((row, place) => assert.ok(names[place].endsWith(row[0])));
  const shown = (await text('leader-name')).replace(/[\u2066-\u2069]/g, '');
  leaders.forEach((name) => assert.ok(shown.includes(name), shown));
  assert.equal(await number('leader-votes'), votes[0]);
  assert.equal(await text('leader-title'),
    leaders.length > 1 ? 'Tied for the lead' : 'Leading candidate');
});

test('without a baseline nothing is compared', async () => {
  assert.deepEqual(await page.$$eval('#candidates-versus, .versus, #candidates-others, #candidates-body td:nth-child(6)',
    (nodes) => nodes.filter((node) => node.checkVisibility())), []);
  assert.equal(await text('leader-change'), '');
  assert.doesNotMatch(await page.textContent('main'), /vs |undefined|NaN/);
});

test('a photo takes the place of the initials of those who have one', async () => {
  const shown = () => page.$$eval('#leader-faces, #candidates-body tr', (nodes) => nodes.map((node) => {
    const image = node.querySelector('.avatar-photo');
    const id = node.querySelector('.id')?.textContent ?? node.firstChild.dataset.key;
    return [id, image.checkVisibility() && image.naturalWidth > 0, /^\p{Lu}{2}$/u.test(image.alt)];
  }));
  await election.waitFor('the photos', 60000, async () => (await shown()).filter((one) => one[1]).length >= 2);
  const rows = await shown();
  assert.equal(rows.length, 4);
  assert.deepEqual(rows, rows.map(([id]) => [id, WITH_PHOTO.includes(id), true]));
});

test('bars, ring and table show the same numbers, and shares add up to 100.0', async () => {
  const votes = await column('candidates-body', 3);
  const shares = await column('candidates-body', 4);
  const bars = await page.$$eval('#bars .bar-value', (nodes) => nodes.map((node) => node.textContent));
  const ring = await page.$$eval('#ring-legend .legend-share', (nodes) => nodes.map((node) => node.textContent));
  const sum = shares.reduce((all, share) => all + Math.round(parseFloat(share) * 10), 0);

  assert.deepEqual(bars, votes);
  assert.deepEqual(ring, shares);
  assert.equal(sum, 1000);
});

test('turnout by state is sorted, paged and complete', async () => {
  const states = election.query(`SELECT vr.address_state, count(v.voter_id), count(*)
    FROM voters vr LEFT JOIN votes v USING (voter_id) GROUP BY 1`);
  const pages = Math.ceil(states.length / 10);

  await show('places');
  await election.waitFor('the order of rows, which follows within 5 s', 30000, async () => {
    const first = await numbers('places-body', 1);
    return first.every((n, i) => i === 0 || first[i - 1] >= n);
  });
  assert.equal(await text('places-pages'), `Page 1 of ${pages}`);
  assert.equal(await page.$('#places-by-versus'), null); // without a baseline
  for (let i = 1; i < pages; i += 1) {
    await page.click('#places-next');
  }
  assert.equal((await column('places-body', 0)).length, states.length - 10 * (pages - 1));
  assert.ok(await page.isDisabled('#places-next'));

  await page.selectOption('#places-size', '100');
  const shown = await column('places-body', 0);
  const votes = await numbers('places-body', 1);
  const registered = await numbers('places-body', 2);
  assert.equal(shown.length, states.length);
  assert.equal(votes.reduce((sum, n) => sum + n, 0), VOTERS);
  for (const [state, counted, voters] of states) {
    const place = shown.indexOf(state);
    assert.equal(votes[place], Number(counted), state);
    assert.equal(registered[place], Number(voters), state);
  }
});

test('a column sorts both ways, by its head or by the controls, and not at all', async () => {
  await page.click('#places-by-state button');
  const up = await column('places-body', 0);
  assert.deepEqual(up, [...up].sort((a, b) => a.localeCompare(b)));
  assert.equal(await page.getAttribute('#places-by-state', 'aria-sort'), 'ascending');
  await page.click('#places-direction');
  assert.deepEqual(await column('places-body', 0), [...up].reverse());
  await page.selectOption('#places-sort', 'votes');
  await page.click('#places-direction');
  const votes = await numbers('places-body', 1);
  assert.deepEqual(votes, [...votes].sort((a, b) => a - b));
  await page.uncheck('#places-sorted');
  assert.ok(await page.isDisabled('#places-sort'));
  assert.equal(await page.getAttribute('#places-by-votes', 'aria-sort'), 'none');
  await page.check('#places-sorted');
});

test('the address carries the view', async () => {
  const other = await browser.open();
  await other.goto(`${election.url}/#/places?sort=state&direction=up&size=25&page=2`);
  await other.reload();
  await other.waitForSelector('#places-body tr');
  assert.equal(await other.inputValue('#places-size'), '25');
  assert.equal(await other.inputValue('#places-page'), '2');
  await other.context().close();
});

test('a word narrows the table down, and the way back leads to the view before', async () => {
  const [name] = await column('places-body', 0);
  await page.fill('#places-filter', name.toUpperCase());
  assert.ok((await column('places-body', 0)).includes(name));
  await page.fill('#places-filter', 'no such place');
  assert.equal(await text('places-empty'), 'Nothing matches');
  await show('results');
  await page.goBack();
  await page.waitForSelector('#view-places');
  assert.equal(await page.inputValue('#places-filter'), 'no such place');
});

test('breakdowns add up to the total', async () => {
  await show('breakdowns');
  for (const name of ['age_group', 'gender', 'party', 'city']) {
    const values = await page.$$eval(`#groups > [data-key="${name}"] .bar-value`,
      (nodes) => nodes.map((node) => node.textContent));
    const sum = values.reduce((all, one) => all + Number(one.replaceAll(',', '')), 0);
    assert.equal(sum, VOTERS, name);
  }
});

test('votes over time are what the API says, point by point, and so is their table', async () => {
  assert.equal(await page.$('script[src*="uPlot"]'), null); // only when it is needed
  await page.click('a[href="#/time"]');
  await page.waitForSelector('#time-rate canvas');
  await page.waitForSelector('#times-body tr');
  let answer;
  let times;
  let lines;
  await election.waitFor('the same curves', 60000, async () => { // the page asks every now and then
    answer = await election.get('/api/v1/history?table=candidate');
    [times, ...lines] = await page.evaluate(async () => {
      const { view } = await import('/js/time.js');
      return view.charts.votes.data;
    });
    assert.deepEqual(lines, answer.rows.map((row) => row.slice(1)));
    return true;
  });
  assert.deepEqual(times, lines[0].map((_, i) => (answer.from_ms + i * answer.step_ms) / 1000));
  assert.equal(lines.reduce((sum, line) => sum + line[line.length - 1], 0), VOTERS);

  await page.selectOption('#times-size', '100');
  for (const [i, line] of lines.entries()) {
    assert.deepEqual(await numbers('times-body', i + 1), [...line].reverse().slice(0, 100));
  }
});

test('a reader goes from point to point by keys, and on to the table', async () => {
  const last = await page.getAttribute('#time-votes', 'aria-valuemax');
  await page.focus('#time-votes');
  await page.keyboard.press('Home');
  assert.equal(await page.getAttribute('#time-votes', 'aria-valuenow'), '0');
  assert.match(await page.getAttribute('#time-votes', 'aria-valuetext'), /^\d\d:\d\d:\d\d, /);
  await page.keyboard.press('End');
  assert.equal(await page.getAttribute('#time-votes', 'aria-valuenow'), last);
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'times-table');
  await page.check('#time-ranges [value="5"]', { force: true });
  assert.match(await page.evaluate(() => window.location.hash), /range=5/);
  await shoot(page, 'time-light-1440');
  const narrow = await browser.open({ viewport: { width: 320, height: 900 }, colorScheme: 'dark' });
  await narrow.goto(`${election.url}/#/time`);
  await narrow.waitForSelector('#time-rate canvas');
  await shoot(narrow, 'time-dark-320');
  assert.ok((await narrow.evaluate(() => document.documentElement.scrollWidth)) <= 320);
  await narrow.context().close();
  await page.click('a[href="#/results"]');
  await page.waitForSelector('#counted');
});

test('one click shows what the API says', async () => {
  await show('results');
  let snapshot;
  // At once, that is before a page that polls would have it; a machine may be busy just then.
  const isShown = async () => {
    snapshot = await election.get('/api/v1/snapshot');
    await page.click('#refresh');
    return election.waitFor('the newest picture', 900,
      async () => (await text('point')) === `${snapshot.epoch}-${snapshot.seq}`).then(() => true, () => false);
  };
  await election.waitFor('the newest picture at once', 60000, isShown);
  assert.equal(await number('counted'), snapshot.rows.totals[0][4]);
  const version = await election.get('/api/v1/version');
  assert.equal(version.epoch, snapshot.epoch);
});

testPipeline(test, () => election, (path, prepare) => browser.open({}, path, prepare));

test('the browser complained of nothing', () => {
  assert.deepEqual(browser.complaints, []);
});

test('without the daemon the numbers stay and are marked as old', async () => {
  assert.equal(await election.stop(), 0, election.log.slice(-2000));
  await election.waitFor('word of it', 60000,
    async () => (await page.getAttribute('#freshness', 'data-state')) === 'disconnected');
  assert.equal(await number('counted'), VOTERS);
  await election.waitFor('a notice', 60000, async () => /^No connection for/.test(await text('notice')));
  await shoot(page, 'results-disconnected-1440-light');
});
