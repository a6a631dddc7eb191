// Signing in, acting and signing out in Chromium: at the daemon itself, and behind the proxies of
// deploy/ with TLS. Neither broker nor database is needed: the page is there without them.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { pause } from './basics.mjs';
import { freePort } from './election.mjs';

const CHROMIUM = '/usr/bin/chromium';
const PASSWORD = 'correct "horse" bättery';
const WAIT_MS = 60000;
const { env } = process;
const SHOTS = env.VOTINGD_SHOTS ?? '/tmp/votingd-screenshots';

let playwright = null;
try {
  playwright = await import('playwright-core');
} catch {
  // Not installed: skipped below.
}
const lack = ['VOTINGD', 'VOTINGD_SOURCE'].find((name) => !env[name])
  ?? [CHROMIUM, '/usr/sbin/nginx', '/usr/bin/caddy', '/usr/bin/openssl'].find((path) => !existsSync(path));
if (lack || !playwright) {
  console.log(`skipped: ${lack ?? 'playwright-core'} is missing (deploy/install-packages test)`);
  process.exit(77);
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'votingd-access-'));
const children = [];
let port;
let daemon;
let browser;

function run(name, args, options = {}) {
  const child = spawn(name, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  child.log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes) => {
      child.log += bytes;
    });
  }
  child.ended = new Promise((resolve) => {
    child.on('close', resolve);
  });
  children.push(child);
  return child;
}

async function waitFor(what, isTrue) {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    try {
      if (await isTrue()) {
        return;
      }
    } catch {
      // Not yet.
    }
    if (Date.now() > end) {
      throw new Error(`${what}: NOT within ${WAIT_MS} ms\n${children.map((one) => one.log.slice(-2000)).join('\n')}`);
    }
    await pause(50);
  }
}

function startDaemon() {
  const users = ['ada:operator', 'bob:viewer'].map((who) => execFileSync(env.VOTINGD,
    ['--hash-password', who], { input: `${PASSWORD}\n` }));
  writeFileSync(join(folder, 'users'), Buffer.concat(users), { mode: 0o600 });
  const settings = {
    listen: `127.0.0.1:${port}`,
    hosts: 'localhost',
    trusted_proxies: '127.0.0.1',
    access: 'users',
    users: join(folder, 'users'),
    actions: 'yes',
    sockets_per_address: '100',
  };
  daemon = run(env.VOTINGD, ['--topology', join(env.VOTINGD_SOURCE, 'config/election.ini'),
    ...['generator', 'voting', 'aggregation'].flatMap((stage) => ['--disable', stage]),
    ...Object.entries(settings).flatMap(([name, value]) => ['--set', `http.${name}=${value}`])],
  { env: { ...env, KAFKA_BROKERS: '127.0.0.1:1', DATABASE_URL: 'host=127.0.0.1 port=1 dbname=x' } });
}

async function open(address, options = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on('console', (message) => {
    // The browser itself tells of every 401.
    if (message.type() === 'error' && !message.text().includes('401')) {
      page.complaints.push(message.text());
    }
  });
  page.on('pageerror', (error) => page.complaints.push(error.message));
  await page.goto(address);
  return page;
}

// By keyboard alone.
async function signIn(page, name, password = PASSWORD) {
  await page.waitForSelector('#name:focus', { timeout: WAIT_MS });
  await page.keyboard.type(name);
  await page.keyboard.press('Tab');
  await page.keyboard.type(password);
  await page.keyboard.press('Enter');
}

const signedIn = (page) => page.waitForSelector('#account', { state: 'attached', timeout: WAIT_MS });

// The page has a picture: it came by the websocket, or polling would be told.
async function assertLive(page) {
  await waitFor('a live page', async () => await page.textContent('#freshness-name') === 'Live');
}

before(async () => {
  port = await freePort();
  startDaemon();
  mkdirSync(SHOTS, { recursive: true });
  browser = await playwright.chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  await waitFor('the daemon', async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok);
});

after(async () => {
  await browser?.close();
  for (const child of children) {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 20000);
    await child.ended;
    clearTimeout(late);
  }
  rmSync(folder, { recursive: true, force: true });
});

