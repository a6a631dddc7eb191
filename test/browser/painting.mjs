// When the page paints, and that charts and tables show the same after each frame. 'open(change, options)'
// gives a script whose first picture is painted.
import assert from 'node:assert/strict';

import { columnOf, numberOf } from './page.mjs';
import { pipelineOf, stageOf } from './script.mjs';

const VIEWS = { results: '#candidates-body tr', places: '#places-body tr', time: '#times-body tr', breakdowns: '.bar', pipeline: '.stage' };
const MARK_MS = 3000; // the mark of what has changed is gone by then

// Runs in the page: the animation frames that change the document, and what is changed outside of them.
function watchPaints() {
  const seen = { frames: [], outside: [] };
  const note = (records) => seen.outside.push(...records.map(({ target, attributeName, type }) => {
    const node = target.nodeType === Node.TEXT_NODE ? target.parentElement : target;
    return `${type} ${attributeName ?? ''} ${node.id || node.className || node.tagName}`;
  }));
  const observer = new MutationObserver(note);
  const real = window.requestAnimationFrame;
  observer.observe(document, {
    subtree: true, childList: true, attributes: true, characterData: true,
  });
  window.requestAnimationFrame = (work) => real((at) => {
    note(observer.takeRecords());
    work(at);
    if (observer.takeRecords().length > 0) {
      seen.frames.push(performance.now());
    }
  });
  window.paints = seen;
}

// Since the last call.
const paintsOf = ({ page }) => page.evaluate(() => {
  const { frames, outside } = window.paints;
  return { frames: frames.splice(0), outside: [...new Set(outside.splice(0))] };
});

// What changes by itself: a mark ends, and what is said aloud is not painted.
const isPainted = (change) => !change.startsWith('attributes class ') && change !== 'childList  voice';

function testPace(test, open) {
  test('twenty pictures a second are one repaint a second, in an animation frame and nowhere else', async () => {
    const script = await open();
    await script.page.evaluate(watchPaints);
    for (const view of ['results', 'places', 'breakdowns']) {
      await script.show(view, VIEWS[view]);
      await script.pass(MARK_MS);
      await paintsOf(script);
      await script.stream(100, 50);
      const { frames, outside } = await paintsOf(script);
      assert.ok(frames.length >= 4 && frames.length <= 6, `${view}: ${frames.length} repaints in 5 s`);
      assert.deepEqual(outside.filter(isPainted), [], view);
    }
    await script.close();
  });

  test('charts are drawn at most four times a second, and their past is asked for every two seconds', async () => {
    const script = await open({}, { path: '/#/time' });
    await script.show('time', VIEWS.time);
    await script.page.evaluate(() => {
      const real = CanvasRenderingContext2D.prototype.clearRect;
      window.draws = 0;
      CanvasRenderingContext2D.prototype.clearRect = function clearRect(...given) {
        window.draws += 1;
        real.apply(this, given);
      };
    });
    script.asked.length = 0;
    for (let i = 0; i < 20; i += 1) {
      await script.stream(10, 50);
    }
    const asked = script.asked.filter((path) => path === 'history').length;
    const draws = await script.page.evaluate(() => window.draws);
    assert.ok(asked >= 2 && asked <= 6, `asked ${asked} times in 10 s`);
    assert.ok(draws >= 2 * asked - 2 && draws <= 2 * 40, `two charts were drawn ${draws} times in 10 s`);
    await script.close();
  });

  test('at 5 s there is one repaint each 5 s, and the time of the next one stands there', async () => {
    const script = await open();
    await script.page.click('#display summary');
    await script.page.focus('#interval');
    await script.page.keyboard.press('ArrowRight');
    assert.equal(await script.text('interval-text'), 'Every 5 s');
    await script.pass(4000);
    await script.page.evaluate(watchPaints);
    await script.stream(150, 200);
    const { frames } = await paintsOf(script);
    assert.equal(frames.length, 6);
    frames.slice(1).forEach((at, i) => assert.ok(Math.abs(at - frames[i] - 5000) < 100, `${frames}`));
    const [refreshed, next] = [await script.text('refreshed'), await script.text('next')]
      .map((clock) => clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0));
    assert.equal(next - refreshed, 5);
    await script.page.focus('#interval');
    await script.page.keyboard.press('Home');
    await script.pass(1000);
    assert.equal(await script.text('next'), 'live');
    assert.equal(await numberOf(script.page, 'counted'), script.count.total());
    await script.close();
  });

  test('hidden for a minute of traffic nothing is painted or asked for; seen again, all is current at once', async () => {
    const script = await open();
    for (const [view, ready] of Object.entries(VIEWS)) {
      await script.show(view, ready);
      await script.hide(true);
      await script.pass(MARK_MS);
      await script.page.evaluate(watchPaints);
      script.asked.length = 0;
      await script.stream(60, 1000);
      const { frames, outside } = await paintsOf(script);
      assert.deepEqual([...frames, ...outside.filter(isPainted)], [], view);
      assert.deepEqual(script.asked, [], view);
      await script.hide(false);
      await script.pass(50);
      assert.equal(await script.page.textContent('#point'), `e1-${script.count.seq}`, view);
    }
    await script.show('results', VIEWS.results);
    assert.equal(await numberOf(script.page, 'counted'), script.count.total());
    await script.close();
  });

  test('paused, no view changes in a minute of traffic, and one repaint makes it current', async () => {
    const script = await open();
    const markup = () => script.page.evaluate(() => document.body.innerHTML);
    for (const [view, ready] of Object.entries(VIEWS)) {
      await script.show(view, ready);
      await script.page.click('#pause');
      await script.pass(MARK_MS);
      script.asked.length = 0;
      const still = await markup();
      await script.stream(60, 1000);
      assert.equal(await markup(), still, view);
      assert.deepEqual(script.asked, [], view);
      await script.page.click('#pause');
      await script.pass(50);
      assert.equal(await script.page.textContent('#point'), `e1-${script.count.seq}`, view);
    }
    await script.close();
  });
}

