// The past on the page of a running election, while votes come in: the same numbers as /api/v1/history.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  numberOf, numbersOf, shoot, textOf,
} from './page.mjs';

const SECOND_MS = 1000;

const linkOf = (view, ms) => `/#/${view}?at=${new Date(ms).toISOString().slice(0, 19)}Z`;
const sum = (list) => list.reduce((all, one) => all + one, 0);
const byVotes = (list) => [...list].sort((a, b) => b - a);

// Votes of a table's rows as the history has them at a moment, by row.
async function votesAt(election, table, ms) {
  const { rows } = await election.get(`/api/v1/history?table=${table}&from_ms=${ms}&to_ms=${ms}`);
  return new Map(rows.map(([row, votes]) => [row, votes]));
}

const TOKENS = { ada: 'operator-0123456789abcdef01234567', bob: 'viewer-0123456789abcdef0123456789' };

// A node of its own for the past that one leads: who looks at it says who he is.
function addLedNode(election) {
  const tokens = join(election.folder, 'tokens');
  writeFileSync(tokens, `ada:operator:${TOKENS.ada}\nbob:viewer:${TOKENS.bob}\n`, { mode: 0o600 });
  const settings = { access: 'token', tokens, actions: 'yes', sockets_per_address: '100' };
  return election.addPage(Object.entries(settings).flatMap(([name, value]) => ['--set', `http.${name}=${value}`]));
}

