// The page as a whole, in every view that its navigation has: cut off a hundred times, paused, looked at
// by axe, walked through with the keyboard, weighed. Votes come in at a pace meanwhile.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { contrast, pause, seeded } from './basics.mjs';
import { Election } from './election.mjs';
import {
  Browser, judge, numberOf, numbersOf, shoot, skipWithoutBrowser, textOf,
} from './page.mjs';
import { testReplay } from './replay_page.mjs';
import { watchSides } from './sides.mjs';

// Of these 200 a second come in, so that they still do in the tests that need it, also where all is slow.
const VOTERS = 12000;
const CUTS = 100;
const SEED = Number(process.env.SEED ?? 20241105);
const BUDGET_BYTES = 60 * 1024;
const BUDGET_REQUESTS = 20;

skipWithoutBrowser();

let election;
let browser;
let page;
let views; // as in their addresses
let sides; // what a page of its own sees meanwhile of socket and API

const counted = async () => (await election.get('/api/v1/snapshot')).rows.totals[0][4];

// What a view has once it is whole, also of what it asks for when it is opened.
const LAST = { results: '#candidates-body tr', time: '#times-table tbody tr', pipeline: '.stage' };

// The view, once it is whole and painted.
async function show(view) {
  await page.evaluate((id) => {
    window.location.hash = `#/${id}`;
  }, view);
  const id = view.split('?')[0];
  await page.waitForSelector(`#view-${id} ${LAST[id] ?? 'h2'}`, { state: 'attached' });
  await page.evaluate(() => new Promise((resolve) => {
    requestAnimationFrame(() => requestAnimationFrame(resolve));
  }));
}

before(async () => {
  election = await Election.begin('page_views', ['--set', `stage:generator.voters=${VOTERS}`,
    '--set', 'stage:generator.rate=200',
    // A socket that was refused would be the third failure, and the page would poll for a minute.
    '--set', 'http.sockets_per_address=100', '--set', 'http.sockets_per_second=1000']);
  await election.waitFor('the page', 60000, async () => (await fetch(election.url)).ok);
  browser = await Browser.begin(election);
  page = await browser.open({}, '/', async (opened) => {
    // Sockets can be cut from here, and the page does not wait long until it tries again.
    await opened.addInitScript(() => {
      const Real = window.WebSocket;
      window.opened = 0;
      window.WebSocket = class extends Real {
        constructor(...given) {
          super(...given);
          this.frames = 0;
          this.addEventListener('message', () => {
            this.frames += 1;
          });
          window.opened += 1;
          window.socket = this;
        }
      };
      Math.random = () => 0.05;
    });
  });
  await page.waitForSelector('#candidates-body tr');
  views = await page.$$eval('#views a', (links) => links.map((link) => link.hash.slice(2)));
  const aside = await browser.open();
  sides = { page: aside, seen: aside.evaluate(watchSides) };
  sides.seen.catch(() => {}); // told where it is awaited
});

after(async () => {
  await browser?.end();
  await election?.wipe();
});

test('paused, nothing on the page changes, and one repaint makes it current', async () => {
  const words = () => page.evaluate(() => document.body.innerText);
  await election.waitFor('the first votes', 60000, async () => (await numberOf(page, 'counted')) > 0);
  await page.click('#pause');
  assert.equal(await textOf(page, 'freshness-name'), 'Paused');
  const still = await words();
  const before = await counted();
  await election.waitFor('more votes', 60000, async () => (await counted()) > before + 100);
  assert.equal(await words(), still);
  await page.reload();
  await election.waitFor('the one picture', 60000, async () => (await numberOf(page, 'counted')) > before);
  const again = await words();
  await pause(1500);
  assert.equal(await words(), again, 'the pause is remembered');
  await page.click('#pause');
  const after = await counted();
  await election.waitFor('the newest picture', 60000, async () => (await numberOf(page, 'counted')) >= after);
  await election.waitFor('a live page', 60000, async () => (await textOf(page, 'freshness-name')) === 'Live');
});

test('while voters come in, their number on the page grows', async () => {
  const voters = await numberOf(page, 'voters');
  await election.waitFor('more voters', 60000, async () => (await numberOf(page, 'voters')) > voters);
});

