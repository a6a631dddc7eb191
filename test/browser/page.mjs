// Chromium on the page of an election; what a page complains of is kept.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { missing } from './election.mjs';

const CHROMIUM = '/usr/bin/chromium';
const SHOTS = process.env.VOTINGD_SHOTS ?? '/tmp/votingd-screenshots';

let playwright = null;
try {
  playwright = await import('playwright-core');
} catch {
  // Not installed: skipped below.
}

// Ends the process as skipped if anything is missing that a browser test needs.
export function skipWithoutBrowser() {
  const lack = missing()
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

  // A page in a context of its own, on 'path'. 'prepare(page)' runs before anything is fetched.
  async open(options = {}, path = '/', prepare = async () => {}) {
    const context = await this.chromium.newContext({
      viewport: { width: 1440, height: 900 }, locale: 'en-GB', timezoneId: 'UTC', ...options,
    });
    const page = await context.newPage();
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) {
        this.complaints.push(`${message.type()}: ${message.text()}`);
      }
    });
    page.on('pageerror', (error) => this.complaints.push(`page: ${error.message}`));
    page.on('request', (request) => {
      if (!request.url().startsWith(this.election.url) && !request.url().startsWith('data:')) {
        this.complaints.push(`third party: ${request.url()}`);
      }
    });
    await prepare(page);
    await page.goto(this.election.url + path);
    return page;
  }

  async end() {
    await this.chromium.close();
  }
}

// An artefact: NAME.png of the whole page.
export async function shoot(page, name) {
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}

// The numbers on a page, by the id of their element, and by the column of a table's body.
export const textOf = (page, id) => page.textContent(`#${id}`);
export const numberOf = async (page, id) => Number((await textOf(page, id)).replaceAll(',', ''));
export const columnOf = (page, body, nth) => page.$$eval(`#${body} tr`,
  (rows, at) => rows.map((row) => row.children[at].textContent), nth);
export const numbersOf = async (page, body, nth) => (await columnOf(page, body, nth))
  .map((one) => Number(one.replaceAll(',', '')));