// 'judge(page)' gives what is not accessible; 'open(path, url)' a page, 'url' that of another node.
export function testReplay(test, getElection, open, judge) {
  let page;
  let moment;

  const shows = (what, isTrue) => getElection().waitFor(what, 60000, isTrue);
  const countedAt = async (ms) => sum([...(await votesAt(getElection(), 'candidate', ms)).values()]);
  const shownMs = () => page.evaluate(() => Number(document.getElementById('replay-slider').value) * 1000);

  test('a link shows in each view the numbers that the history has for its moment', async () => {
    const election = getElection();
    let range;
    await election.waitFor('a past', 60000, async () => {
      range = await election.get('/api/v1/history?table=totals');
      return range.points > 12 && range.rows[0][4] > 0;
    });
    moment = range.from_ms + Math.floor(range.points / 3) * range.step_ms; // nothing comes so late
    page = await open(linkOf('results', moment));
    const votes = await votesAt(election, 'candidate', moment);
    await shows('the moment', async () => (await numberOf(page, 'counted')) === sum([...votes.values()]));
    assert.deepEqual(await numbersOf(page, 'candidates-body', 3), byVotes(votes.values()));
    assert.match(await textOf(page, 'freshness-name'), /^As of /);
    assert.match(await page.title(), /^As of /);
    assert.equal(await page.$$eval('.is-past #pause:disabled, .is-past #refresh:disabled', (nodes) => nodes.length), 2);

    const counted = await numberOf(page, 'counted');
    await page.waitForTimeout(1500); // newer pictures come beneath
    assert.equal(await numberOf(page, 'counted'), counted);
    await page.reload();
    await shows('the same after a reload', async () => (await numberOf(page, 'counted')) === counted);

    await page.click('#views a[href^="#/places"]');
    await page.waitForSelector('#places-body tr');
    await page.selectOption('#places-size', '100');
    const states = [...(await votesAt(election, 'state', moment)).values()];
    assert.deepEqual(await numbersOf(page, 'places-body', 1).then(byVotes).then((all) => all.filter((n) => n > 0)),
      byVotes(states).filter((n) => n > 0));

    await page.click('#views a[href^="#/breakdowns"]');
    await page.waitForSelector('[data-key="gender"] .bar-value');
    const genders = await page.$$eval('[data-key="gender"] .bar-value', (nodes) => nodes.map((node) => Number(node.textContent.replaceAll(',', ''))));
    assert.deepEqual(byVotes(genders), byVotes((await votesAt(election, 'gender', moment)).values()));

    await page.click('#views a[href^="#/time"]');
    await page.waitForSelector('#times-body tr');
    const legend = await page.$$eval('#time-legend .strong', (nodes) => nodes.map((node) => Number(node.textContent.replaceAll(',', ''))));
    assert.deepEqual(byVotes(legend), byVotes(votes.values()));

    await page.click('#views a[href^="#/pipeline"]');
    await shows('that it has none', async () => /no past/.test(await textOf(page, 'lack')));
    assert.equal(await page.$eval('#view-pipeline', (node) => node.hidden), true);
    assert.equal(await shownMs(), moment);
  });

  test('the past is worked by keys, played and paused, and accessible', async () => {
    await page.click('#views a[href^="#/results"]');
    await page.waitForSelector('#candidates-body tr');
    await page.focus('#replay-slider');
    await page.keyboard.press('ArrowLeft');
    await shows('a second before', async () => (await shownMs()) === moment - SECOND_MS
      && (await numberOf(page, 'counted')) === await countedAt(moment - SECOND_MS));
    assert.match(await page.getAttribute('#replay-slider', 'aria-valuetext'), /\d\d:\d\d:\d\d$/);
    await page.keyboard.press('PageUp');
    await shows('a minute on, or the end', async () => (await shownMs()) > moment);
    await page.keyboard.press('Home');
    await shows('no votes yet', async () => (await numberOf(page, 'counted')) === 0);
    await page.selectOption('#replay-speed', '1'); // faster, the past would be over before it is paused
    await page.click('#replay-play');
    await shows('votes that come in once more', async () => (await numberOf(page, 'counted')) > 0);
    assert.equal(await textOf(page, 'replay-play'), 'Pause replay');
    await page.click('#replay-play');
    await shows('a moment at rest', async () => (await textOf(page, 'replay-play')) === 'Play'
      && (await numberOf(page, 'counted')) === await countedAt(await shownMs()));
    assert.equal(new URLSearchParams(new URL(page.url()).hash.split('?')[1]).get('at'),
      `${new Date(await shownMs()).toISOString().slice(0, 19).replace(/:00$/, '')}Z`);

    for (const [width, colorScheme] of [[320, 'dark'], [1440, 'light']]) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme });
      assert.deepEqual(await judge(page), [], `${width} ${colorScheme}`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= width);
      await shoot(page, `replay-${width}-${colorScheme}`);
    }
  });

  test('back to live is the newest picture, as is the way back of the browser', async () => {
    const election = getElection();
    await page.click('#replay-leave');
    const now = (await election.get('/api/v1/snapshot')).rows.totals[0][4];
    await shows('the newest picture', async () => (await numberOf(page, 'counted')) >= now);
    assert.equal(await textOf(page, 'freshness-name'), 'Live');
    assert.equal(await page.isVisible('#replay-bar'), false);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'replay');
    await page.keyboard.press('Enter');
    await shows('the newest moment', async () => (await page.isVisible('#replay-bar'))
      && /^As of /.test(await textOf(page, 'freshness-name')));
    await page.goBack();
    await shows('the newest picture again', async () => (await textOf(page, 'freshness-name')) === 'Live');
    await page.context().close();
  });

  test('one operator leads all screens through the past, and back', async () => {
    const election = getElection();
    const node = await addLedNode(election);
    const pages = [];

    const get = async (path) => (await fetch(`${node.url}/api/v1/${path}`, { headers: { Authorization: `Bearer ${TOKENS.bob}` } })).json();
    const order = (who, body, headers = {}) => fetch(`${node.url}/api/v1/replay`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${TOKENS[who]}`, 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    const enter = async (who, path = '/') => {
      const one = await open('/login', node.url);
      pages.push(one);
      await one.request.post(`${node.url}/api/v1/session`, { data: { token: TOKENS[who] } });
      await one.goto(node.url + path);
      await one.waitForSelector('#account', { state: 'attached' });
      await one.waitForSelector('#candidates-body tr', { state: 'attached' });
      return one;
    };
    const isLive = async (one) => (await textOf(one, 'freshness-name')) === 'Live' && one.isHidden('#replay-bar');
    // Painted, the numbers of that moment: those of the API.
    const showsMoment = (one, ms) => shows(`the moment ${ms}`, async () => {
      const { rows } = await get(`snapshot?as_of_ms=${ms}`);
      return (await numberOf(one, 'counted')) === rows.totals[0][4]
        && JSON.stringify(await numbersOf(one, 'candidates-body', 3)) === JSON.stringify(byVotes(rows.candidate.map((row) => row[1])));
    });

    try {
      await shows('a second node', async () => (await get('snapshot')).rows.totals[0][4] > 0);
      const lead = await enter('ada', linkOf('results', moment));
      const follower = await enter('bob');
      assert.ok(await follower.isHidden('#led'));

      // Not for others, not from elsewhere, not what is wrong, and not on a node that does not have it.
      const refused = await order('bob', { action: 'start', at_ms: moment });
      assert.equal(refused.status, 403);
      assert.match((await refused.json()).error.message, /needs the role operator, and bob is viewer/);
      assert.equal((await order('ada', { action: 'stop' }, { Origin: 'http://elsewhere.example' })).status, 403);
      const wrong = await order('ada', { action: 'start', at_ms: moment, sped: 60 });
      assert.equal(wrong.status, 400);
      assert.match((await wrong.json()).error.message, /"sped".*did you mean "speed"/);
      assert.equal((await fetch(`${election.url}/api/v1/replay`, { method: 'POST' })).status, 404);
      assert.equal((await get('snapshot')).lead, undefined);

      await lead.click('#replay-show');
      await shows('who leads', async () => (await textOf(follower, 'replay-led')).includes('ada'));
      await showsMoment(follower, moment);
      await showsMoment(lead, moment);
      assert.equal(new URL(lead.url()).hash, '#/results');
      assert.deepEqual([await follower.isHidden('#replay-play'), await follower.isDisabled('#replay-slider')], [true, true]);
      assert.deepEqual([await follower.isHidden('#replay-end'), await lead.isVisible('#replay-end')], [true, true]);

      await lead.focus('#replay-slider');
      await lead.keyboard.press('ArrowRight');
      await shows('a second on', async () => (await get('snapshot')).lead.at_ms === moment + SECOND_MS);
      await showsMoment(follower, moment + SECOND_MS);
      const late = await enter('bob');
      await showsMoment(late, moment + SECOND_MS);

      await lead.selectOption('#replay-speed', '1'); // faster, it would come to the second that is still counted
      await shows('the speed', async () => (await get('snapshot')).lead.speed === 1);
      await lead.click('#replay-play');
      const from = await numberOf(late, 'counted');
      await shows('votes that come in once more', async () => (await numberOf(follower, 'counted')) > from && (await numberOf(late, 'counted')) > from);
      const { at_ms: still } = (await (await order('ada', { action: 'pause' })).json()).lead;
      for (const one of [lead, follower, late]) {
        await showsMoment(one, still);
      }

      // One's own way, and back.
      await late.click('#replay-leave');
      await shows('the newest numbers', () => isLive(late));
      await order('ada', { action: 'seek', at_ms: moment });
      await showsMoment(follower, moment);
      assert.ok(await isLive(late));
      await shoot(late, 'led-left-1440-light');
      await late.click('#led-follow');
      await showsMoment(late, moment);
      assert.ok(await late.isHidden('#led'));

      for (const [name, one, width, colorScheme] of [['lead', lead, 320, 'dark'], ['lead', lead, 1440, 'light'],
        ['follower', follower, 320, 'light']]) {
        await one.setViewportSize({ width, height: 900 });
        await one.emulateMedia({ colorScheme });
        await shoot(one, `led-${name}-${width}-${colorScheme}`);
        assert.deepEqual(await judge(one), [], `${name} ${width} ${colorScheme}`);
      }

      await lead.click('#replay-end');
      for (const one of [lead, follower, late]) {
        await shows('the newest numbers', () => isLive(one));
      }
      const now = (await get('snapshot')).rows.totals[0][4];
      await shows('a count that goes on', async () => (await numberOf(follower, 'counted')) >= now);
      assert.match(node.log, /audit access: ada \(operator\) from 127\.0\.0\.1: replay for all: play at [^,]+, speed 1: ok/);
      assert.match(node.log, /replay for all: stop: ok/);
    } finally {
      await Promise.all(pages.map((one) => one.context().close()));
      await node.stop();
    }
  });
}
