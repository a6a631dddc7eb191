// A picture of the past, as /api/v1/snapshot?as_of_ms= tells it: the model as it was at that moment.

const REGISTERS = ['voters', 'candidates', 'registered']; // have no past: they are as they are now

// The first moment from which on all votes are known, of an answer of history?table=totals; null if none is.
export function knownFrom(answer) {
  const votes = answer.rows[0]?.slice(1) ?? [];
  const place = votes.lastIndexOf(null) + 1;
  return place < votes.length ? answer.from_ms + place * answer.step_ms : null;
}

const isKnown = (table, values) => table.columns.every((column, i) => REGISTERS.includes(column)
  || column === 'stored' || values[i] !== null);

// A table's rows at that moment; those of which nothing is known are not there.
function rowsAt(table, given) {
  const rows = [];
  for (const [id, ...values] of given) {
    const held = table.rows[id];
    if (held && isKnown(table, values)) {
      rows[id] = {
        ...held,
        values: values.map((value, i) => (REGISTERS.includes(table.columns[i]) ? held.values?.[i] ?? null : value)),
      };
    }
  }
  return rows;
}

// {model, isWhole}: 'model' is a copy of the newest one with the rows of that moment. Of a contest not all
// of whose candidates are known nobody can say who leads: then it is not whole, and has no candidates.
export function modelAt(newest, answer) {
  const model = newest.copy();
  const contest = model.preload.contests[0]?.table;
  const given = (name) => answer.rows[name] ?? [];
  const candidates = model.tables.get(contest);
  const isWhole = candidates !== undefined && !answer.without.includes(contest)
    && given(contest).every(([, ...values]) => isKnown(candidates, values));

  model.tables = new Map([...model.tables].filter(([name]) => !answer.without.includes(name))
    .map(([name, table]) => [name, {
      ...table, rows: name === contest && !isWhole ? [] : rowsAt(table, given(name)),
    }]));
  model.about = {
    ...model.about,
    as_of_ms: answer.as_of_ms,
    received_ms: 0,
    changed_ms: 0,
    started_ms: 0,
    status: answer.status,
    source: 'quiet',
  };
  return { model, isWhole };
}
