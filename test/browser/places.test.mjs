// Places and breakdowns: a register of 51 places with known numbers of voters and with hostile names,
// through the real daemon, broker and database into Chromium.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Election } from './election.mjs';
import {
  Browser, columnOf, judge, numbersOf, shoot, skipWithoutBrowser, textOf,
} from './page.mjs';
import {
  HOSTILE, LEFTWARD, LONG, PLACES, VOTERS, writeRegister,
} from './register.mjs';

const MAP_BYTES = 34 * 1024; // 30 were planned: the shapes alone are 29
const REGISTER = join(tmpdir(), `votingd-places-${process.pid}.csv`);
const BASELINE = join(tmpdir(), `votingd-baseline-${process.pid}.csv`);
const BEFORE = PLACES.slice(1).map((place, i) => [place, 3 * i + 1, 100 - i, 7]); // nothing of the first

skipWithoutBrowser();

let election;
let browser;
let page;
const requests = [];
const asked = []; // paths of every request

async function show(hash, selector) {
  await page.goto(`${election.url}/#/${hash}`);
  await page.waitForSelector(selector);
}

const text = (id) => textOf(page, id);
const texts = (selector) => page.$$eval(selector, (nodes) => nodes.map((node) => node.textContent));
const numberIn = (one) => Number(one.replaceAll(',', ''));
const column = (nth) => columnOf(page, 'places-body', nth);
const numbers = (nth) => numbersOf(page, 'places-body', nth);
const tenths = (shown) => Math.round(parseFloat(shown) * 10);
const card = (name) => `#groups > [data-key="${name}"]`;

before(async () => {
  writeRegister(REGISTER);
  writeFileSync(BASELINE, ['state,savior party,Management Party,Gone & Lost', ...BEFORE.map(String)].join('\n'));
  election = await Election.begin('page_places', (prefix) => [
    '--set', 'stage:generator.source=csv', '--set', `stage:generator.path=${REGISTER}`,
    '--set', `stage:dashboard.baseline=${BASELINE}`, '--set', `stage:dashboard.baseline_label=${LEFTWARD}`,
    '--set', `stage:dashboard.table.towns-again=${prefix}aggregated_votes_by_region`,
  ]);
  browser = await Browser.begin(election);
  await election.waitFor('every vote in every table', 120000, async () => {
    const { rows } = await election.get('/api/v1/snapshot');
    return ['state', 'age', 'age_group', 'gender', 'party', 'city', 'state_candidate', 'towns-again']
      .every((table) => rows[table].reduce((sum, row) => sum + row[1], 0) === VOTERS)
      && rows.state.every((row) => row[2] > 0);
  });
  page = await browser.open({}, '/#/places?sort=votes&direction=up', async (opened) => {
    opened.on('request', (request) => {
      requests.push(request);
      asked.push(new URL(request.url()).pathname);
    });
  });
  await page.waitForSelector('#places-body tr');
});

after(async () => {
  await browser?.end();
  await election?.wipe();
  rmSync(REGISTER, { force: true });
  rmSync(BASELINE, { force: true });
});

