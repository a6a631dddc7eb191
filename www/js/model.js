// What the page knows: one picture of the daemon's tables, brought forward by frames. The rules of
// the protocol votingd.v1 live here and nowhere else, so that they can be tested without a browser.

import { Baseline } from './shares.js';

const EMPTY_ABOUT = {
  as_of_ms: 0,
  received_ms: 0,
  changed_ms: 0,
  started_ms: 0, // what is 0 above has not been since then; said only while it is
  status: 'partial',
  source: 'waiting',
  database: { state: 'absent', as_of_ms: 0 },
  lead: null, // where an operator leads all pages in the past; not said while nobody does
};

export class Model {
  constructor() {
    this.forget();
  }

  forget() {
    this.epoch = null;
    this.seq = 0; // 0: no picture yet
    this.preload = null;
    this.tables = new Map();
    this.about = EMPTY_ABOUT;
    this.missed = 0; // sequence number that a heartbeat named and no picture brought
  }

  // The same at this moment, whatever frames come later: rows are replaced, never changed.
  copy() {
    const held = Object.assign(new Model(), this);
    held.tables = new Map([...this.tables].map(([name, table]) => [name,
      { ...table, rows: table.rows.slice() }]));
    return held;
  }

  // What became of a frame: 'applied', 'ignored' (older than what is held), 'gap' (something in
  // between is missing) or 'restart' (another epoch: begin again with a hello).
  apply(frame) {
    if (frame.type === 'hello') {
      return this.#hello(frame.epoch, frame.preload);
    }
    if (frame.epoch !== this.epoch) {
      return 'restart';
    }
    switch (frame.type) {
      case 'snapshot':
        return this.#picture(frame, frame.seq);
      case 'delta':
        if (frame.seq > this.seq && frame.base !== this.seq) {
          return 'gap';
        }
        return frame.seq > this.seq ? this.#picture(frame, frame.seq) : 'ignored';
      case 'changes':
        return frame.since <= this.seq ? this.#picture(frame, seqOf(frame.next)) : 'gap';
      case 'beat':
        return this.#beat(frame);
      default:
        return 'ignored';
    }
  }

  #hello(epoch, preload) {
    if (epoch !== this.epoch) {
      this.forget();
    }
    this.epoch = epoch;
    this.preload = preload;
    this.#shape(preload.tables);
    this.#add(preload.rows ?? {});
    return 'applied';
  }

  #table(name) {
    if (!this.tables.has(name)) {
      this.tables.set(name, {
        name, title: name, texts: [], columns: [], rows: [],
      });
    }
    return this.tables.get(name);
  }

  // Titles and names of columns; an aggregate's texts are named with its first row.
  #shape(tables) {
    for (const [name, { title, texts, columns }] of Object.entries(tables)) {
      Object.assign(this.#table(name), { title, texts, columns });
    }
  }

  #add(tables) {
    for (const [name, rows] of Object.entries(tables)) {
      for (const [id, ...texts] of rows) {
        const held = this.#table(name).rows;
        held[id] = { id, texts, values: held[id]?.values ?? null };
      }
    }
  }

  #picture(frame, seq) {
    if (seq < this.seq) {
      return 'ignored';
    }
    this.#shape(frame.tables ?? {});
    this.#add(frame.add ?? {});
    for (const [name, rows] of Object.entries(frame.rows)) {
      const held = this.#table(name).rows;
      for (const [id, ...values] of rows) {
        held[id] = { id, texts: held[id]?.texts ?? [], values };
      }
    }
    this.seq = seq;
    this.missed = 0;
    this.about = { ...this.about, lead: null, ...pick(frame, Object.keys(EMPTY_ABOUT)) };
    return 'applied';
  }

  // A heartbeat may overtake the picture that it names; if the next one finds it missing still, it
  // was lost.
  #beat(frame) {
    const wasMissed = this.missed > this.seq;
    this.about = { ...this.about, source: frame.source };
    this.missed = frame.seq > this.seq ? frame.seq : 0;
    return wasMissed && this.missed > 0 ? 'gap' : 'applied';
  }

  // The reporting units: their table, and the text that names one.
  units() {
    const table = this.tables.get(this.preload?.contests[0]?.units);
    return { table: table?.name ?? null, text: table?.texts[0] ?? null };
  }

  // Every table that is not candidates, units or the totals: whatever the topology publishes.
  aggregates() {
    const { table, units } = this.preload?.contests[0] ?? {};
    return [...this.tables.values()].filter(({ name }) => ![table, units, 'totals'].includes(name));
  }

  // Rows of the aggregate that counts by just these texts, whatever it is called.
  rowsBy(...texts) {
    const table = this.aggregates().find((one) => one.texts.length === texts.length
      && texts.every((text) => one.texts.includes(text)));
    return table ? this.rows(table.name) : [];
  }

  // Rows of a table as objects: every text and column under its name, and 'row', its small id.
  rows(name) {
    const table = this.tables.get(name);
    if (table === undefined) {
      return [];
    }
    const out = [];
    for (const held of table.rows) {
      if (held?.values) {
        const row = { row: held.id };
        table.texts.forEach((text, i) => {
          row[text] = held.texts[i] ?? null;
        });
        table.columns.forEach((column, i) => {
          row[column] = held.values[i];
        });
        out.push(row);
      }
    }
    return out;
  }

  totals() {
    return this.rows('totals')[0]
      ?? { voters: null, candidates: null, stored: null, counted: 0 };
  }

  candidates() {
    const photos = new Set(this.preload?.contests[0]?.photos);
    return this.rows('candidate').map((row) => ({
      id: row.candidate_id,
      name: row.candidate_name ?? row.candidate_id,
      party: row.party_affiliation ?? '',
      votes: row.votes,
      photo: photos.has(row.candidate_id) ? `/photos/${row.candidate_id}` : null,
    }));
  }

  // What the count is compared with, or null.
  baseline(people) {
    const given = this.preload?.contests[0]?.baseline;
    return given ? new Baseline(given, people) : null;
  }

  election() {
    return this.preload?.elections[0] ?? null;
  }

  point() {
    return `${this.epoch}-${this.seq}`;
  }
}

function seqOf(point) {
  return Number(point.slice(point.lastIndexOf('-') + 1));
}

function pick(from, names) {
  return Object.fromEntries(names.filter((name) => name in from).map((name) => [name, from[name]]));
}
