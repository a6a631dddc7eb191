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

// Without the rows of every unit of which one is not known: nobody can say from the others who leads there.
function wholeUnits(table, rows, given, text) {
  const place = table.texts.indexOf(text);
  const broken = new Set(given.filter(([id]) => !rows[id]).map(([id]) => table.rows[id]?.texts[place]));
  return rows.filter(({ texts }) => !broken.has(texts[place]));
}

// {model, isWhole, partial}: 'model' is a copy of the newest one with the rows of that moment. Of a contest
// not all of whose candidates are known nobody can say who leads: then it is not whole, and has no
// candidates. 'partial' names the tables of which not all rows are known; theirs say 'isPartial', too.
export function modelAt(newest, answer) {
  const model = newest.copy();
  const contest = model.preload.contests[0]?.table;
  const given = (name) => answer.rows[name] ?? [];
  const candidates = model.tables.get(contest);
  const isWhole = candidates !== undefined && !answer.without.includes(contest)
    && given(contest).every(([, ...values]) => isKnown(candidates, values));

  const { text } = model.units();

  model.tables = new Map([...model.tables].filter(([name]) => !answer.without.includes(name))
    .map(([name, table]) => {
      const rows = name === contest && !isWhole ? [] : rowsAt(table, given(name));
      const isCross = table.texts.length > 1 && table.texts.includes(text);
      return [name, {
        ...table,
        rows: isCross ? wholeUnits(table, rows, given(name), text) : rows,
        isPartial: given(name).some(([id]) => !rows[id]),
      }];
    }));
  model.about = {
    ...model.about,
    as_of_ms: answer.as_of_ms,
    received_ms: 0,
    changed_ms: 0,
    started_ms: 0,
    status: answer.status,
    source: 'quiet',
  };
  const partial = [...model.tables.values()].filter(({ isPartial }) => isPartial).map(({ name }) => name);
  return { model, isWhole, partial };
}
