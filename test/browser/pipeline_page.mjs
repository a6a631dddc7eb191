// The pipeline view, for a test that has a browser and an election at rest. 'open(path)' gives a page.
import assert from 'node:assert/strict';

const COUNTERS = {
  in: 'records_in_total', dead: 'dead_letters_total', retries: 'retries_total', batches: 'batches_total',
};

async function metricsOf(election) {
  const text = await (await fetch(`${election.url}/metrics`)).text();
  return new Map(text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => {
    const end = line.lastIndexOf(' ');
    return [line.slice(0, end), Number(line.slice(end + 1))];
  }));
}

const columnOf = (page, nth) => page.$$eval('#flow-body tr',
  (rows, at) => rows.map((row) => row.children[at].textContent), nth);

export function testPipeline(test, election, open) {
  test('the pipeline is what /metrics says, one interval later', async () => {
    await election().waitFor('the same counts', 60000, async () => {
      const { nodes: [node] } = await election().get('/api/v1/pipeline');
      const metrics = await metricsOf(election());
      assert.equal(node.state, 'running');
      for (const stage of node.stages) {
        for (const [name, metric] of Object.entries(COUNTERS)) {
          assert.equal(stage[name][0], metrics.get(`votingd_${metric}{stage="${stage.stage}"}`), `${stage.stage} ${name}`);
        }
        for (const { port, records } of stage.outputs) {
          assert.equal(records[0], metrics.get(`votingd_records_out_total{stage="${stage.stage}",output="${port}"}`), port);
        }
      }
      return node.stages.length === 4;
    });
  });

  test('graph and table of the pipeline show the same, one keystroke apart', async () => {
    const page = await open('/#/pipeline');
    await page.waitForSelector('.stage[data-state="running"]');
    assert.deepEqual(await page.$$eval('.stage .stage-name', (names) => names.map((name) => name.textContent)),
      ['generator', 'voting', 'aggregation', 'dashboard']);
    assert.ok((await page.$$('.edge .line')).length >= 10);
    await election().waitFor('a lag of none', 60000,
      async () => (await page.textContent('[data-key="stage:voting"] .stage-lag dd')) === '0');
    const figure = (id) => page.$$eval(`.stage-${id} dd`, (cells) => cells.map((cell) => cell.textContent));
    const [dead, rejected] = [await figure('dead'), await figure('rejected')];
    await page.focus('#flow-table');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#flow-body tr');
    assert.ok(page.url().endsWith('#/pipeline?as=table'));
    assert.deepEqual(await columnOf(page, 0), ['generator', 'voting', 'aggregation', 'dashboard']);
    assert.deepEqual(await columnOf(page, 12), dead);
    assert.deepEqual(await columnOf(page, 11), rejected);
    await page.context().close();
  });

  test('no edge runs through a topic that it does not lead to, on a phone as on a desk', async () => {
    const page = await open('/#/pipeline');
    for (const width of [320, 768, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      await page.waitForSelector('.stage[data-state="running"]');
      await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
      const [edges, crossed] = await page.evaluate(() => {
        const pills = [...document.querySelectorAll('.topic')].map((pill) => [pill.textContent, pill.getBoundingClientRect()]);
        const found = new Set();
        const lines = [...document.querySelectorAll('.edge .line')];
        for (const line of lines) {
          const { x: left, y: top } = line.ownerSVGElement.getBoundingClientRect();
          for (let at = 0; at < line.getTotalLength(); at += 2) {
            const { x, y } = line.getPointAtLength(at);
            pills.filter(([, rect]) => x + left > rect.left + 2 && x + left < rect.right - 2
              && y + top > rect.top + 2 && y + top < rect.bottom - 2).forEach(([name]) => found.add(name));
          }
        }
        return [lines.length, [...found]];
      });
      assert.ok(edges >= 10);
      assert.deepEqual(crossed, [], `${width} px`);
    }
    await page.context().close();
  });

  test('nodes that are gone, draining or not ready are told in words', async () => {
    const answer = await election().get('/api/v1/pipeline');
    const [main] = answer.nodes;
    const like = (name, change) => ({ ...main, node: name, stages: main.stages.filter(({ stage }) => stage === 'voting'), ...change });
    const [voting] = like('west', {}).stages;
    const page = await open('/#/pipeline', (opened) => opened.route('**/api/v1/pipeline', (route) => route.fulfill({
      json: {
        ...answer,
        invalid: 3,
        nodes: [
          { ...main, stages: main.stages.filter(({ stage }) => stage !== 'aggregation') },
          like('east', { state: 'draining', missing: [{ server: 'PostgreSQL', cause: 'no answer' }] }),
          like('north', { state: 'gone', stages: main.stages.filter(({ stage }) => stage === 'aggregation') }),
          like('west', { stages: [{ ...voting, cause: 'taking partitions over', dead: [2, 1] }] }),
        ],
      },
    })));
    await page.waitForSelector('.node[data-state="gone"]');
    const states = await page.$$eval('.node .state', (nodes) => nodes.map((node) => node.textContent));
    assert.deepEqual(states, ['Running', 'Draining', 'Gone', 'Not ready']);
    assert.match(await page.textContent('#nodes'), /PostgreSQL is away: no answer/);
    assert.match(await page.textContent('#nodes-left-out'), /3 malformed/);
    assert.equal(await page.textContent('[data-key="stage:aggregation"] .state'), 'No node runs it');
    assert.match(await page.textContent('[data-key="stage:voting"] .stage-cause'), /west.: taking partitions over/);
    assert.equal(await page.textContent('[data-key="stage:voting"] .stage-dead.is-news dd'), '2');
    await page.context().close();
  });
}
