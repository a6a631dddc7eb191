// A register of voters in places whose number of voters is known: place i of 'names' has i + 1 of them.
import { writeFileSync } from 'node:fs';

export const HOSTILE = '<img src=x onerror="document.title=1">';
export const LEFTWARD = 'ירושלים (שטח)';
export const LONG = `Llanfair${'pwllgwyn'.repeat(24)}`;

export const STATES = ['Alabama', 'Alaska', 'Arizona', 'Arkansas', 'California', 'Colorado', 'Connecticut',
  'Delaware', 'District of Columbia', 'Florida', 'Georgia', 'Hawaii', 'Idaho', 'Illinois', 'Indiana',
  'Iowa', 'Kansas', 'Kentucky', 'Louisiana', 'Maine', 'Maryland', 'Massachusetts', 'Michigan',
  'Minnesota', 'Mississippi', 'Missouri', 'Montana', 'Nebraska', 'Nevada', 'New Hampshire',
  'New Jersey', 'New Mexico', 'New York', 'North Carolina', 'North Dakota', 'Ohio', 'Oklahoma',
  'Oregon', 'Pennsylvania', 'Rhode Island', 'South Carolina', 'South Dakota', 'Tennessee', 'Texas',
  'Utah', 'Vermont', 'Virginia', 'Washington'];

export const PLACES = [HOSTILE, LEFTWARD, LONG, ...STATES]; // 51
export const VOTERS = PLACES.reduce((sum, _, i) => sum + i + 1, 0);

export function writeRegister(path) {
  const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
  const lines = ['voter_id,voter_name,date_of_birth,gender,address_city,address_state'];
  PLACES.forEach((place, i) => {
    for (let n = 0; n <= i; n += 1) {
      const born = 1930 + ((i * 7 + n * 13) % 76);
      lines.push([`v${i}-${n}`, 'A Voter', `${born}-01-01`, n % 2 ? 'female' : 'male',
        quoted(n % 3 ? `Town ${n % 9}` : HOSTILE), quoted(place)].join(','));
    }
  });
  writeFileSync(path, `${lines.join('\n')}\n`);
}