// ---- charts and tables ----

const numberIn = (shown) => Number(shown.replaceAll(',', ''));
const textsOf = (page, selector) => page.$$eval(selector, (nodes) => nodes.map((node) => node.textContent));

// Of bars under 'root': [label, value, width in per cent].
const barsOf = (page, root) => page.$$eval(`${root} .bar`, (nodes) => nodes.map((node) => [
  node.querySelector('.bar-label').textContent, node.querySelector('.bar-value').textContent,
  parseFloat(node.querySelector('.bar-fill').style.width)]));

async function assertResults({ page }) {
  const [names, votes, shares] = [await textsOf(page, '#candidates-body .person-name'),
    await columnOf(page, 'candidates-body', 3), await columnOf(page, 'candidates-body', 4)];
  const numbers = votes.map(numberIn);
  const total = numbers.reduce((sum, n) => sum + n, 0);
  const part = (n, of) => ((100 * n) / of).toFixed(2);
  assert.deepEqual(await barsOf(page, '#bars'), names.map((name, i) => [name, votes[i], Number(part(numbers[i], numbers[0]))]));
  assert.deepEqual(await textsOf(page, '#ring-legend .legend-name'), names);
  assert.deepEqual(await textsOf(page, '#ring-legend .legend-share'), shares);
  assert.equal(numberIn(await page.textContent('#ring-total')), total);
  assert.equal(await page.getAttribute('#ring', 'aria-label'), names.map((name, i) => `${name} ${shares[i]}`).join(', '));
  assert.deepEqual(await page.$$eval('.strip-part', (nodes) => nodes.map((node) => parseFloat(node.style.width))),
    numbers.map((n) => Number(part(n, total))));
}

async function assertPlaces({ page }) {
  const rows = await page.$$eval('#places-body tr', (nodes) => nodes.map((node) => [...node.children].map((cell) => cell.textContent)));
  const cells = new Map(await page.$$eval('#places-cells .cell', (nodes) => nodes.map((node) => [node.dataset.name,
    [node.querySelector('.cell-share').textContent, node.querySelector('.unseen').textContent]])));
  assert.equal(cells.size, rows.length);
  for (const [name, , , , leader, share] of rows) {
    assert.equal(cells.get(name)[0], share, name);
    assert.ok(cells.get(name)[1].replace(/[\u2066-\u2069]/g, '').includes(leader.endsWith('Tie') ? 'a tie' : `${leader.slice(2)} leads with ${share}`), `${name}: ${cells.get(name)} ${leader}`);
  }
}

async function assertBreakdowns(script) {
  const names = ['party', 'city', 'gender'];
  await script.show('breakdowns', '.bar');
  const bars = new Map();
  for (const name of names) {
    bars.set(name, (await barsOf(script.page, `[data-key="${name}"]`)).map(([label, value]) => [label, value]));
  }
  await script.show(`breakdowns?tables=${names}`, 'tbody tr');
  for (const name of names) {
    const rows = await script.page.$$eval(`[data-key="${name}"] tbody tr`, (nodes) => nodes.map((node) => [node.children[0].textContent, node.children[1].textContent]));
    assert.deepEqual(rows.sort(), bars.get(name).sort(), name);
  }
}

async function assertTime({ page }) {
  const { times, lines } = await page.evaluate(async () => {
    const { view } = await import('/js/time.js');
    const [at, ...values] = view.charts.votes.data;
    return { times: at, lines: values };
  });
  const last = (list) => list.slice(-10).reverse();
  assert.deepEqual(await columnOf(page, 'times-body', 0), last(times).map((s) => new Date(s * 1000).toISOString().slice(11, 19)));
  for (const [i, line] of lines.entries()) {
    assert.deepEqual((await columnOf(page, 'times-body', i + 1)).map(numberIn), last(line));
  }
}

