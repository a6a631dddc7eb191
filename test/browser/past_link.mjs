// A link to a moment, where what it asks for comes late, not at all, or in another order.
import assert from 'node:assert/strict';

import { numberOf } from './page.mjs';

const SECOND_MS = 1000;

const linkOf = (ms, view = 'results') => `/#/${view}?at=${new Date(ms).toISOString().slice(0, 19)}Z`;

// The API's answers for the past of a count whose votes came one each second, ten in all, the last just now.
function answerPast(script) {
  const { count, answers } = script;
  const end = Math.floor(count.now / SECOND_MS) * SECOND_MS;
  const from = end - 9 * SECOND_MS;
  const told = () => ({ epoch: count.epoch, from_ms: from, step_ms: SECOND_MS });
  const live = answers.history;
  Object.assign(count.about, { as_of_ms: end + 999, source: 'quiet' });
  answers.history = (query) => (query.get('table') === 'totals'
    ? { ...told(), points: 10, rows: [[0, ...Array.from({ length: 10 }, (_, i) => i + 1)]] }
    : live(query));
  answers.snapshot = (query) => {
    const at = Math.min(Number(query.get('as_of_ms')), end);
    const votes = Math.max(0, 1 + (at - from) / SECOND_MS);
    const rows = Object.fromEntries([...count.tables].map(([name, held]) => [name, [...held.values()]
      .map(({ row, values }) => [row, ...values.map(() => 0)])]));
    rows.totals = [[0, null, null, null, votes]];
    rows.candidate[0][1] = votes;
    return {
      type: 'past', epoch: count.epoch, as_of_ms: at + 999, step_ms: SECOND_MS, status: 'partial', without: [], rows,
    };
  };
  return from;
}

const addressOf = async ({ page }) => new URLSearchParams(new URL(page.url()).hash.split('?')[1]).get('at');
const timeOf = (ms) => new Date(ms).toISOString().slice(0, 19).replace(/:00$/, '');

