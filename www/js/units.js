// The reporting units of the contest: what is counted there, and who leads.

import { standing, turnout } from './shares.js';

const LOW = 1 / 3; // of the registered voters counted
const HIGH = 2 / 3;

// How much of a unit is counted, in steps that can be told apart: 0 nothing, 1 up to a third, 2 up to
// two thirds, 3 more, or nobody knows how many voters there are.
function strengthOf(votes, registered) {
  if (votes === 0) {
    return 0;
  }
  const part = registered > 0 ? votes / registered : 1;
  return part <= LOW ? 1 : part <= HIGH ? 2 : 3;
}

// 'rows' of the table of units, 'cells' of the totals by unit and candidate, 'text' that names a unit in
// both. A unit: {row, name, votes, registered, turnout, strength, list, leader, isTied, share}; 'leader'
// is null without votes and in a tie, 'share' that of the first place; 'list' as standing() has it.
export function unitsOf(rows, cells, text, people) {
  const known = new Map(people.map((one) => [one.id, one]));
  const byUnit = new Map();
  for (const cell of cells) {
    const id = cell.candidate_id;
    const person = known.get(id) ?? { id, name: id ?? '', party: '' };
    const list = byUnit.get(cell[text]) ?? [];
    list.push({ ...person, votes: cell.votes });
    byUnit.set(cell[text], list);
  }
  return rows.map((row) => {
    const { list, leaders } = standing(byUnit.get(row[text]) ?? []);
    return {
      row: row.row,
      name: row[text],
      votes: row.votes,
      registered: row.registered,
      turnout: turnout(row.votes, row.registered),
      strength: strengthOf(row.votes, row.registered),
      list,
      leader: leaders.length === 1 ? leaders[0] : null,
      isTied: leaders.length > 1,
      share: leaders.length > 0 ? leaders[0].share : null,
    };
  });
}

// Who leads in how many units: [{leader, count}], the most first.
export function tallyOf(units) {
  const tally = new Map();
  for (const { leader } of units) {
    if (leader !== null) {
      const one = tally.get(leader.id) ?? { leader, count: 0 };
      one.count += 1;
      tally.set(leader.id, one);
    }
  }
  return [...tally.values()].sort((a, b) => b.count - a.count || a.leader.name.localeCompare(b.leader.name));
}