test('51 places are six pages, sorted as numbers, and the 51st is on the last', async () => {
  assert.equal(await text('places-pages'), 'Page 1 of 6');
  assert.deepEqual(await numbers(1), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  for (let i = 1; i < 6; i += 1) {
    await page.click('#places-next');
  }
  assert.deepEqual(await numbers(1), [51]);
  assert.deepEqual(await column(0), [PLACES[50]]);
  assert.ok(await page.isDisabled('#places-next'));
});

// Shares in tenths of a percent, by largest remainder, ties to the larger count.
function dealt(votes) {
  const total = votes.reduce((sum, n) => sum + n, 0);
  const parts = votes.map((n, i) => ({ i, n, share: Math.floor((1000 * n) / total), rest: (1000 * n) % total }));
  const left = 1000 - parts.reduce((sum, { share }) => sum + share, 0);
  [...parts].sort((a, b) => b.rest - a.rest || b.n - a.n || a.i - b.i).slice(0, left).forEach((part) => {
    part.share += 1;
  });
  return parts.map(({ share }) => share);
}

const plain = (shown) => shown.replace(/[\u2066-\u2069]/g, '').replaceAll('\u00a0', ' ');
const pointsOf = (tenthsNow, was) => {
  const n = tenthsNow - was;
  return `${n > 0 ? '+' : n < 0 ? '−' : ''}${(Math.abs(n) / 10).toFixed(1)} pts`;
};
const PARTIES = ['Savior Party', 'Management Party'];

test('changes to the baseline are differences of whole numbers, in all and in each place', async () => {
  const before = dealt([1, 2, 3].map((nth) => BEFORE.reduce((sum, row) => sum + row[nth], 0)));
  await show('results', '#candidates-body tr');
  const [parties, shares, versus] = await Promise.all([2, 4, 5].map((nth) => columnOf(page, 'candidates-body', nth)));
  const wanted = parties.map((party, i) => (PARTIES.includes(party)
    ? pointsOf(tenths(shares[i]), before[PARTIES.indexOf(party)]) : '–'));
  assert.deepEqual(versus.map(plain), wanted);
  assert.equal(plain(await text('candidates-versus')), `vs ${LEFTWARD}`);
  assert.equal(plain(await text('candidates-others')), `Only in ${LEFTWARD}: Gone & Lost ${(before[2] / 10).toFixed(1)} %`);
  const notes = (await texts('#bars .bar-note')).map((note) => plain(note).split(' · ')[2] ?? '–');
  assert.deepEqual(notes, wanted);

  await show('places?sort=votes&direction=up&size=100', '#places-body tr:nth-child(51)');
  const rows = await page.$$eval('#places-body tr', (nodes) => nodes.map(({ children }) => ({
    place: children[0].textContent, leader: children[4].lastChild.textContent, share: children[5].textContent, versus: children[6].textContent,
  })));
  const people = new Map(election.query('SELECT candidate_name, party_affiliation FROM candidates'));
  for (const row of rows) {
    const was = BEFORE.find(([place]) => place === row.place);
    const nth = PARTIES.indexOf(people.get(row.leader));
    assert.equal(plain(row.versus), was && nth >= 0 ? pointsOf(tenths(row.share), dealt(was.slice(1))[nth]) : '–', row.place);
  }
  await show(`places?place=${PLACES[50]}`, '#places-one-bars .bar');
  const [, ...was] = BEFORE.at(-1);
  for (const [name, note] of await page.$$eval('#places-one-bars .bar', (bars) => bars.map((bar) => [bar.children[0].textContent, bar.children[3].textContent]))) {
    const nth = PARTIES.indexOf(people.get(name));
    const [, share, change] = plain(note).split(' · ');
    assert.equal(change, nth >= 0 ? pointsOf(tenths(share), dealt(was)[nth]) : undefined, name);
  }
});

test('every figure of every place is that of the database', async () => {
  const rows = election.query(`SELECT address_state, candidate_name, count(*) FROM votes
    JOIN voters USING (voter_id) JOIN candidates USING (candidate_id) GROUP BY 1, 2 ORDER BY 3 DESC, 2`);
  await show('places?sort=votes&direction=up&size=100', '#places-body tr:nth-child(51)');
  const [votes, registered, turnout, leaders, shares] = [await numbers(1), await numbers(2),
    await column(3), await texts('#places-body .leads-name'), await column(5)];
  assert.deepEqual(await column(0), PLACES);
  PLACES.forEach((place, i) => {
    const list = rows.filter(([state]) => state === place).map(([, name, n]) => ({ name, n: Number(n) }));
    const [first] = list;
    const isTied = list.length > 1 && list[1].n === first.n;
    assert.deepEqual([votes[i], registered[i]], [i + 1, i + 1], place);
    assert.equal(list.reduce((sum, { n }) => sum + n, 0), i + 1, place);
    assert.equal(tenths(turnout[i]), 1000, place);
    assert.equal(leaders[i], isTied ? 'Tie' : first.name, place);
    assert.ok(Math.abs(tenths(shares[i]) - (1000 * first.n) / (i + 1)) <= 1, place);
  });
});

test('hostile, right-to-left and long names are texts and nothing else', async () => {
  assert.deepEqual((await column(0)).slice(0, 3), [HOSTILE, LEFTWARD, LONG]);
  assert.equal(await page.$$eval('main img', (nodes) => nodes.length), 0);
  await page.click('#places-body tr:first-child button');
  assert.equal(await text('places-one'), HOSTILE);
  assert.notEqual(await page.title(), '1');
  await show('breakdowns', card('city'));
  assert.equal(await page.$$eval('main img', (nodes) => nodes.length), 0);
});

// What the table's button copies, line by line; pasted, since a page that may not read the clipboard is told less.
async function copied(opened, card) {
  await opened.focus(`${card} .copy button`);
  await opened.keyboard.press('Enter');
  await election.waitFor('the word of it', 60000, async () => (await opened.textContent(`${card} .copied`)) === 'Copied');
  assert.equal(await opened.evaluate(() => document.activeElement.textContent), 'Copy'); // the focus came back
  assert.equal(await opened.getAttribute(`${card} .copied`, 'role'), 'status');
  await opened.evaluate(() => {
    const area = document.createElement('textarea');
    area.id = 'pasted';
    document.body.append(area);
    area.focus();
  });
  await opened.keyboard.press('Control+V');
  const pasted = await opened.inputValue('#pasted');
  await opened.evaluate(() => document.getElementById('pasted').remove());
  assert.ok(pasted.endsWith('\n'));
  return pasted.trimEnd().split('\n').map((line) => line.split('\t'));
}

// The cells of a table as they are copied: whole numbers bare, points as a number, no formula.
const cellsOf = (opened, selector) => opened.$$eval(`${selector} tr`, (rows) => rows.map((row) => [...row.cells]
  .map((cell) => {
    const shown = (cell.querySelector('button, .person-name, .leads-name, .metered > span:last-child') ?? cell)
      .textContent.replace(/[\u2066-\u2069]/g, '').replace(/\s+/g, ' ');
    const points = /^([+−]?)([\d.]+) pts$/.exec(shown);
    return points ? `${points[1] === '−' ? '-' : ''}${Number(points[2])}` : /^[\d,]+$/.test(shown) ? shown.replaceAll(',', '') : shown;
  })));

test('a table is copied whole, by keyboard, as a spreadsheet takes it', async () => {
  await show('places?sort=votes&direction=up&size=100', '#places-body tr:nth-child(51)');
  const wanted = await cellsOf(page, '.places-card table');
  await page.selectOption('#places-size', '10');
  const lines = await copied(page, '.places-card');
  assert.equal(lines.length, 52); // of all pages
  const dash = (cell) => (cell === '–' ? '' : cell);
  assert.deepEqual(lines, wanted.map((row) => row.map(dash)));
  await page.fill('#places-filter', 'New');
  assert.deepEqual((await copied(page, '.places-card')).slice(1).map(([name]) => name), PLACES.filter((name) => name.startsWith('New')));
  await show('breakdowns?tables=state_candidate', `${card('state_candidate')} tbody tr`);
  const [, ...rows] = await copied(page, card('state_candidate'));
  assert.equal(rows.reduce((sum, row) => sum + Number(row[2]), 0), VOTERS);
  assert.ok(rows.every((row) => row.length === 4 && /^\d+\.\d %$/.test(row[3])));
});

test('it is copied without leave to write to the clipboard, and no name begins a formula', async () => {
  const plainPage = await browser.open({}, '/#/results', (opened) => opened.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, 'clipboard', { value: undefined }); // plain http, another host
  }));
  await plainPage.waitForSelector('#candidates-body tr');
  const wanted = await cellsOf(plainPage, '.table-card table');
  const lines = await copied(plainPage, '.table-card');
  assert.deepEqual(lines.map((row) => row.toSpliced(6, 1)), wanted.map((row) => row.map((cell) => (cell === '–' ? '' : cell)).toSpliced(6, 1)));
  assert.deepEqual(lines.slice(1).map((row) => Number(row[6])), wanted.slice(1).map((row) => parseInt(row[6].replace('−', '-').replace(',', ''), 10)));
  const cells = await plainPage.evaluate(async () => {
    const { copyButton } = await import('/js/dom.js');
    const made = copyButton(() => [['=1+1', '@x', '-y', '+z', 'a\tb\nc', -5, null]], 'candidates-title');
    document.body.append(made);
    let text = null;
    document.addEventListener('copy', () => {
      text = document.activeElement.value;
    }, { once: true });
    made.querySelector('button').click();
    await new Promise((resolve) => {
      setTimeout(resolve);
    });
    return text;
  });
  assert.equal(cells, "'=1+1\t'@x\t'-y\t'+z\ta b c\t-5\t\n");
  await plainPage.context().close();
});