// What a table of one node says of each stage, and what the graph does.
async function assertPipeline(script) {
  await script.show('pipeline?as=table', '#flow-body tr');
  const rows = await script.page.$$eval('#flow-body tr', (nodes) => nodes.map((node) => [...node.children].map((cell) => cell.textContent)));
  await script.show('pipeline', '.stage');
  const cards = await script.page.$$eval('.stage', (nodes) => nodes.map((node) => [
    node.querySelector('.stage-name').textContent, ...[...node.querySelectorAll('dd')].map((cell) => cell.textContent)]));
  assert.deepEqual(cards, rows.map(([name, , , put, got, lag, l50, l99, c50, c99, ...counts]) => [
    name, put, got, lag, l50 === '–' ? '–' : `${l50} · ${l99}`, `${c50} · ${c99}`, ...counts]));
}

function testEquals(test, open) {
  test('after every frame each chart says what its table says', async () => {
    const script = await open();
    for (const [view, compare, frames] of [['results', assertResults, 20], ['places', assertPlaces, 10], ['time', assertTime, 4]]) {
      await script.show(view, VIEWS[view]);
      for (let i = 0; i < frames; i += 1) {
        script.count.voteAnywhere(10);
        script.asked.length = 0;
        await script.next();
        if (view === 'time') {
          await script.passUntil('the past', () => script.asked.includes('history'));
          await script.pass(100);
        }
        await compare(script);
      }
    }
    for (let i = 0; i < 4; i += 1) {
      script.count.voteAnywhere(10);
      script.answers.pipeline = () => pipelineOf(script.count, [stageOf('voting', 'voters', 'votes', { in: [9 * i, i], retries: [i, 1] }),
        stageOf('aggregation', 'votes', 'totals', { out: [7, 3 + i], dead: [i, 0], latency_us: i % 2 ? null : [1000 * i, 2e6] })]);
      await script.next();
      await assertBreakdowns(script);
      await assertPipeline(script);
    }
    await script.close();
  });

  test('the latest changes add up to the difference of two pictures', async () => {
    const script = await open({}, { path: '/#/places' });
    await script.show('places', VIEWS.places);
    const before = script.count.total();
    for (let i = 0; i < 12; i += 1) {
      script.count.voteAnywhere(4);
      await script.next();
    }
    const votes = await textsOf(script.page, '.change-votes');
    assert.ok(votes.length > 5);
    assert.equal(votes.reduce((sum, shown) => sum + numberIn(shown.slice(1)), 0), script.count.total() - before);
    await script.close();
  });

  test('the scale of many columns names no two numbers at one place', async () => {
    const script = await open({}, { path: '/#/breakdowns' });
    await script.show('breakdowns', '.column');
    for (const width of [320, 1440]) {
      await script.page.setViewportSize({ width, height: 900 });
      const boxes = await script.page.$$eval('[data-key="age"] .column-label', (nodes) => nodes
        .filter((node) => node.textContent !== '').map((node) => node.getBoundingClientRect()).map(({ left, right }) => [left, right]));
      assert.ok(boxes.length >= 4);
      boxes.slice(1).forEach(([left], i) => assert.ok(left >= boxes[i][1], `${width} px: ${JSON.stringify(boxes)}`));
    }
    await script.close();
  });

  test('a line has no ink in a gap, and goes on to the end of its last step', async () => {
    const script = await open();
    const values = (n) => Array.from({ length: 20 }, (_, i) => (i >= 8 && i < 12 ? null : n + 10 * i));
    script.answers.history = () => ({
      epoch: 'e1', table: 'candidate', from_ms: 1730840400000, step_ms: 1000, points: 20, rows: [0, 1, 2].map((row) => [row, ...values(row * 100)]),
    });
    await script.show('time', VIEWS.time);
    const ink = await script.page.evaluate(async () => {
      const { view } = await import('/js/time.js');
      const { plot } = view.charts.votes;
      const copy = Object.assign(document.createElement('canvas'), { width: plot.ctx.canvas.width, height: plot.ctx.canvas.height });
      const pen = copy.getContext('2d', { willReadFrequently: true });
      const inkAt = (place) => plot.series.slice(1).filter(({ stroke }) => {
        pen.fillStyle = stroke();
        pen.fillRect(0, 0, 1, 1);
        const wanted = pen.getImageData(0, 0, 1, 1).data;
        pen.drawImage(plot.ctx.canvas, 0, 0);
        const { data } = pen.getImageData(Math.round(plot.valToPos(plot.data[0][0] + place, 'x', true)), plot.bbox.top, 1, plot.bbox.height);
        for (let i = 0; i < data.length; i += 4) {
          if ([0, 1, 2].every((part) => Math.abs(data[i + part] - wanted[part]) < 40)) {
            return true;
          }
        }
        return false;
      }).length;
      return [5.5, 7.9, 8.1, 9.5, 11.9, 12.1, 19.9].map(inkAt);
    });
    assert.deepEqual(ink, [3, 3, 0, 0, 0, 3, 3]);
    await script.close();
  });

  test('a single point in time stands on a scale of seconds', async () => {
    const script = await open({}, { path: '/#/time' });
    await script.show('time', VIEWS.time);
    const { min, max } = await script.page.evaluate(async () => (await import('/js/time.js')).view.charts.votes.plot.scales.x);
    assert.equal(max - min, 10);
    await script.close();
  });
}

export function testPainting(test, open) {
  testPace(test, open);
  testEquals(test, open);
}