test('whoever opens a view signs in by keyboard and comes back to it', async () => {
  const page = await open(`http://127.0.0.1:${port}/#/places`, { viewport: { width: 320, height: 640 } });

  await signIn(page, 'ada', 'wrong password');
  await page.waitForSelector('#error:not(:empty)', { timeout: WAIT_MS });
  assert.equal(await page.textContent('#error'), 'Name or password is wrong.');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'secret');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
  await page.screenshot({ path: join(SHOTS, 'login-320-light.png') });
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await signedIn(page);
  assert.equal(new URL(page.url()).hash, '#/places');
  await assertLive(page);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('a viewer is offered no action, and cannot force one', async () => {
  const page = await open(`http://127.0.0.1:${port}/`, {
    viewport: { width: 1440, height: 900 }, colorScheme: 'dark',
  });

  await page.waitForSelector('#name:focus', { timeout: WAIT_MS });
  await page.screenshot({ path: join(SHOTS, 'login-1440-dark.png') });
  await signIn(page, 'bob');
  await signedIn(page);
  assert.equal(await page.locator('#account button').count(), 1);
  const status = await page.evaluate(async () => {
    const state = await (await fetch('/api/v1/session')).json();
    const headers = { 'X-CSRF-Token': state.csrf_token };
    return (await fetch('/api/v1/drain', { method: 'POST', headers })).status;
  });
  assert.equal(status, 403);
  await page.context().close();
});

// What axe finds at two widths in both themes.
async function judge(page) {
  const found = [];
  await page.evaluate(axe);
  for (const width of [320, 1440]) {
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme });
      const broken = await page.evaluate(async () => (await window.axe.run(document,
        { resultTypes: ['violations'] })).violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`));
      found.push(...broken.map((one) => `${width} ${colorScheme}: ${one}`));
    }
  }
  return found;
}

test('signing in, the menu and its question are accessible in both themes', async () => {
  const page = await open(`http://127.0.0.1:${port}/`);

  await signIn(page, 'ada', 'wrong password');
  await page.waitForSelector('#error:not(:empty)', { timeout: WAIT_MS });
  assert.deepEqual(await judge(page), []);
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await signedIn(page);
  await page.click('#account summary');
  assert.deepEqual(await judge(page), []);
  await page.click('#account button >> nth=1');
  assert.deepEqual(await judge(page), []);
  await page.context().close();
});

test('a page that was loaded with an older token signs out all the same', async () => {
  const page = await open(`http://127.0.0.1:${port}/`);
  const isSession = '**/api/v1/session';

  await signIn(page, 'ada');
  await signedIn(page);
  await page.route(isSession, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...await response.json(), csrf_token: '0'.repeat(64) } });
  });
  await page.reload();
  await signedIn(page);
  await page.unroute(isSession);
  await page.click('#account summary');
  await page.click('#account button >> nth=0');
  await page.waitForURL('**/login*', { timeout: WAIT_MS });
  assert.equal(await page.evaluate(async () => (await (await fetch('/api/v1/session')).json()).role), 'anyone');
  await page.context().close();
});

test('signing out ends every page of the session', async () => {
  const page = await open(`http://127.0.0.1:${port}/`);

  await signIn(page, 'ada');
  await signedIn(page);
  await assertLive(page);
  const other = await page.context().newPage();
  await other.goto(`http://127.0.0.1:${port}/`);
  await assertLive(other);
  await page.click('#account summary');
  await page.click('#account button >> nth=0');
  await page.waitForURL('**/login*', { timeout: WAIT_MS });
  await other.waitForURL('**/login*', { timeout: WAIT_MS });
  await page.context().close();
});

// ---- hostile data ----

const HOSTILE = '<img src=x onerror="document.body.dataset.broken=1">';

// Every table of the picture gets a row whose texts are hostile, on its way to the page.
function poison(tables, frame) {
  if (frame.type === 'hello') {
    Object.assign(tables, frame.preload.tables);
  }
  if (frame.type === 'snapshot') {
    const more = { title: HOSTILE, texts: ['town', 'party_affiliation'], columns: ['votes'] };
    frame.tables = { ...frame.tables, by_town: more };
    Object.assign(tables, frame.tables);
    for (const [name, { texts, columns }] of Object.entries(tables)) {
      if (name !== 'totals') {
        frame.add = { ...frame.add, [name]: [[0, ...texts.map(() => HOSTILE)]] };
        frame.rows = { ...frame.rows, [name]: [[0, ...columns.map(() => 1000)]] };
      }
    }
  }
}