test('the address says which place is chosen, and the focus stays on its row', async () => {
  await show('places?size=100&place=Ohio', '#places-body tr.is-chosen');
  assert.equal(await text('places-one'), 'Ohio');
  assert.equal(numberIn(await text('places-one-votes')), PLACES.indexOf('Ohio') + 1);
  await page.focus('#places-body tr.is-chosen button');
  await page.evaluate(() => document.querySelector('#places-by-state button').click());
  assert.equal(await page.getAttribute('#places-by-state', 'aria-sort'), 'ascending');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Ohio');
});

test('the cells are worked by keyboard, one stop of the Tab key for all', async () => {
  await show('places?place=Ohio', '#places-cells [aria-selected=true]');
  assert.equal(await page.$$eval('#places-cells [tabindex="0"]', (nodes) => nodes.length), 1);
  await page.focus('#places-cells [aria-selected=true]');
  for (const [key, name] of [['ArrowLeft', 'Indiana'], ['ArrowDown', 'Kentucky'], ['ArrowUp', 'Indiana'],
    ['End', LEFTWARD], ['Home', 'Alaska']]) {
    await page.keyboard.press(key);
    assert.equal(await page.evaluate(() => document.activeElement.dataset.name), name, key);
    assert.equal(await text('places-one'), name);
  }
  const marks = await texts('#places-cells .cell-mark');
  assert.ok(marks.every((mark) => mark.length > 0)); // never colour alone
});

