// The past as /api/v1/history tells it, made ready to be drawn and to be listed: the same points for both.

export const LINES_MAX = 8;

// The query for a range: 'minutes' before the newest vote, or null for all there is; of the past, only
// until then.
export function queryOf(minutes, asOfMs, isPast = false) {
  const from = minutes === null ? '' : `&from_ms=${Math.max(0, asOfMs - minutes * 60000)}`;
  return `history?table=candidate${from}${isPast ? `&to_ms=${asOfMs}` : ''}`;
}

// The answer with its last point as of the moment that is shown, which a step may go beyond; before the
// first vote with that moment alone. 'votes': at that moment, by row.
export function until(answer, asOfMs, votes) {
  if (answer.points === 0) {
    return {
      ...answer, from_ms: asOfMs + 1 - answer.step_ms, points: 1, rows: [...votes],
    };
  }
  return { ...answer, rows: answer.rows.map((row) => [...row.slice(0, -1), votes.get(row[0]) ?? null]) };
}

// Whether the last step was over at that moment.
export function isOverAt(answer, asOfMs) {
  return (asOfMs + 1 - answer.from_ms) % answer.step_ms === 0;
}

// The sum of all rows at each point; null where one of them is not known.
function sums(rows, points) {
  const all = [];
  for (let i = 0; i < points; i += 1) {
    const known = rows.every((row) => row[i + 1] !== null);
    all.push(known && rows.length > 0 ? rows.reduce((sum, row) => sum + row[i + 1], 0) : null);
  }
  return all;
}

// Votes a second at each point. The first has nothing before it, the last is not over while votes come,
// and a count that was taken back is no rate.
function rates(all, stepMs, isOver) {
  return all.map((sum, i) => {
    const before = all[i - 1] ?? null;
    const isWhole = (i < all.length - 1 || isOver) && sum !== null && before !== null && sum >= before;
    return isWhole ? ((sum - before) * 1000) / stepMs : null;
  });
}

// {stepMs, times (ms), lines: [{row, values}], all, rates}: a line for each row that is wanted, in that
// order. 'isOver': no votes come any more in the last step.
export function read(answer, wanted, isOver) {
  const { points } = answer;
  const all = sums(answer.rows, points);
  const byRow = new Map(answer.rows.map((row) => [row[0], row]));
  return {
    stepMs: answer.step_ms,
    times: Array.from({ length: points }, (_, i) => answer.from_ms + i * answer.step_ms),
    lines: wanted.filter((row) => byRow.has(row)).map((row) => ({ row, values: byRow.get(row).slice(1) })),
    all,
    rates: rates(all, answer.step_ms, isOver),
  };
}

// The last value that is known, and its place; null if there is none.
export function lastOf(values) {
  for (let i = values.length - 1; i >= 0; i -= 1) {
    if (values[i] !== null) {
      return { place: i, value: values[i] };
    }
  }
  return null;
}

// Move labels of height 'height' apart, as little as it takes, between 'top' and 'bottom'. 'wanted': the
// middles where they would like to be; gives where they are.
export function spread(wanted, height, top, bottom) {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b]);
  const placed = [...wanted];
  let free = top;
  for (const i of order) {
    placed[i] = Math.max(wanted[i], free + height / 2);
    free = placed[i] + height / 2;
  }
  free = bottom;
  for (const i of order.reverse()) {
    placed[i] = Math.min(placed[i], free - height / 2);
    free = placed[i] - height / 2;
  }
  return placed;
}
