// An election of one's own on the given broker and database: its topics have a prefix, its tables a
// database, its page a port that nobody else uses.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pause } from './basics.mjs';

const { env } = process;

// Of the variables 'names', the first that is not set, in words; null if all are.
export function missing(names) {
  const name = names.find((one) => !env[one]);
  return name === undefined ? null : `${name} is not set`;
}

// The same server, another database; for an address as for a list of settings.
function withDatabase(conninfo, database) {
  if (/^postgres(ql)?:\/\//.test(conninfo)) {
    const address = new URL(conninfo);
    address.pathname = `/${database}`;
    return address.href;
  }
  return `${conninfo} dbname=${database}`;
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

// config/election.ini with every topic renamed.
function makeTopology(prefix) {
  let text = readFileSync(join(env.VOTINGD_SOURCE, 'config/election.ini'), 'utf8');
  const topics = [...text.matchAll(/^\[topic:([^\]]+)\]/gm)].map((match) => match[1]);
  for (const topic of topics) {
    text = text.replace(new RegExp(`(?<=[:= ,])${topic}(?=[\\s\\],])`, 'g'), prefix + topic);
  }
  return text.replace(/^application = .*$/m, `application = ${prefix}election`);
}

export class Election {
  // 'settings' are further words for the daemon's command line, or give them for a prefix of topics.
  static async begin(name, settings = []) {
    const made = new Election();
    made.name = `${name}_${process.pid}_${Date.now().toString(36)}`;
    made.folder = mkdtempSync(join(tmpdir(), 'votingd-page-'));
    made.database = withDatabase(env.DATABASE_URL, made.name);
    made.port = await freePort();
    made.url = `http://127.0.0.1:${made.port}`;
    made.#psql(env.DATABASE_URL, `CREATE DATABASE ${made.name}`);
    writeFileSync(join(made.folder, 'election.ini'), makeTopology(`${made.name}_`));
    made.start(typeof settings === 'function' ? settings(`${made.name}_`) : settings);
    return made;
  }

  #spawn(port, settings) {
    return spawn(env.VOTINGD, ['--topology', join(this.folder, 'election.ini'), ...settings], {
      env: { ...env, DATABASE_URL: this.database, VOTINGD_LISTEN: `127.0.0.1:${port}` },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }

  // A further node that shows the same count and does nothing else: {url, log, stop()}.
  async addPage(settings) {
    const port = await freePort();
    const others = ['generator', 'voting', 'aggregation'].flatMap((stage) => ['--disable', stage]);
    const daemon = this.#spawn(port, ['--node', 'page', ...others, ...settings]);
    const ended = new Promise((resolve) => {
      daemon.on('exit', resolve);
    });
    const node = {
      url: `http://127.0.0.1:${port}`,
      log: '',
      stop: () => {
        daemon.kill('SIGKILL'); // it keeps nothing
        return ended;
      },
    };
    daemon.stderr.on('data', (bytes) => {
      node.log += bytes;
    });
    return node;
  }

  start(settings) {
    this.log = '';
    this.daemon = this.#spawn(this.port, settings);
    this.daemon.stderr.on('data', (bytes) => {
      this.log += bytes;
    });
    this.ended = new Promise((resolve) => {
      this.daemon.on('exit', (code, signal) => {
        this.hasEnded = true;
        resolve(code ?? signal);
      });
    });
  }

  #psql(conninfo, sql) {
    return execFileSync('psql', ['-X', '-A', '-t', '-q', '-F', '\t', '-c', sql, conninfo],
      { encoding: 'utf8' }).trim();
  }

  // Rows of text fields.
  query(sql) {
    const text = this.#psql(this.database, sql);
    return text === '' ? [] : text.split('\n').map((line) => line.split('\t'));
  }

  number(sql) {
    return Number(this.query(sql)[0][0]);
  }

  async get(path) {
    const response = await fetch(this.url + path);
    return response.json();
  }

  async waitFor(what, ms, isTrue) {
    const end = Date.now() + ms;
    for (;;) {
      if (this.hasEnded && !this.isStopped) {
        throw new Error(`the daemon ENDED while waiting for ${what}:\n${this.log.slice(-4000)}`);
      }
      try {
        if (await isTrue()) {
          return;
        }
      } catch (error) {
        if (Date.now() > end) {
          throw error;
        }
      }
      if (Date.now() > end) {
        throw new Error(`${what}: NOT within ${ms} ms\n${this.log.slice(-4000)}`);
      }
      await pause(20);
    }
  }

  // SIGTERM; gives the exit code.
  async stop() {
    this.isStopped = true;
    this.daemon.kill('SIGTERM');
    const late = setTimeout(() => this.daemon.kill('SIGKILL'), 60000);
    const code = await this.ended;
    clearTimeout(late);
    return code;
  }

  async wipe() {
    if (!this.hasEnded) {
      await this.stop();
    }
    try {
      this.#psql(env.DATABASE_URL, `DROP DATABASE ${this.name} WITH (FORCE)`);
    } finally {
      rmSync(this.folder, { recursive: true, force: true });
    }
  }
}