test('changes are told from the picture on that was seen first', async () => {
  assert.deepEqual(await texts('#places-changes li'), []);
  assert.match(await text('places-changes-note'), /Nothing has changed/);
});

test('the map comes when it is asked for, and names what has no shape', async () => {
  const ofMap = ['/js/map.js', '/topojson-client.min.js', '/states-albers-10m.json'];
  assert.ok(!asked.some((path) => ofMap.includes(path)));
  await page.click('#places-as [value=map]');
  await page.waitForSelector('.map path[data-name=Ohio]');
  assert.deepEqual(ofMap.filter((path) => !asked.includes(path)), []);
  const sizes = await Promise.all(requests.filter((one) => ofMap.includes(new URL(one.url()).pathname))
    .map(async (one) => (await one.sizes()).responseBodySize));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(bytes > 0 && bytes <= MAP_BYTES, `the map takes ${bytes} bytes`);
  const hatched = await texts('.map path[data-strength="0"] title');
  assert.deepEqual(hatched.sort(), ['West Virginia', 'Wisconsin', 'Wyoming']);
  const unshaped = await text('places-unshaped');
  [HOSTILE, LEFTWARD, LONG].forEach((name) => assert.ok(unshaped.includes(name), name));
  assert.equal((await texts('#places-cells .cell-name')).length, 51);
  await page.click('.map path[data-name=Texas]');
  assert.equal(await text('places-one'), 'Texas');
  assert.equal(await page.getAttribute('#places-cells [data-name=Texas]', 'aria-selected'), 'true');
});

test('the licences of all parts that are served are there', async () => {
  const licences = await (await fetch(`${election.url}/licences.txt`)).text();
  ['topojson-client', 'uplot', 'us-atlas'].forEach((name) => assert.ok(licences.includes(`${name} `), name));
  assert.ok(licences.includes('Permission') && licences.length > 2000);
});