export function testPastLinks(test, open) {
  test('a link to a moment waits until the server has read what was counted', async () => {
    const script = await open();
    const from = answerPast(script);
    const { about } = script.count;
    const held = { ...about };
    const wanted = from + 4 * SECOND_MS;
    await script.page.goto(new URL(linkOf(wanted), script.page.url()).href);
    await script.page.reload();
    await script.begins();
    Object.assign(about, { as_of_ms: 0, source: 'waiting' });
    await script.say(script.count.hello(), { ...script.count.snapshot(), as_of_ms: 0, source: 'waiting' });
    await script.pass(3000);
    await script.passUntil('the bar', async () => await script.page.isVisible('#replay-note'), 100);
    assert.match(await script.text('replay-note'), /knows no past yet/);
    assert.equal(await addressOf(script), `${timeOf(wanted)}Z`);
    assert.deepEqual(script.asked.filter((name) => name === 'snapshot'), []);
    Object.assign(about, held);
    await script.next();
    await script.passUntil('the moment', async () => await numberOf(script.page, 'counted') === 5, 100);
    assert.equal(await addressOf(script), `${timeOf(wanted)}Z`);
    assert.equal(await script.text('freshness-name'), `As of ${timeOf(wanted).slice(11)}`);
    await script.close();
  });

  test('a link that is played from takes the moment along in the address', async () => {
    const script = await open();
    const from = answerPast(script);
    await script.show(linkOf(from).slice(3), '#replay-bar:not([hidden])');
    await script.next();
    await script.passUntil('the moment', async () => await numberOf(script.page, 'counted') === 1, 100);
    await script.page.selectOption('#replay-speed', '1');
    await script.page.click('#replay-play');
    await script.passUntil('votes', async () => await numberOf(script.page, 'counted') > 3, 100);
    assert.notEqual(await addressOf(script), `${timeOf(from)}Z`);
    assert.equal(await script.text('replay-play'), 'Pause replay');
    await script.close();
  });

  test('back from the past before there is anything newer nothing of it stays', async () => {
    const script = await open();
    const from = answerPast(script);
    const { page, count } = script;
    await script.show(linkOf(from + 4 * SECOND_MS).slice(3), '#replay-bar:not([hidden])');
    await script.passUntil('the moment', async () => await numberOf(page, 'counted') === 5, 100);
    count.epoch = 'e2';
    await script.say(count.hello());
    await page.click('#replay-leave');
    await script.passUntil('now', async () => await page.isHidden('#replay-bar'), 100);
    assert.equal(await script.text('lack'), 'Fetching the count');
    assert.ok(await page.isHidden('#view-results'));
    assert.doesNotMatch(await page.title(), /^As of/);
    assert.equal(await addressOf(script), null);
    await script.say(count.snapshot());
    await script.passUntil('the newest numbers', async () => await page.isVisible('#view-results'), 100);
    assert.equal(await numberOf(page, 'counted'), count.total());
    assert.ok(await page.isHidden('#lack'));
    assert.equal(await page.evaluate(() => document.activeElement.id), 'replay');
    await script.close();
  });

  test('where replay cannot be had the page says so and stays with the newest numbers', async () => {
    const script = await open();
    const { page, count } = script;
    await page.route('**/js/replay.js', (route) => route.fulfill({ contentType: 'text/javascript', body: 'throw new Error("gone");' }));
    await page.click('#replay');
    await script.passUntil('that it is missing', async () => /could not be fetched/.test(await script.text('trouble')), 100);
    assert.equal(await addressOf(script), null);
    assert.equal(await page.getAttribute('#replay', 'aria-pressed'), 'false');
    count.voteAnywhere(9);
    await script.next();
    await script.passUntil('newer numbers', async () => await numberOf(page, 'counted') === count.total(), 100);
    assert.match(await script.text('trouble'), /newest numbers/);
    await script.close();
  });

  test('played, the slider is not read out; the menu lies over the bar; the pipeline is not asked for', async () => {
    const script = await open();
    const from = answerPast(script);
    const { page, asked } = script;
    await script.show(linkOf(from).slice(3), '#replay-bar:not([hidden])');
    await script.passUntil('the moment', async () => await numberOf(page, 'counted') === 1, 100);
    const said = () => page.getAttribute('#replay-slider', 'aria-valuetext');
    const first = await said();
    await page.selectOption('#replay-speed', '1');
    await page.click('#replay-play');
    await page.focus('#replay-slider');
    await script.passUntil('votes', async () => await numberOf(page, 'counted') > 3, 100);
    assert.equal(await said(), first);
    await page.click('#replay-play');
    assert.notEqual(await said(), first);
    await page.click('#display summary');
    assert.ok(await page.evaluate(() => {
      const panel = document.querySelector('#display .menu-panel');
      const [box, bar] = [panel.getBoundingClientRect(), document.getElementById('replay-bar').getBoundingClientRect()];
      return box.bottom > bar.top && panel.contains(document.elementFromPoint(box.left + 20, (bar.top + bar.bottom) / 2));
    }));
    await page.click('#display summary');
    await script.show(`pipeline?at=${await addressOf(script)}`, '#view-pipeline');
    await script.passUntil('that it has no past', async () => /no past/.test(await script.text('lack')), 100);
    await script.pass(1000);
    asked.length = 0;
    await script.pass(5000);
    assert.deepEqual(asked.filter((name) => name === 'pipeline'), []);
    await page.click('#replay-leave');
    await script.passUntil('the pipeline', () => asked.includes('pipeline'));
    await script.close();
  });

  test('over time neither the past is drawn as now nor now as the past, however late answers come', async () => {
    const script = await open();
    const from = answerPast(script);
    const { page, answers } = script;
    const { history } = answers;
    await script.show('time', '#times-body tr');
    const rows = () => page.locator('#times-body tr:visible').count();
    await script.passUntil('the curves', async () => await rows() > 0);
    const late = [];
    answers.history = (query) => (query.get('table') === 'totals' ? history(query)
      : new Promise((resolve) => {
        late.push(() => resolve(history(query)));
      }));
    script.count.voteAnywhere(3);
    await script.next();
    await script.passUntil('a question of now', () => late.length === 1);
    await script.show(linkOf(from + 4 * SECOND_MS, 'time').slice(3), '#replay-bar:not([hidden])');
    await script.passUntil('the moment', async () => /^As of /.test(await script.text('freshness-name')), 100);
    assert.equal(await rows(), 0);
    late[0]();
    await script.passUntil('a question of the past', () => late.length === 2, 100);
    assert.equal(await rows(), 0);
    late[1]();
    await script.passUntil('the curves of the past', async () => await rows() > 0, 100);
    await page.click('#replay-leave');
    await script.passUntil('now', async () => await script.text('freshness-name') === 'Live', 100);
    assert.equal(await rows(), 0);
    await script.passUntil('another question of now', () => late.length === 3, 100);
    late[2]();
    await script.passUntil('the curves of now', async () => await rows() > 0, 100);
    await script.close();
  });

  test('who goes his own way is not led, nor who is paused, until he follows or another replay begins', async () => {
    const script = await open();
    const from = answerPast(script);
    const { page, count } = script;
    const counts = (n) => script.passUntil(`${n} votes`, async () => await numberOf(page, 'counted') === n, 100);
    const lead = (at, began) => {
      count.about.lead = {
        at_ms: at, since_ms: count.now, speed: 60, is_running: false, began_ms: began, by: 'ada',
      };
      return script.next();
    };
    // A link to a moment, opened while an operator leads.
    await lead(from, 1);
    await page.goto(new URL(linkOf(from + 4 * SECOND_MS), page.url()).href);
    await page.reload();
    await script.begins();
    await script.say(count.hello(), count.snapshot());
    await counts(5);
    assert.ok(await page.isVisible('#led'));
    assert.ok(await page.isHidden('#replay-led'));
    await lead(from + SECOND_MS, 1);
    await script.pass(2000);
    assert.equal(await numberOf(page, 'counted'), 5);
    await page.click('#led-follow');
    await counts(2);
    assert.equal(await addressOf(script), null);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'replay');
    assert.match(await script.text('replay-led'), /led by ada$/);
    assert.ok(await page.isHidden('#replay-show') && await page.isHidden('#replay-end') && await page.isHidden('#led'));
    await lead(from + 2 * SECOND_MS, 1);
    await counts(3);

    // The way back leads to his own moment; another replay that begins takes him along.
    await page.goBack();
    await counts(5);
    assert.ok(await page.isVisible('#led'));
    await lead(from + 6 * SECOND_MS, 2);
    await counts(7);

    // It ends; paused, the page stays as it is, and follows when it goes on.
    delete count.about.lead;
    await script.next();
    await counts(count.total());
    await page.click('#pause');
    await lead(from + 7 * SECOND_MS, 3);
    await script.pass(2000);
    assert.equal(await script.text('freshness-name'), 'Paused');
    assert.ok(await page.isHidden('#led'));
    await page.click('#pause');
    await counts(8);
    await script.close();
  });
}
