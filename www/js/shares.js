// Shares, leads and progress from whole numbers. No rounding error can add up: shares are dealt out
// by largest remainder, in tenths of a percent.

export const WHOLE = 1000;

// The votes' shares in tenths of a percent: they add up to 1000, or all are 0 without a vote. Ties of
// the remainder go to the larger count, then to the earlier place.
export function shares(votes, whole = WHOLE) {
  const total = votes.reduce((sum, n) => sum + BigInt(n), 0n);
  if (total === 0n) {
    return votes.map(() => 0);
  }
  const parts = votes.map((n, place) => {
    const product = BigInt(n) * BigInt(whole);
    return { place, votes: n, share: Number(product / total), rest: product % total };
  });
  const left = whole - parts.reduce((sum, part) => sum + part.share, 0);
  const byRest = [...parts].sort((a, b) => {
    if (a.rest !== b.rest) {
      return a.rest > b.rest ? -1 : 1;
    }
    return b.votes - a.votes || a.place - b.place;
  });
  byRest.slice(0, left).forEach((part) => {
    part.share += 1;
  });
  return parts.map((part) => part.share);
}

// Candidates ({id, name, party, votes}) by votes, ties by name, each with share, gap to the first
// place and gap of the first to the second.
export function standing(candidates) {
  const list = [...candidates].sort((a, b) => b.votes - a.votes
    || a.name.localeCompare(b.name) || (a.id < b.id ? -1 : 1));
  const dealt = shares(list.map((one) => one.votes));
  const top = list.length > 0 ? list[0].votes : 0;
  const second = list.length > 1 ? list[1].votes : 0;
  const ranked = list.map((one, place) => {
    const gap = place === 0 ? one.votes - second : one.votes - top;
    const points = place === 0 ? dealt[0] - (dealt[1] ?? 0) : dealt[place] - dealt[0];
    return {
      ...one, share: dealt[place], gap, gapPoints: gap === 0 ? 0 : points, // a tie, however shares were dealt
    };
  });
  return {
    list: ranked,
    leaders: top > 0 ? ranked.filter((one) => one.votes === top) : [],
    total: ranked.reduce((sum, one) => sum + one.votes, 0),
  };
}

// Counted of expected in tenths of a percent, or null if it cannot be said. The whole is reached only
// when the count was declared complete, never because the numbers happen to be equal.
export function progress(counted, expected, isComplete) {
  if (isComplete) {
    return WHOLE;
  }
  if (expected === null || expected <= 0) {
    return null;
  }
  const tenths = Number((BigInt(counted) * BigInt(WHOLE)) / BigInt(expected));
  return Math.min(tenths, WHOLE - 1);
}

const dealt = new WeakMap(); // shares of a baseline's rows, which never change

function dealtFor(row) {
  if (!dealt.has(row)) {
    dealt.set(row, shares(row.slice(1)));
  }
  return dealt.get(row);
}

// {at, isExact}: the column that names a candidate by id, by name, or by party where nobody else is of it;
// "republican" names the "Republican Party", too, but not exactly. -1: none does.
function claimOf({ id, name, party }, people, columns) {
  const isAlone = party !== '' && people.filter((one) => one.party === party).length === 1;
  const names = [id, name, ...(isAlone ? [party] : [])].map((one) => one.toLowerCase());
  const lower = columns.map((one) => one.toLowerCase());
  const exact = names.map((one) => lower.indexOf(one)).find((at) => at >= 0);
  const prefix = isAlone ? lower.findIndex((one) => party.toLowerCase().startsWith(`${one} `)) : -1;
  return { at: exact ?? prefix, isExact: exact !== undefined };
}

// By candidate's id the column that is theirs, or -1. One that several claim is nobody's, unless it names
// a single one of them exactly.
function placesOf(people, columns) {
  const claims = people.map((one) => claimOf(one, people, columns));
  return new Map(people.map(({ id }, i) => {
    const { at, isExact } = claims[i];
    const isTheirs = claims.every((other, k) => k === i || other.at !== at || (isExact && !other.isExact));
    return [id, isTheirs ? at : -1];
  }));
}

// What the count is compared with: the votes of another election, or those that a simulation follows.
export class Baseline {
  // 'columns' and 'rows' ([unit, n, ...]) as the preload has them, 'people' the candidates of now.
  constructor({ label, columns, rows }, people) {
    this.label = label;
    this.columns = columns;
    this.units = new Map(rows.map((row) => [row[0], row]));
    this.all = shares(columns.map((_, i) => rows.reduce((sum, row) => sum + row[i + 1], 0)));
    this.places = placesOf(people, columns);
  }

  // By how many tenths of a percent a candidate's share has changed, in all or in a unit; null where that
  // cannot be said.
  change({ id, share }, unit = null) {
    const row = this.units.get(unit);
    const before = unit === null ? this.all : row && dealtFor(row);
    const was = before?.[this.places.get(id)];
    return was === undefined || share === null ? null : share - was;
  }

  // The columns that name no candidate of now: [{name, share}].
  others() {
    const named = new Set(this.places.values());
    return this.columns.map((name, i) => ({ name, share: this.all[i] })).filter((_, i) => !named.has(i));
  }
}

// Turnout in tenths of a percent, rounded; null without registered voters.
export function turnout(votes, registered) {
  return registered === null || registered <= 0 ? null : Math.round((votes / registered) * WHOLE);
}