test('every aggregate of the preload has its card, the unknown one too', async () => {
  const { tables } = await election.get('/api/v1/preload');
  const names = Object.keys(tables).filter((name) => !['totals', 'candidate', 'state'].includes(name));
  await show('breakdowns', card('towns-again'));
  assert.deepEqual(await page.$$eval('#groups > *', (nodes) => nodes.map((node) => node.dataset.key)), names);
  assert.equal(await page.textContent(`${card('towns-again')} h2`), 'Towns again');
  assert.deepEqual(tables['towns-again'].texts, ['city']);
  for (const name of ['age_group', 'gender', 'party', 'city', 'towns-again']) {
    const values = (await texts(`${card(name)} .bar-value`)).map(numberIn);
    assert.equal(values.reduce((sum, n) => sum + n, 0), VOTERS, name);
  }
  const towns = election.query('SELECT address_city, count(*) FROM votes JOIN voters USING (voter_id) GROUP BY 1 ORDER BY 2 DESC, 1');
  assert.deepEqual(await texts(`${card('towns-again')} .bar-label`), towns.map(([town]) => town));
  assert.equal((await page.$$(`${card('state_candidate')} .panel:not([hidden])`)).length, 3);
});

test('a table equal to the bars is one keystroke away', async () => {
  const bars = await texts(`${card('age_group')} .bar-value`);
  await page.focus(`${card('age_group')} .card-head button`);
  await page.keyboard.press('Enter');
  await page.waitForSelector(`${card('age_group')} tbody tr`);
  assert.match(await page.evaluate(() => window.location.hash), /tables=age_group/);
  await page.click(`${card('age_group')} thead button`); // in the order of ages, as the bars are
  assert.deepEqual(await texts(`${card('age_group')} tbody td:nth-child(2)`), bars);
  const shares = await texts(`${card('age_group')} tbody td:nth-child(3)`);
  assert.equal(shares.reduce((sum, share) => sum + tenths(share), 0), 1000);
  await page.focus(`${card('age_group')} .card-head button`);
  await page.keyboard.press('Enter');
  assert.ok(await page.isVisible(`${card('age_group')} .bars`));
});

test('3,160 rows are sorted in under 100 ms', async () => {
  // The promise is about what it costs, not about what else the machine does: the best of three, or of ten.
  const best = await page.evaluate(async () => {
    const { Table } = await import('/js/table.js');
    const root = document.createElement('div');
    const given = {};
    const rows = Array.from({ length: 3160 }, (_, i) => ({
      id: i, name: `County ${(i * 7919) % 3160}`, votes: (i * 104729) % 100003,
    }));
    document.querySelector('main').append(root);
    const table = new Table(root, {
      name: 'many',
      columns: [{ id: 'name', title: 'Name', value: (row) => row.name },
        { id: 'votes', title: 'Votes', isNumber: true, value: (row) => row.votes }],
      keyOf: (row) => row.id,
      sort: 'name',
      isAscending: true,
      empty: '',
    }, {
      get: (name) => given[name] ?? null,
      choice: (name, allowed, otherwise) => (allowed.includes(given[name]) ? given[name] : otherwise),
      set: (change) => {
        Object.assign(given, change);
        table.update(rows);
      },
    });
    table.update(rows);
    const found = { votes: Infinity, name: Infinity };
    for (let i = 0; i < 10 && (i < 3 || Math.max(...Object.values(found)) >= 100); i += 1) {
      for (const column of Object.keys(found)) {
        const begin = performance.now();
        document.querySelector(`#many-by-${column} button`).click();
        void root.offsetHeight; // laid out
        found[column] = Math.min(found[column], performance.now() - begin);
      }
    }
    root.remove();
    return found;
  });
  console.log(`# sorted by number in ${best.votes.toFixed(0)} ms, by name in ${best.name.toFixed(0)} ms`);
  assert.ok(best.votes < 100 && best.name < 100, JSON.stringify(best));
});

test('map and tables fit and are accessible whatever the names are, in both themes', async () => {
  const found = [];
  for (const [name, hash, ready] of [
    ['map', 'places?as=map&place=Ohio', '.map path'],
    ['names', 'places?direction=up', '#places-cells li'],
    ['tables', 'breakdowns?tables=city,age,gender,party,state_candidate', 'tbody tr'],
  ]) {
    await show(hash, ready);
    for (const [width, colorScheme] of [[320, 'dark'], [1440, 'light']]) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme });
      await shoot(page, `places-${name}-${width}-${colorScheme}`);
      found.push(...(await judge(page)).map((one) => `${name} ${width} ${colorScheme}: ${one}`));
    }
  }
  assert.deepEqual(found, []);
});

test('the browser complained of nothing', () => {
  assert.deepEqual(browser.complaints, []);
});