test('a cell that changed carries a mark, unless less of that is asked for', async () => {
  const marks = async () => {
    let found;
    await election.waitFor('a mark', 60000, async () => {
      found = await page.$$eval('.is-changed', (cells) => cells.map((cell) => getComputedStyle(cell).backgroundColor));
      return found.length > 0;
    });
    return found;
  };
  assert.ok((await marks()).every((colour) => colour !== 'rgba(0, 0, 0, 0)'));
  await page.emulateMedia({ reducedMotion: 'reduce' });
  assert.ok((await marks()).every((colour) => colour === 'rgba(0, 0, 0, 0)'));
  await page.emulateMedia({ reducedMotion: 'no-preference' });
});

testReplay(test, () => election, (path, url) => browser.open({}, path, undefined, url), judge);

test(`cut off ${CUTS} times, the figures are those of the database`, async () => {
  const random = seeded(SEED);
  // Every other time the picture has come: after three failures in a row the page would poll for a minute.
  const isOpen = (frames) => election.waitFor('a socket', 90000,
    () => page.evaluate((least) => window.socket?.readyState === 1 && window.socket.frames >= least, frames));
  const first = await page.evaluate(() => window.opened);
  await show('places');
  // One that connects anew meanwhile is let be: of its end the browser would complain.
  const cut = () => page.evaluate(() => {
    const wasOpen = window.socket.readyState === 1;
    if (wasOpen) {
      window.socket.close();
    }
    return wasOpen;
  });
  for (let cuts = 0; cuts < CUTS; cuts += (await cut()) ? 1 : 0) {
    await isOpen(cuts % 2 === 0 ? 2 : 0);
    await pause(random() * 120);
  }
  await isOpen(2);
  assert.ok(await page.evaluate(() => window.opened) >= first + CUTS, `seed ${SEED}`);
  await show('results');
  await election.waitFor('every vote on the page', 120000,
    async () => (await numberOf(page, 'counted')) === VOTERS && (await numberOf(page, 'voters')) === VOTERS);
  const votes = election.query('SELECT count(*) FROM votes GROUP BY candidate_id ORDER BY count(*) DESC');
  assert.deepEqual(await numbersOf(page, 'candidates-body', 3), votes.map(([n]) => Number(n)), `seed ${SEED}`);
  assert.equal(election.number('SELECT count(*) FROM votes'), VOTERS);
});

test('socket, changes and snapshots show the same numbers for the same picture', async () => {
  await sides.page.evaluate(() => {
    window.isEnough = true;
  });
  const {
    socket, same, other, odd,
  } = await sides.seen;
  console.log(`${socket} pictures by socket, ${same} of them seen otherwise, too`);
  assert.deepEqual({ other, odd }, { other: [], odd: [] });
  assert.ok(same >= 20, `${same} pictures were seen twice`);
  await sides.page.context().close();
});

test('every view fits, is accessible and stands still, in both themes', async () => {
  const found = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const width of [320, 768, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      for (const view of views) {
        const where = `${view}-${width}-${colorScheme}`;
        await show(view);
        await shoot(page, where);
        found.push(...(await judge(page, width !== 768)).map((one) => `${where}: ${one}`));
      }
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  assert.deepEqual(found, []);
});

// The next Tab leads to the first control.
async function startOver() {
  await page.evaluate(() => {
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute('tabindex');
  });
}

test('the Tab key reaches every control of every view, in order, and each shows it', async () => {
  for (const view of views) {
    await show(view);
    await startOver();
    const all = await page.evaluate(() => {
      const found = [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex="0"]')]
        .filter((node) => !node.disabled && !(node.type === 'radio' && !node.checked) && node.checkVisibility() && !node.closest('details:not([open]) > :not(summary)'));
      found.forEach((node, i) => {
        node.dataset.stop = i;
      });
      return found.length;
    });
    for (let i = 0; i < all; i += 1) {
      await page.keyboard.press('Tab');
      const stop = await page.evaluate(() => ({
        nth: document.activeElement.dataset.stop,
        html: document.activeElement.outerHTML.slice(0, 120),
        outline: getComputedStyle(document.activeElement).outlineStyle,
        seen: document.activeElement.getBoundingClientRect().width > 0,
      }));
      assert.equal(stop.nth, String(i), `${view}: ${stop.html}`);
      assert.ok(stop.seen && stop.outline !== 'none', `${view}: no focus to see on ${stop.html}`);
    }
  }
});

test('the keyboard alone skips, changes the view, pauses, opens and closes the menu', async () => {
  await show('results');
  await startOver();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  await page.focus(`#views a[href="#/${views[1]}"]`);
  await page.keyboard.press('Enter');
  await page.waitForSelector(`#view-${views[1]}`);
  assert.equal(await page.getAttribute(`#views a[href="#/${views[1]}"]`, 'aria-current'), 'page');
  await page.focus('#pause');
  await page.keyboard.press('Space');
  assert.equal(await textOf(page, 'pause'), 'Resume');
  await page.keyboard.press('Space');
  assert.equal(await textOf(page, 'pause'), 'Pause');
  await page.focus('#display summary');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'interval');
  await page.keyboard.press('Escape');
  assert.equal(await page.getAttribute('#display', 'open'), null);
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'SUMMARY');
});

