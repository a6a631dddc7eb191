// What an aggregate of any kind looks like: which of its texts divides it into panels, in which order
// its groups stand, and how many of them are drawn. All the rest stands in its table.

import { shares } from './shares.js';
import { LANG } from './words.js';

const GROUPS_MAX = 10; // bars of a panel unless fewer are wanted; the rest is one more
const COLUMNS_MAX = 150; // of a panel whose groups are numbers
const PANELS_MAX = 6;

const collator = new Intl.Collator(LANG, { numeric: true });

// The text with the fewest values divides; of two texts with equally many, the later one.
function dividerOf(texts, rows) {
  if (texts.length < 2) {
    return null;
  }
  const sizes = texts.map((text) => new Set(rows.map((row) => row[text])).size);
  return texts[sizes.lastIndexOf(Math.min(...sizes))];
}

// "18-24", "under 18", "75+" and 44 have an order of their own; a name has not.
function rankOf(value) {
  const [, word, number] = /^(under |over )?(\d+)/.exec(value ?? '') ?? [];
  return number === undefined ? null : Number(number) - (word === 'under ' ? 0.5 : 0);
}

function ordered(groups) {
  const known = groups.filter(({ values }) => values.length > 1 || values[0] !== null);
  const isRanked = known.length > 0
    && known.every(({ values }) => values.length === 1 && rankOf(values[0]) !== null);
  const byName = (a, b) => collator.compare(a.values.join(' '), b.values.join(' '));
  return {
    isNumber: isRanked && known.every(({ values }) => /^\d+$/.test(values[0])),
    isRanked,
    list: [...groups].sort((a, b) => (isRanked
      ? (rankOf(a.values[0]) ?? Infinity) - (rankOf(b.values[0]) ?? Infinity)
      : b.votes - a.votes) || byName(a, b)),
  };
}

// Groups of 'rows' by what 'keyOf' says: {key, values, votes, rows}.
function gather(rows, texts) {
  const groups = new Map();
  for (const row of rows) {
    const values = texts.map((text) => row[text]);
    const key = JSON.stringify(values);
    const group = groups.get(key) ?? {
      key, values, votes: 0, rows: [],
    };
    group.votes += row.votes;
    group.rows.push(row);
    groups.set(key, group);
  }
  return [...groups.values()];
}

// A panel's groups in the order that all panels have: those that are drawn, and the others in one.
function panelOf(panel, texts, drawn) {
  const groups = new Map(gather(panel.rows, texts).map((group) => [group.key, group.votes]));
  const left = [...groups].filter(([key]) => !drawn.some((one) => one.key === key));
  const rest = left.reduce((sum, [, votes]) => sum + votes, 0);
  const votes = [...drawn.map(({ key }) => groups.get(key) ?? 0), rest];
  const dealt = shares(votes);
  return {
    ...panel,
    groups: drawn.map(({ key, values }, i) => ({
      key, values, votes: votes[i], share: dealt[i],
    })),
    others: left.length > 0 ? { count: left.length, votes: rest, share: dealt[drawn.length] } : null,
  };
}

// 'rows' of a table with 'texts': {kind: 'bars' or 'columns', divider, texts, panels, hidden, most}.
// 'panels' [{key, values, votes, share, groups: [{key, values, votes, share}], others}]; 'hidden' is how
// many panels are not there; 'most' the votes of the largest group, which the others in one may exceed.
export function breakdown(texts, rows, bars = GROUPS_MAX) {
  const divider = dividerOf(texts, rows);
  const inner = texts.filter((text) => text !== divider);
  const { isNumber, isRanked, list } = ordered(gather(rows, inner));
  const isLong = list.length > bars + 1; // one more bar is no longer than "others"
  const kind = isNumber && isLong ? 'columns' : 'bars';
  const limit = kind === 'columns' ? COLUMNS_MAX : isLong ? bars : list.length;
  const largest = new Set([...list].sort((a, b) => b.votes - a.votes).slice(0, limit));
  const drawn = isRanked ? list.filter((group) => largest.has(group)) : list.slice(0, limit);
  const all = divider === null
    ? [{ key: '', values: [], votes: rows.reduce((sum, row) => sum + row.votes, 0), rows }]
    : ordered(gather(rows, [divider])).list;
  const dealt = shares(all.map((panel) => panel.votes));
  const panels = all.map((panel, i) => ({ ...panel, share: dealt[i] })).slice(0, PANELS_MAX)
    .map((panel) => panelOf(panel, inner, drawn));
  return {
    kind,
    divider,
    texts: inner,
    panels,
    hidden: all.length - panels.length,
    most: Math.max(0, ...panels.flatMap(({ groups }) => groups.map((group) => group.votes))),
  };
}
