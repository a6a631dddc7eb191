// What comes late, fails or is not there: the page goes on, asks again when it is time, and never in a pause.
import assert from 'node:assert/strict';

import { columnOf, numberOf } from './page.mjs';
import { SHAPES } from './script.mjs';

const asksFor = (script, name) => script.asked.filter((path) => path === name).length;

export function testLate(test, open) {
  test('a view that fails after another one was opened leaves that one as it is', async () => {
    const script = await open();
    const { page } = script;
    let fail;
    await page.route('**/js/breakdowns.js', (route) => {
      fail = () => route.fulfill({ contentType: 'text/javascript', body: 'throw new Error("too late");' });
    });
    await page.click('#views a[href="#/breakdowns"]');
    await script.passUntil('the question', () => fail !== undefined, 10);
    await script.show('places', '#places-body tr');
    await fail();
    await page.evaluate(async () => import('/js/breakdowns.js').catch(() => {})); // it has failed
    script.count.vote('Ohio', 0, 5000);
    await script.next();
    assert.equal((await columnOf(page, 'places-body', 1)).filter((votes) => votes.startsWith('5,')).length, 1);
    assert.equal(await page.title(), 'Places – Election Night');
    assert.equal(await page.locator('#main [role=alert]').count(), 0);
    await script.close();
  });

  test('a view that cannot be had says so, and all else goes on', async () => {
    const script = await open();
    await script.page.route('**/js/time.js', (route) => route.fulfill({ contentType: 'text/javascript', body: 'throw new Error("gone");' }));
    await script.show('time', '#main [role=alert]');
    assert.match(await script.page.textContent('#main'), /This view could not be fetched/);
    await script.show('results', '#candidates-body tr');
    script.count.voteAnywhere(9);
    await script.next();
    assert.equal(await numberOf(script.page, 'counted'), script.count.total());
    await script.close();
  });

  test('a past that could not be fetched is asked for again without another vote', async () => {
    const script = await open();
    const { history } = script.answers;
    script.answers.history = () => undefined;
    await script.show('time', '#time-empty:not([hidden])');
    assert.equal(await script.text('time-empty'), 'The past could not be fetched. The page keeps trying.');
    script.answers.history = history;
    await script.passUntil('the past', async () => await script.page.locator('#times-body tr').count() > 0);
    assert.ok(await script.page.isHidden('#time-empty'));
    await script.close();
  });

  test('a question that waits for its turn is not asked in a pause', async () => {
    const script = await open();
    await script.show('time', '#times-body tr');
    script.count.voteAnywhere(3);
    await script.say(script.count.delta());
    await script.pass(50); // painted, and the past asked for so lately that the next question waits
    script.asked.length = 0;
    await script.page.click('#pause');
    await script.pass(10000);
    assert.deepEqual(script.asked, []);
    await script.page.click('#pause');
    await script.passUntil('the past', () => asksFor(script, 'history') > 0);
    await script.close();
  });

  test('the pipeline is asked for while it is looked at, at once when a reader wants it, and never in a pause', async () => {
    const script = await open();
    const { page, count } = script;
    const isAsked = async (what) => {
      await script.passUntil(what, () => asksFor(script, 'pipeline') > 0, 100);
      await script.pass(100); // the answer has come
      script.asked.length = 0;
    };
    script.answers.version = () => ({ epoch: count.epoch, seq: count.seq });
    script.answers.changes = () => ({ ...count.snapshot(), type: 'changes', since: 1, next: `${count.epoch}-${count.seq}` });
    await script.show('pipeline', '.stage');
    await isAsked('each second');
    await isAsked('each second');
    await page.click('#display summary');
    await page.focus('#interval');
    await page.keyboard.press('End');
    await isAsked('a minute between');
    await script.pass(20000);
    assert.equal(asksFor(script, 'pipeline'), 0, 'every minute');
    await page.click('#refresh');
    await isAsked('a refresh');
    await page.focus('#display summary');
    await page.keyboard.press('Enter');
    await page.focus('#interval');
    await page.keyboard.press('Home');
    await isAsked('another pace');
    await page.click('#pause');
    await script.pass(5000);
    script.asked.length = 0;
    await script.hide(true);
    await script.hide(false);
    await script.pass(5000);
    assert.equal(asksFor(script, 'pipeline'), 0, 'paused');
    await page.click('#pause');
    await isAsked('a pause that is over');
    await script.show('results', '#candidates-body tr');
    script.asked.length = 0;
    await script.pass(5000);
    assert.equal(asksFor(script, 'pipeline'), 0, 'another view');
    await script.close();
  });

  test('where nobody counts candidates by place, a place has votes and nothing is said of a lead', async () => {
    const { state_candidate: none, ...shapes } = SHAPES;
    const script = await open({ shapes }, { path: '/#/places' });
    await script.show('places?place=Ohio', '#places-body tr');
    script.count.vote('Ohio', 0, 3000);
    await script.next();
    assert.match(await script.text('places-one-note'), /^Ohio: 3,\d+ votes, \d+\.\d\u00a0% of the registered voters counted$/);
    assert.deepEqual(await script.page.$$eval('.change', (nodes) => nodes.map((node) => [node.children[0].textContent,
      node.children[1].textContent, node.children[2].textContent])), [['Ohio', '+3,000', '']]);
    await script.close();
  });

  test('rows change places every 5 s at most, new ones are there at once, and the focus stays on its row', async () => {
    const script = await open({}, { path: '/#/places' });
    const { page, count } = script;
    await script.show('places', '#places-body tr');
    const order = () => columnOf(page, 'places-body', 0);
    await script.pass(6000);
    await script.next(); // ranked
    const before = await order();
    const last = before.at(-1);
    await page.focus(`#places-body tr:last-child button`);
    count.vote(last, 0, 9000);
    await script.next();
    assert.deepEqual(await order(), before);
    for (let i = 0; i < 5; i += 1) {
      count.vote(last, 0);
      await script.next();
    }
    assert.deepEqual(await order(), [last, ...before.slice(0, -1)]);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), last);
    count.vote('Guam', 0, 20000);
    await script.next();
    assert.deepEqual((await order()).slice(0, 2), ['Guam', last]);
    await script.close();
  });

  test('a window that slides on shows its newest rows at once, though their number is the same', async () => {
    const script = await open();
    const shown = await script.page.evaluate(async () => {
      const { Table } = await import('/js/table.js');
      const root = document.createElement('div');
      document.querySelector('main').append(root);
      const table = new Table(root, {
        name: 'window', columns: [{ id: 'at', title: 'At', isNumber: true, value: (row) => row }], keyOf: (row) => row, sort: 'at', isAscending: false, empty: '',
      }, { get: () => null, choice: (name, allowed, otherwise) => otherwise, set: () => {} });
      table.update([1, 2, 3]);
      table.update([2, 3, 4]);
      return [...root.querySelectorAll('tbody tr')].map((row) => row.textContent);
    });
    assert.deepEqual(shown, ['4', '3', '2']);
    await script.close();
  });
}
