// Every state that the page can be in, on a feed that the test writes: what it says then, and whether all
// can read it. Nothing waits for time to pass; pictures of each state are artefacts.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { contrast } from './basics.mjs';
import { testLate } from './late.mjs';
import {
  Browser, columnOf, judge, numberOf, numbersOf, shoot, skipWithoutBrowser,
} from './page.mjs';
import { testPainting } from './painting.mjs';
import { testPastLinks } from './past_link.mjs';
import { HOSTILE, LEFTWARD, LONG } from './register.mjs';
import {
  Count, Files, SHAPES, Script, pipelineOf, stageOf,
} from './script.mjs';

const PEOPLE = [{ name: 'Ann Field', party: 'One Party' }, { name: 'Bo Marsh', party: 'Two Party' },
  { name: 'Cy Wood', party: '' }];
const STATES = ['Ohio', 'Texas', 'Utah', 'Iowa', 'Maine'];
const ALL = [[320, 'dark'], [320, 'light'], [768, 'light'], [768, 'dark'], [1440, 'dark'], [1440, 'light']];
const DAY_MS = 24 * 3600 * 1000;

skipWithoutBrowser([]);

let files;
let browser;
const found = []; // what is wrong with any of the states

const countOf = (change = {}) => new Count({ people: PEOPLE, states: STATES, ...change });

// A count that goes on, in the page.
async function openLive(change, options) {
  const count = countOf(change);
  count.voteAnywhere(50);
  const script = await Script.open(browser, count, options);
  await script.begin();
  if (options?.path === undefined) { // the module of the first view comes in its own time
    await script.passUntil('results', async () => (await columnOf(script.page, 'candidates-body', 1)).length > 0, 20);
  }
  return script;
}

// The state as it is now, judged where it is narrow and dark; with pictures at three widths in both themes,
// and judged where it is wide and light, too.
async function look({ page }, name, isSeen = true) {
  for (const [width, colorScheme] of isSeen ? ALL : ALL.slice(0, 1)) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    if (isSeen) {
      await shoot(page, `state-${name}-${width}-${colorScheme}`);
    }
    if ((width === 320) === (colorScheme === 'dark') && width !== 768) {
      found.push(...(await judge(page)).map((one) => `${name} ${width} ${colorScheme}: ${one}`));
    }
  }
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.emulateMedia({ colorScheme: 'light' });
}

before(async () => {
  files = await Files.begin();
  browser = await Browser.begin(files);
});

after(async () => {
  await browser?.end();
  await files?.end();
});

test('before the first picture it says that it connects, before the first vote that there is none', async () => {
  const script = await Script.open(browser, countOf());
  assert.equal(await script.text('freshness-name'), 'Connecting');
  await look(script, 'connecting', false);
  await script.begin();
  assert.equal(await script.text('freshness-name'), 'Live');
  assert.equal(await script.text('source'), 'Waiting for the first vote');
  assert.equal(await script.text('leader-name'), 'No votes yet');
  assert.equal(await script.text('counted'), '0');
  assert.deepEqual(await numbersOf(script.page, 'candidates-body', 3), [0, 0, 0]);
  await look(script, 'empty');
  await script.close();
});

test('frozen, it says within a second that it is late, then without connection, and how old all is', async () => {
  const script = await openLive();
  const states = [];
  for (let second = 1; second <= 20; second += 1) {
    await script.pass(1000);
    states.push(await script.text('freshness-name'));
    if (second === 9) {
      assert.match(await script.text('source'), /^Numbers are (8|9)\u00a0s old$/);
      await look(script, 'late');
    }
  }
  assert.deepEqual(states.map((state, i) => [i + 1, state]).filter(([, state], i) => state !== states[i - 1]),
    [[1, 'Live'], [8, 'Late'], [15, 'Disconnected']]);
  assert.match(await script.text('notice'), /^No connection for (19|20)\u00a0s\. These numbers are old/);
  assert.equal(await numberOf(script.page, 'counted'), script.count.total());
  await look(script, 'disconnected');
  await script.close();
});

test('where sockets are refused it polls, and calls stale what stops coming', async () => {
  const script = await openLive();
  const { count } = script;
  const isState = (state) => async () => await script.text('freshness-name') === state;
  script.answers.version = () => ({ epoch: count.epoch, seq: count.seq });
  script.answers.changes = () => ({
    ...count.snapshot(), type: 'changes', since: 1, next: `${count.epoch}-${count.seq}`,
  });
  await script.page.evaluate(() => {
    window.feed.refuses = true;
    window.feed.socket.close();
  });
  await script.passUntil('polling', isState('Live, by polling'));
  count.voteAnywhere(3);
  count.seq += 1;
  await script.passUntil('the numbers', async () => await numberOf(script.page, 'counted') === count.total());
  await look(script, 'polling', false);
  script.answers.version = () => new Promise(() => {});
  await script.passUntil('stale', isState('Stale'));
  assert.match(await script.text('notice'), /^Nothing was heard for 1\d\u00a0s\. These numbers are old/);
  await look(script, 'stale');
  await script.passUntil('disconnected', isState('Disconnected'));
  await script.close();
});