// The README's pictures: test/run page, then CONTRIBUTING.md says how they come into docs/.
test('the pictures of the README show the election that was counted', async () => {
  assert.equal(await counted(), VOTERS);
  for (const [name, view, colorScheme, last] of [['dashboard', 'results', 'light', '#candidates-body'],
    ['dashboard-places', 'places?place=California', 'dark', '#places-cells']]) {
    await page.emulateMedia({ colorScheme });
    await page.mouse.move(0, 0); // over no button, and none has the focus
    await page.evaluate(() => document.activeElement.blur());
    await show(view);
    await election.waitFor('a repaint, and the end of all marks', 60000,
      async () => await textOf(page, 'next') === 'live' && await page.locator('.is-changed').count() === 0);
    const { y, height } = await page.locator(`section:has(${last})`).boundingBox();
    await shoot(page, `readme/${name}`, Math.ceil(y + height) + 10);
  }
  await page.emulateMedia({ colorScheme: 'light' });
});

test('theme and size are chosen in the menu, at once, and remembered', async () => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await show('results');
  const light = await ground();
  await page.click('#display summary');
  await page.selectOption('#theme', 'dark');
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.setViewportSize({ width: 1920, height: 1080 });
  await page.selectOption('#size', 'projector');
  await page.reload();
  await page.waitForSelector('#bars .bar');
  assert.equal(await ground(), dark);
  const last = await page.locator('#bars .bar').last().boundingBox();
  assert.ok(last.y + last.height < 1080, 'all is on one screen');
  assert.ok(await page.evaluate(() => parseFloat(getComputedStyle(document.querySelector('.bar-label')).fontSize)) >= 30);
  await shoot(page, 'results-projector-dark');
  for (const [view, part] of [['places', '#places-cells li'], ['time', '#time-rate canvas'], ['breakdowns', '.bar']]) {
    await show(view);
    await page.waitForSelector(part);
    for (const [width, height] of [[1280, 720], [1920, 1080]]) {
      await page.setViewportSize({ width, height });
      const found = await page.evaluate(() => ({
        below: document.documentElement.scrollHeight - window.innerHeight,
        controls: [...document.querySelectorAll('main :is(button, input, select)')].filter((node) => node.checkVisibility()).length,
      }));
      assert.deepEqual(found, { below: 0, controls: 0 }, `${view} ${width}`);
    }
    await shoot(page, `${view}-projector-dark`);
  }
  await show('results');
  await page.click('#display summary');
  await page.selectOption('#size', 'standard');
  await page.selectOption('#theme', 'system');
  assert.equal(await ground(), light);
  await page.click('#display summary');
  await page.setViewportSize({ width: 1440, height: 900 });
});

