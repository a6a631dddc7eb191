// Colours and initials of candidates and parties. Okabe and Ito's colours, told apart by most people
// with a colour weakness; never the only mark: initials stand on every one. The light ones have an
// outline, or they would not stand out from white.

const COLOURS = [
  { fill: '#0072b2', ink: '#ffffff' },
  { fill: '#d55e00', ink: '#0b0f14' },
  { fill: '#009e73', ink: '#0b0f14' },
  { fill: '#cc79a7', ink: '#0b0f14' },
  { fill: '#e69f00', ink: '#0b0f14', outline: '#8a5f00' },
  { fill: '#56b4e9', ink: '#0b0f14', outline: '#2a6f97' },
  { fill: '#f0e442', ink: '#0b0f14', outline: '#756d00' },
];
export const OTHERS = { fill: '#69727e', ink: '#ffffff' };

// "Ada Example" gives "AE", "Savior Party" "SP"; one word gives its first two letters.
export function initials(text) {
  const parts = text.trim().split(/\s+/u).filter((part) => part !== '');
  const letters = parts.length > 1
    ? [parts[0], parts[parts.length - 1]].map((part) => [...part][0])
    : [...(parts[0] ?? '?')].slice(0, 2);
  return letters.join('').toLocaleUpperCase();
}

// "Tech Republic Party" gives "TRP": of a party every word counts.
export function partyInitials(text) {
  const parts = text.trim().split(/\s+/u).filter((part) => part !== '');
  return parts.length > 1
    ? parts.slice(0, 4).map((part) => [...part][0]).join('').toLocaleUpperCase()
    : initials(text);
}

// A colour for every party, by the order of their names: the same on each page and after each start.
// Candidates without one, or who share one, are told apart by their own id.
export class Palette {
  constructor(candidates) {
    const keys = [...new Set(candidates.map((one) => one.party || one.id))].sort();
    this.colours = new Map(keys.map((key, i) => [key, COLOURS[i] ?? OTHERS]));
  }

  of(candidate) {
    return this.colours.get(candidate.party || candidate.id) ?? OTHERS;
  }

  // Of who leads in a unit; a tie or no votes has the colour of nobody.
  ofUnit({ leader }) {
    return leader === null ? OTHERS : this.of(leader);
  }

  ofParty(party) {
    return this.colours.get(party) ?? OTHERS;
  }
}