test('no votes with a feed that is alive are not old, and a source that is gone is told apart', async () => {
  const script = await openLive();
  script.count.about.source = 'quiet';
  for (let i = 0; i < 12; i += 1) {
    await script.say(script.count.beat());
    await script.pass(5000);
  }
  assert.equal(await script.text('freshness-name'), 'Live');
  assert.equal(await script.text('source'), 'No new votes, feed alive');
  script.count.about.source = 'silent';
  await script.say(script.count.beat());
  assert.equal(await script.text('source'), 'The source is silent');
  await script.close();
});

test('a tie, another leader and the end of the count are told when they come', async () => {
  const count = countOf({ registered: 50 });
  const script = await Script.open(browser, count);
  ['Ohio', 'Texas'].forEach((state, who) => count.vote(state, who, 70));
  count.vote('Utah', 2, 10);
  await script.begin();
  assert.equal(await script.text('leader-title'), 'Tied for the lead');
  assert.equal(await script.text('leader-name'), 'Ann Field and Bo Marsh');
  assert.equal(await script.text('leader-lead'), '2 candidates with 70 votes each');
  await look(script, 'tie');
  count.vote('Iowa', 2, 100);
  await script.next();
  assert.equal(await script.text('leader-title'), 'Leading candidate');
  assert.equal(await script.text('leader-name'), 'Cy Wood');
  assert.equal(await script.text('leader-party'), 'No party');
  assert.equal(await script.text('leader-lead'), '40 votes ahead of Ann Field (16.0\u00a0pts)');
  assert.deepEqual(await columnOf(script.page, 'candidates-body', 1), ['CWCy Wood', 'AFAnn Field', 'BMBo Marsh']);
  assert.equal(await script.text('progress'), '> 99.9\u00a0%'); // all that are expected, and not declared so
  count.about.status = 'complete';
  await script.next();
  assert.deepEqual([await script.text('status'), await script.text('progress')], ['Complete', '100.0\u00a0%']);
  await look(script, 'complete', false);
  await script.close();
});

test('of nine candidates six slices are drawn, each marked, and they are the shares of the table', async () => {
  const people = Array.from('ABCDEFGHI', (letter) => ({ name: `${letter}lex Name`, party: `${letter} Party` }));
  const script = await openLive({ people });
  const { page } = script;
  const tenths = (shown) => Math.round(parseFloat(shown) * 10);
  const shares = (await columnOf(page, 'candidates-body', 4)).map(tenths);
  const texts = (selector) => page.$$eval(selector, (nodes) => nodes.map((node) => node.textContent));
  const legend = (await texts('.legend-share')).map(tenths);
  assert.equal(await page.locator('#ring-slices .slice').count(), 6);
  assert.deepEqual(legend.slice(0, 5), shares.slice(0, 5));
  assert.equal(legend[5], shares.slice(5).reduce((sum, share) => sum + share, 0));
  assert.equal(shares.reduce((sum, share) => sum + share, 0), 1000);
  for (const selector of ['.slice text', '#ring-legend .swatch']) {
    assert.equal(new Set(await texts(selector)).size, 6, selector);
  }
  assert.deepEqual(await pale(page), []);
  await look(script, 'nine');
  await script.close();
});

// Marks whose colour, or outline, does not stand out from the card by 3:1, in either theme.
async function pale(page) {
  const all = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    const { paper, marks } = await page.evaluate(() => {
      const pen = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
      const bytesOf = (colour) => {
        pen.clearRect(0, 0, 1, 1);
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        return [...pen.getImageData(0, 0, 1, 1).data];
      };
      return {
        paper: bytesOf(getComputedStyle(document.querySelector('.card')).backgroundColor),
        marks: [...document.querySelectorAll('.bar-fill, .strip-part, .swatch, .slice path')].map((node) => {
          const style = getComputedStyle(node);
          const outline = style.getPropertyValue('--outline');
          return {
            html: node.outerHTML.slice(0, 80),
            colours: [node.tagName === 'path' ? style.stroke : style.backgroundColor,
              ...(outline && outline !== 'transparent' ? [outline] : [])].map(bytesOf),
          };
        }),
      };
    });
    assert.ok(marks.length > 0);
    all.push(...marks.filter(({ colours }) => colours.every((colour) => contrast(colour, paper) < 3))
      .map(({ html, colours }) => `${html}: ${colours.join(' or ')} on ${paper}`));
  }
  return all;
}

