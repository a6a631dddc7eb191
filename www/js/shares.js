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
  const ranked = list.map((one, place) => ({
    ...one,
    share: dealt[place],
    gap: place === 0 ? one.votes - second : one.votes - top,
    gapPoints: place === 0 ? dealt[0] - (dealt[1] ?? 0) : dealt[place] - dealt[0],
  }));
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

// Turnout in tenths of a percent, rounded; null without registered voters.
export function turnout(votes, registered) {
  return registered === null || registered <= 0 ? null : Math.round((votes / registered) * WHOLE);
}