test('colours stand out from both grounds, by themselves or by an outline', async () => {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    const { paper, colours } = await page.evaluate(async () => {
      const { OTHERS, Palette } = await import('/js/palette.js');
      const parties = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
      const palette = new Palette(parties.map((party) => ({ id: party, party })));
      return {
        paper: getComputedStyle(document.querySelector('.card')).backgroundColor.match(/\d+/g).map(Number),
        colours: [...parties.map((party) => palette.ofParty(party)), OTHERS],
      };
    });
    for (const { fill, ink, outline } of colours) {
      const best = Math.max(contrast(bytesOf(fill), paper), outline ? contrast(bytesOf(outline), paper) : 0);
      assert.ok(best >= 3, `${fill} on ${colorScheme}: ${best}`);
      assert.ok(contrast(bytesOf(ink), bytesOf(fill)) >= 4.5, `${ink} on ${fill}`);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
});

const bytesOf = (hex) => hex.slice(1).match(/../g).map((byte) => parseInt(byte, 16));

test('printed, it is one column, black on white, with its times', async () => {
  const printed = () => page.evaluate(() => {
    const seen = (selector) => [...document.querySelectorAll(selector)].filter((node) => node.checkVisibility());
    const style = getComputedStyle(document.body);
    return {
      columns: new Set(seen('main .card').map((card) => Math.round(card.getBoundingClientRect().left))).size,
      colours: [style.color, style.backgroundColor],
      hasTimes: ['as-of', 'received', 'changed'].every((id) => document.getElementById(id).checkVisibility()),
      tools: seen('#pause, main :is(.button, select, input)').length,
    };
  });
  for (const view of views) {
    await show(view);
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    await shoot(page, `${view}-print`);
    assert.deepEqual(await printed(), {
      columns: 1, colours: ['rgb(0, 0, 0)', 'rgb(255, 255, 255)'], hasTimes: true, tools: 0,
    }, view);
    await page.emulateMedia({ media: 'screen', colorScheme: 'light' });
  }
  await show('results');
});

test('every word is of the catalogue: in another language none is left', async () => {
  const path = '/js/words.js';
  const source = await (await fetch(election.url + path)).text();
  const other = await browser.open({}, '/', (opened) => opened.route(`**${path}`, (route) => route.fulfill({
    contentType: 'text/javascript',
    body: `${source}
      (function translate(held) {
        for (const [name, word] of Object.entries(held)) {
          if (typeof word === 'string') held[name] = word && '«' + word + '»';
          else if (typeof word === 'function') held[name] = (...given) => '«' + word(...given) + '»';
          else translate(word);
        }
      })(words);`,
  })));
  const data = new Set();
  const collect = (held) => {
    if (typeof held === 'string') {
      data.add(held);
    } else if (held !== null && typeof held === 'object') {
      Object.values(held).forEach(collect);
    }
  };
  for (const view of [...views, 'places?as=map&place=California', 'breakdowns?tables=age,gender,party,city', 'pipeline?as=table']) {
    await other.goto(`${election.url}/#/${view}`);
    await other.waitForSelector(`#view-${view.split('?')[0]} h2`);
    await other.waitForSelector({ 'places?as=map&place=California': '.map path', 'pipeline?as=table': '#flow-body tr' }[view] ?? 'h2');
    await election.waitFor('the numbers', 60000, async () => (await textOf(other, 'as-of')) !== '–');
    const texts = await other.evaluate(() => {
      const found = [];
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const { parentElement, data: text } = walker.currentNode;
        if (parentElement.checkVisibility() && !parentElement.closest('code, noscript, .avatar, .swatch, .slice, .zone, .cell, .map')) {
          found.push(text);
        }
      }
      for (const name of ['aria-label', 'aria-valuetext', 'placeholder', 'title']) {
        found.push(...[...document.querySelectorAll(`[${name}]`)].map((node) => node.getAttribute(name)));
      }
      return [...found, document.title].map((text) => text.replace(/[\u2066-\u2069]/g, '').trim());
    });
    for (const name of ['snapshot', 'preload', 'pipeline']) {
      collect(await election.get(`/api/v1/${name}`));
    }
    // "64 ms" is no word. Initials are data, and so are names of topics, also without what all of them begin with.
    const isWord = (part) => /\p{Ll}{2}/u.test(part) && !part.includes('_') && !data.has(part) && !/^[\d.,]+\sms$/.test(part);
    assert.deepEqual(texts.filter((one) => !one.includes('«') && one.replaceAll(/ [\d.,]+\s%/g, '').split(/, | · /).some(isWord)), [], view);
  }
  await other.context().close();
});

test('the first load is within its budget', async () => {
  const requests = [];
  const other = await browser.open({}, '/', async (opened) => opened.on('requestfinished', (request) => requests.push(request)));
  await other.waitForSelector('#candidates-body tr');
  await other.waitForLoadState('networkidle');
  const sizes = await Promise.all(requests.map(async (request) => {
    const { responseBodySize } = await request.sizes();
    return responseBodySize;
  }));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  console.log(`first load: ${bytes} bytes in ${requests.length} requests`);
  assert.ok(bytes <= BUDGET_BYTES, `${bytes} bytes`);
  assert.ok(requests.length <= BUDGET_REQUESTS, requests.map((request) => request.url()).join('\n'));
  await other.context().close();
});

test('the browser complained of nothing', () => {
  assert.deepEqual(browser.complaints, []);
});