test('names that are markup, words of the language, long or right-to-left are texts in every view', async () => {
  const names = [HOSTILE, LEFTWARD, LONG, 'constructor', '__proto__'];
  const script = await openLive({
    people: names.map((name, i) => ({ name, party: names[(i + 1) % names.length] })),
    states: names,
    cities: names,
    shapes: { ...SHAPES, valueOf: { title: HOSTILE, texts: ['toString'], columns: ['votes'] } },
  });
  const { page, count } = script;
  script.answers.pipeline = () => pipelineOf(count, names.map((name, i) => stageOf(name, name, names[(i + 1) % 5], {
    module: HOSTILE, cause: HOSTILE, dead_topic: `dead ${name}`, state: 'constructor',
  })), { node: HOSTILE, version: HOSTILE, state: 'constructor', missing: [{ server: HOSTILE, cause: HOSTILE }] });
  const views = await page.$$eval('#views a', (links) => links.map((link) => link.hash.slice(2)));
  for (const view of [...views, 'pipeline?as=table', 'places?place=constructor', 'breakdowns?tables=city,constructor']) {
    const id = view.split('?')[0];
    const last = { time: '#times-body tr', pipeline: '.node' }[id];
    await script.show(view, last && `#view-${id} ${last}`);
    const text = await page.textContent(`#view-${id}`);
    [HOSTILE, LEFTWARD, LONG].forEach((name) => assert.ok(text.includes(name), `${view}: ${name}`));
    assert.ok(!/native code|\[object/.test(text), view);
    assert.equal(await page.locator('[onerror], img[src="x"]').count(), 0, view);
    await look(script, `names-${view.replaceAll(/\W/g, '-')}`, view === 'results');
  }
  await script.close();
});

test('of 3,160 units there is a table in pages, and no cells', async () => {
  const states = Array.from({ length: 3160 }, (_, i) => `County ${i}`);
  const count = countOf({ states });
  states.forEach((state, i) => count.vote(state, i % 3, 1 + ((i * 7919) % 3160)));
  const script = await Script.open(browser, count, { path: '/#/places' });
  await script.begin();
  assert.equal(await script.text('places-pages'), 'Page 1 of 316');
  assert.deepEqual(await numbersOf(script.page, 'places-body', 1), [3160, 3159, 3158, 3157, 3156, 3155, 3154, 3153, 3152, 3151]);
  assert.ok(await script.page.isHidden('#places-where'));
  await look(script, 'units');
  await script.close();
});

test('a clock that is a day wrong makes nothing old, late or negative; a replay is called one', async () => {
  for (const [ahead, kind, badge] of [[-DAY_MS, 'replay', 'Replay'], [DAY_MS, 'live', '']]) {
    const count = countOf();
    count.kind = kind;
    count.voteAnywhere(9);
    const script = await Script.open(browser, count, { ahead });
    await script.begin();
    assert.deepEqual([await script.text('kind'), await script.page.isVisible('#kind')], [badge, badge !== '']);
    await script.pass(3000);
    await script.next();
    assert.equal(await script.text('freshness-name'), 'Live');
    assert.equal(await script.text('as-of'), new Date(script.count.about.as_of_ms).toISOString().slice(11, 19));
    await script.show('pipeline', '.node');
    const figures = await script.page.$$eval('.node-figures dd', (nodes) => nodes.map((node) => node.textContent));
    assert.deepEqual(figures.slice(2, 4), ['1\u00a0min', '0\u00a0s ago']);
    await script.close();
  }
});

test('aloud, only who leads, how the feed is and the end are told, at most every 30 s', async () => {
  const script = await openLive();
  const { page, count } = script;
  await page.evaluate(() => {
    window.said = [];
    new MutationObserver(() => window.said.push([Date.now(), document.getElementById('voice').textContent]))
      .observe(document.getElementById('voice'), { childList: true, characterData: true, subtree: true });
  });
  for (let second = 0; second < 65; second += 1) {
    count.vote('Ohio', second % 3, 5000 + second * 1000);
    await script.next();
  }
  count.about.status = 'complete';
  await script.next();
  for (let second = 0; second < 40; second += 1) {
    await script.pass(1000);
  }
  const said = await page.evaluate(() => window.said);
  assert.ok(said.length >= 3 && said.length <= 5, JSON.stringify(said));
  said.slice(1).forEach(([at], i) => assert.ok(at - said[i][0] >= 30000, JSON.stringify(said)));
  said.forEach(([, text]) => assert.match(text.replace(/[\u2066-\u2069]/g, ''),
    /^((Ann Field|Bo Marsh|Cy Wood) leads with [\d,]+ votes\. ?|The count is complete\. ?|The connection is lost, the numbers are old\. ?)+$/));
  assert.match(said.at(-1)[1], /The connection is lost/);
  await script.close();
});

testPainting(test, openLive);
testLate(test, openLive);
testPastLinks(test, openLive);

test('every state is accessible, stands still and fits', () => {
  assert.deepEqual(found, []);
});

test('the browser complained of nothing', () => {
  assert.deepEqual(browser.complaints, []);
});
