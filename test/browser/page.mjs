// Chromium on the page of an election; what a page complains of is kept.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { missing } from './election.mjs';

const CHROMIUM = '/usr/bin/chromium';
const SHOTS = process.env.VOTINGD_SHOTS ?? '/tmp/votingd-screenshots';
const SERVERS = ['KAFKA_BROKERS', 'DATABASE_URL'];

let playwright = null;
try {
  playwright = await import('playwright-core');
} catch {
  // Not installed: skipped below.
}

// Ends the process as skipped if anything is missing that a browser test needs; 'servers' are the
// variables that name them.
export function skipWithoutBrowser(servers = SERVERS) {
  const lack = missing(['VOTINGD', 'VOTINGD_SOURCE', ...servers])
    ?? (existsSync(CHROMIUM) ? null : `there is no ${CHROMIUM}`)
    ?? (playwright ? null : 'playwright-core is not installed: npm ci in test/browser');
  if (lack !== null) {
    console.log(`skipped: ${lack}`);
    process.exit(77);
  }
}

export class Browser {
  static async begin(election) {
    const made = new Browser();
    made.election = election;
    made.complaints = [];
    made.chromium = await playwright.chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-lcd-text',
        '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    });
    mkdirSync(SHOTS, { recursive: true });
    return made;
  }

  // A page in a context of its own, on 'path'. 'prepare(page)' runs before anything is fetched; 'url' is
  // that of another node.
  async open(options = {}, path = '/', prepare = async () => {}, url = this.election.url) {
    const context = await this.chromium.newContext({
      viewport: { width: 1440, height: 900 }, locale: 'en-GB', timezoneId: 'UTC', ...options,
    });
    const page = await context.newPage();
    page.on('console', (message) => {
      // A connection that the machine was too busy to keep says nothing of the page.
      if (['error', 'warning'].includes(message.type()) && !message.text().includes('ERR_SOCKET_NOT_CONNECTED')) {
        this.complaints.push(`${message.type()}: ${message.text()}`);
      }
    });
    page.on('pageerror', (error) => this.complaints.push(`page: ${error.message}`));
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith('data:')) {
        this.complaints.push(`third party: ${request.url()}`);
      }
    });
    await prepare(page);
    await page.goto(url + path);
    return page;
  }

  async end() {
    await this.chromium.close();
  }
}

// An artefact: NAME.png of the whole page, or of its uppermost pixels.
export async function shoot(page, name, height = null) {
  const clip = height === null ? undefined : { x: 0, y: 0, width: page.viewportSize().width, height };
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true, clip });
}

// What is wrong with a page as it is now: what axe finds, if it 'isWhole', what moves, and what makes it
// wider than its window.
export async function judge(page, isWhole = true) {
  if (!await page.evaluate(() => 'axe' in window)) {
    await page.evaluate(readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
  }
  return page.evaluate(async (hasAxe) => {
    const run = () => (hasAxe ? window.axe.run(document, { resultTypes: ['violations'] }) : { violations: [] });
    const { violations } = await (window.inRealTime ?? ((work) => work()))(run);
    const styles = (node) => [null, '::before', '::after'].map((part) => getComputedStyle(node, part));
    const moving = [...document.querySelectorAll('*')].filter((node) => styles(node)
      .some((style) => style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0));
    const { scrollWidth } = document.documentElement;
    return [
      ...violations.map(({ id, nodes: [{ html, any }] }) => `${id}: ${html} ${any[0]?.message ?? ''}`),
      ...moving.map((node) => `moves: ${node.outerHTML.slice(0, 100)}`),
      ...(scrollWidth > window.innerWidth ? [`${scrollWidth} px wide`] : []),
    ];
  }, isWhole);
}

// The numbers on a page, by the id of their element, and by the column of a table's body.
export const textOf = (page, id) => page.textContent(`#${id}`);
export const numberOf = async (page, id) => Number((await textOf(page, id)).replaceAll(',', ''));
export const columnOf = (page, body, nth) => page.$$eval(`#${body} tr`,
  (rows, at) => rows.map((row) => row.children[at].textContent), nth);
export const numbersOf = async (page, body, nth) => (await columnOf(page, body, nth))
  .map((one) => Number(one.replaceAll(',', '')));