test('names, parties and places that are markup stay text in every view', async () => {
  const page = await open(`http://127.0.0.1:${port}/`);
  const tables = {};

  await page.context().routeWebSocket(/\/ws$/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((text) => {
      const frame = JSON.parse(text);
      poison(tables, frame);
      socket.send(JSON.stringify(frame));
    });
  });
  await signIn(page, 'bob');
  await signedIn(page);
  for (const view of ['results', 'places', 'breakdowns']) {
    await page.click(`#views a[href="#/${view}"]`);
    await waitFor(`markup as text in ${view}`,
      async () => (await page.textContent(`#view-${view}`)).includes(HOSTILE));
    assert.equal(await page.locator('[onerror], img[src="x"]').count(), 0);
  }
  assert.equal(await page.evaluate(() => document.body.dataset.broken), undefined);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

// ---- behind a proxy ----

// A file of deploy/ with the name, the ports and the certificate of this test.
function adapt(name, changes) {
  let text = readFileSync(join(env.VOTINGD_SOURCE, 'deploy', name), 'utf8');
  for (const [from, to] of changes) {
    assert.ok(text.includes(from), `${name}: ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

function makeCertificate() {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
    '-nodes', '-days', '1', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost',
    '-keyout', join(folder, 'privkey.pem'), '-out', join(folder, 'fullchain.pem')],
  { stdio: 'ignore' });
}

async function startNginx(secure) {
  const server = adapt('nginx-tls.conf', [
    ['listen 80;', `listen 127.0.0.1:${await freePort()};`],
    ['listen 443', `listen 127.0.0.1:${secure}`],
    ['vote.example.org', 'localhost'],
    ['/etc/ssl/votingd/', `${folder}/`],
    ['127.0.0.1:8080', `127.0.0.1:${port}`],
  ]);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder};`).join(' ');
  writeFileSync(join(folder, 'nginx.conf'),
    `daemon off; pid ${folder}/nginx.pid; error_log stderr; worker_processes 1;\n`
    + `events { }\nhttp { access_log off; ${temporary}\n${server}\n}\n`);
  run('/usr/sbin/nginx', ['-c', join(folder, 'nginx.conf'), '-e', 'stderr', '-p', folder]);
}

async function startCaddy(secure) {
  const server = adapt('Caddyfile', [
    ['vote.example.org {', `https://localhost:${secure} {\n\ttls ${folder}/fullchain.pem ${folder}/privkey.pem`],
    ['127.0.0.1:8080', `127.0.0.1:${port}`],
  ]);
  writeFileSync(join(folder, 'Caddyfile'),
    `{\n\tadmin off\n\tauto_https disable_redirects\n}\n${server}`);
  run('/usr/bin/caddy', ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')],
    { env: { ...env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder } });
}

for (const [name, start] of [['nginx', startNginx], ['Caddy', startCaddy]]) {
  test(`behind ${name} the page is live over TLS, with a cookie for TLS only`, async () => {
    const secure = await freePort();
    const address = `https://localhost:${secure}/`;
    if (!existsSync(join(folder, 'fullchain.pem'))) {
      makeCertificate();
    }
    await start(secure);
    const probe = await browser.newContext({ ignoreHTTPSErrors: true });
    await waitFor(name, async () => (await probe.request.get(`${address}healthz`)).ok());
    const forged = await probe.request.get(`${address}api/v1/version`,
      { headers: { 'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'http' } });
    assert.equal(forged.status(), 401);
    assert.match(forged.headers()['strict-transport-security'], /max-age=31536000/);
    await probe.close();

    const page = await open(address);
    await signIn(page, 'ada');
    await signedIn(page);
    await assertLive(page);
    const cookies = await page.context().cookies();
    assert.equal(cookies.length, 1);
    assert.match(cookies[0].name, /^__Host-votingd-/);
    assert.ok(cookies[0].secure && cookies[0].httpOnly && cookies[0].sameSite === 'Strict');
    assert.equal(await page.evaluate(async () => (await fetch('/api/v1/version')).status), 200);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
}

// ---- the last one: it ends the daemon ----

test('an operator stops the node, and the log says who did what', async () => {
  const page = await open(`http://127.0.0.1:${port}/`);

  await signIn(page, 'ada');
  await signedIn(page);
  await page.click('#account summary');
  await page.click('#account button >> nth=1');
  await page.click('#drain-no');
  await page.waitForSelector('#account summary:focus', { timeout: WAIT_MS });
  await page.click('#account summary');
  await page.click('#account button >> nth=1');
  await page.click('#drain-yes');
  await page.waitForSelector('.account-said:not(:empty)', { timeout: WAIT_MS });
  assert.equal(await page.textContent('.account-said'), 'The node is stopping.');
  assert.equal(await daemon.ended, 0);
  assert.match(daemon.log, /access: nobody \(anyone\) from 127\.0\.0\.1: sign in as ada: refused/);
  assert.match(daemon.log, /access: ada \(operator\) from 127\.0\.0\.1: sign in: ok/);
  assert.match(daemon.log, /access: ada \(operator\) from 127\.0\.0\.1: sign out: ok/);
  assert.match(daemon.log, /access: ada \(operator\) from 127\.0\.0\.1: drain the node: ok/);
  assert.ok(!daemon.log.includes(PASSWORD));
});
