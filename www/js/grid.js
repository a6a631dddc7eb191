// Where the cell of a state of the USA stands, so that each is as large as any other and near to where
// it lies; what is no such state stands in rows of its own below.

const LAYOUT = `
AK .  .  .  .  .  .  .  .  .  ME
.  .  .  .  .  .  .  .  .  VT NH
WA ID MT ND MN IL WI MI NY RI MA
OR NV WY SD IA IN OH PA NJ CT .
CA UT CO NE MO KY WV VA MD DE .
.  AZ NM KS AR TN NC SC DC .  .
.  .  .  OK LA MS AL GA .  .  .
HI .  .  TX .  .  .  .  FL .  .`.trim().split('\n').map((line) => line.split(/\s+/));

const NAMES = `AL Alabama,AK Alaska,AZ Arizona,AR Arkansas,CA California,CO Colorado,CT Connecticut,DE Delaware,
DC District of Columbia,FL Florida,GA Georgia,HI Hawaii,ID Idaho,IL Illinois,IN Indiana,IA Iowa,KS Kansas,
KY Kentucky,LA Louisiana,ME Maine,MD Maryland,MA Massachusetts,MI Michigan,MN Minnesota,MS Mississippi,
MO Missouri,MT Montana,NE Nebraska,NV Nevada,NH New Hampshire,NJ New Jersey,NM New Mexico,NY New York,
NC North Carolina,ND North Dakota,OH Ohio,OK Oklahoma,OR Oregon,PA Pennsylvania,RI Rhode Island,
SC South Carolina,SD South Dakota,TN Tennessee,TX Texas,UT Utah,VT Vermont,VA Virginia,WA Washington,
WV West Virginia,WI Wisconsin,WY Wyoming`.split(',').map((pair) => pair.trim());

const WIDTH = LAYOUT[0].length;
const SHORT = new Map(NAMES.map((pair) => [pair.slice(3), pair.slice(0, 2)]));
const PLACES = new Map(LAYOUT.flatMap((line, row) => line
  .map((short, column) => [short, { row: row + 1, column: column + 1 }])));

// Of 'names' {name: {row, column, short}}, both from 1; null where fewer than half are states of the USA.
export function gridOf(names) {
  const states = names.filter((name) => SHORT.has(name));
  if (states.length === 0 || states.length * 2 < names.length) {
    return null;
  }
  const others = names.filter((name) => !SHORT.has(name)).sort();
  return new Map([
    ...states.map((name) => [name, { ...PLACES.get(SHORT.get(name)), short: SHORT.get(name) }]),
    ...others.map((name, i) => [name, {
      row: LAYOUT.length + 2 + Math.floor(i / WIDTH), column: 1 + (i % WIDTH), short: null,
    }]),
  ]);
}
